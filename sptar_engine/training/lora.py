"""Low-rank adapters (LoRA, arXiv 2106.09685) by PEFT, and the plain weights they stand for.

A training changes the adapters alone; a mixture with the untrained model, and what is saved, is made of plain weights,
in which the product of an adapter's two matrices is added to the layer's own. So nothing that is loaded later needs
PEFT. All functions take modules without adapters as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear
from torch import Tensor, nn

from sptar_engine.errors import ConfigError
from sptar_engine.training.pace import set_pace

PACE = 10.0
"""Times the learning rate of full training that suits LoRA best (Schulman et al., "LoRA Without Regret", 2025)."""

_ADAPTER = "default"
_BASE, _LORA = ".base_layer", ".lora_"
_STRENGTH = 2  # alpha over rank, as most LoRA trainings have it


def add_lora(
    module: nn.Module, rank: int, option: str, targets: str | Sequence[str] = "all-linear", pace: float = PACE
) -> None:
    """Freeze a module and give its linear layers an adapter each, which changes nothing as long as it is untrained.

    `targets` are the names of layers; all-linear needs a transformers model. Raises ConfigError, naming the `option`
    that asked for adapters, when there is no such layer.
    """
    chosen = targets if isinstance(targets, str) else list(targets)
    config = LoraConfig(r=rank, lora_alpha=_STRENGTH * rank, lora_dropout=0.0, target_modules=chosen)
    try:
        inject_adapter_in_model(config, module, adapter_name=_ADAPTER)
    except ValueError as error:
        reason = str(error).strip().split("\n", 1)[0]
        kind = type(module).__name__
        raise ConfigError(option, f"a {kind} has no layer that low-rank adapters fit on ({reason})") from error
    for layer in (layer for _, layer in _layers(module)):
        set_pace((parameter for parameter in layer.parameters() if parameter.requires_grad), pace)


def trained_values(module: nn.Module) -> dict[str, Tensor]:
    """What a training changes, parameters that are not frozen and buffers: a copy on the CPU, by name."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items() if name not in frozen}


def load_trained_values(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Put back what `trained_values` gave."""
    module.load_state_dict(values, strict=False)


@torch.no_grad()
def plain_weights(module: nn.Module) -> dict[str, Tensor]:
    """The weights of the module as it would be without adapters: a copy on the CPU, by the plain module's names."""
    changes = {f"{name}.weight": layer.get_delta_weight(_ADAPTER) for name, layer in _layers(module)}
    weights: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if _LORA not in name:
            plain = name.replace(_BASE, "")
            weights[plain] = (value + changes[plain] if plain in changes else value).detach().cpu().clone()
    return weights


@torch.no_grad()
def load_plain_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give the module these weights; its adapters change nothing any more."""
    layers = dict(_layers(module))
    adapted = {f"{name}.": f"{name}{_BASE}." for name in layers}
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        stem, _, leaf = name.rpartition(".")
        state[f"{adapted.get(f'{stem}.', f'{stem}.' if stem else '')}{leaf}"] = value
    _, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    for layer in layers.values():
        weight = layer.lora_B[_ADAPTER].weight
        assert isinstance(weight, Tensor)
        weight.zero_()


def remove_lora(module: nn.Module) -> None:
    """Add the adapters to the layers they stand on and take them away; what the module computes stays the same."""
    for name, layer in list(_layers(module)):
        layer.merge(adapter_names=[_ADAPTER])
        stem, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(stem), leaf, layer.get_base_layer())


def _layers(module: nn.Module) -> Iterator[tuple[str, Linear]]:
    return ((name, layer) for name, layer in module.named_modules() if isinstance(layer, Linear))
