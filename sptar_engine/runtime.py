"""What the machine decides, once per experiment: device, number format, threads. Needs torch."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

_PROBE_TOKENS = 128  # a document with its prompt has about this many
_PROBE_LAYERS = 2
MIN_GAIN = 1.15  # a reduced format must be this much faster, or rounding is paid for nothing


@dataclass(frozen=True, slots=True)
class Machine:
    """The choices that are stored with an experiment and kept when it resumes, so that it stays byte-equal."""

    device: str
    dtype: str
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def decide(language_model: Path | None) -> Machine:
    """Look at the machine and, for the number format, measure it with the language model that takes part."""
    device = pick_device()
    dtype = pick_dtype(language_model, device) if language_model else "float32"
    return Machine(device, dtype, torch.get_num_threads())


def pick_device() -> str:
    """`cuda` when there is one that works, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_dtype(language_model: Path, device: str) -> str:
    """Time float32 against bfloat16 on a few layers of the model and return the name of the better one.

    bfloat16 must be clearly faster. On CPUs without bfloat16 instructions it is several times slower (pytorch
    issue 146508: 49x on AVX2), which only a measurement shows.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(language_model)
    config.num_hidden_layers = min(_PROBE_LAYERS, config.num_hidden_layers)
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    model.to(device).eval()
    seconds = {"float32": _seconds(model, device)}
    seconds["bfloat16"] = _seconds(model.to(torch.bfloat16), device)
    return "bfloat16" if seconds["float32"] > MIN_GAIN * seconds["bfloat16"] else "float32"


def torch_dtype(name: str) -> torch.dtype:
    """The torch type of a `dtype` setting."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def prepare_torch(seed: int, threads: int) -> None:
    """Seed every generator and set the CPU threads (0 = leave them). Called once, where a stage starts."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if threads:
        torch.set_num_threads(threads)


@torch.inference_mode()
def _seconds(model: Any, device: str) -> float:
    """Best of three forward passes over (4, tokens) after one that warms up."""
    tokens = torch.arange(4 * _PROBE_TOKENS, device=device).view(4, -1) % model.config.vocab_size
    times = []
    for _ in range(4):
        start = time.perf_counter()
        model(tokens, logits_to_keep=1)
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])
