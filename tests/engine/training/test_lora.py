import pytest
import torch
from torch import nn

from sptar_engine.errors import ConfigError
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.lora import (
    add_lora,
    load_plain_weights,
    load_trained_values,
    plain_weights,
    remove_lora,
    trained_values,
)
from sptar_engine.training.mixing import mix
from sptar_engine.training.pace import parameter_groups

TEXT = ["where can i find the sparrow"]


@pytest.fixture
def model(tiny_encoder):
    torch.manual_seed(0)
    return load_bi_encoder(tiny_encoder, 64, "cpu")


def add(model) -> None:
    add_lora(model[0].auto_model, 4, "train.lora_rank")


def train(model) -> None:
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)


def vector(model) -> torch.Tensor:
    return model.encode(TEXT, convert_to_tensor=True, show_progress_bar=False).clone()


def test_untrained_adapters_change_nothing(model) -> None:
    before, weights = vector(model), {name: value.clone() for name, value in model.state_dict().items()}
    add(model)
    assert torch.equal(vector(model), before)
    plain = plain_weights(model)
    assert plain.keys() == weights.keys() and all(torch.equal(plain[name], weights[name]) for name in weights)


def test_adapters_alone_are_trained_at_their_own_pace(model) -> None:
    add(model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    assert [group["pace"] for group in parameter_groups(model)] == [10.0]
    assert trained_values(model).keys() == set(trained)


def test_plain_weights_and_the_model_without_adapters_give_the_same_vectors(model, tiny_encoder) -> None:
    names = model.state_dict().keys()
    add(model)
    train(model)
    expected, plain = vector(model), plain_weights(model)
    other = load_bi_encoder(tiny_encoder, 64, "cpu")
    load_plain_weights(other, plain)
    torch.testing.assert_close(vector(other), expected, rtol=0, atol=1e-6)
    remove_lora(model)
    assert model.state_dict().keys() == names
    torch.testing.assert_close(vector(model), expected, rtol=0, atol=1e-6)


def test_plain_weights_can_be_put_back_under_adapters(model) -> None:
    base = plain_weights(model)
    add(model)
    train(model)
    half = mix(plain_weights(model), base, 0.5)
    load_plain_weights(model, half)
    found = plain_weights(model)
    assert all(torch.equal(found[name], half[name]) for name in half)


def test_trained_values_bring_back_a_training(model) -> None:
    add(model)
    train(model)
    values, expected = trained_values(model), vector(model)
    load_plain_weights(model, plain_weights(model))
    train(model)
    assert not torch.equal(vector(model), expected)
    model_again = model
    # The frozen weights are no part of the values; they are put back by whoever changed them.
    load_trained_values(model_again, values)
    assert all(torch.equal(trained_values(model)[name], values[name]) for name in values)


def test_module_without_adapters_is_as_plain_as_its_state() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = {name: value.clone() for name, value in module.state_dict().items()}
    assert plain_weights(module).keys() == trained_values(module).keys() == state.keys()
    load_plain_weights(module, {name: value + 1 for name, value in state.items()})
    assert all(torch.equal(module.state_dict()[name], state[name] + 1) for name in state)
    remove_lora(module)


def test_module_without_layers_for_adapters_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.lora_rank: a Sequential has no layer that low-rank adapters fit on"):
        add_lora(nn.Sequential(nn.Embedding(3, 2)), 2, "train.lora_rank", ["linear"])
