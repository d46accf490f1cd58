"""What the machine decides, and the seeds."""

import random

import numpy as np
import pytest
import torch

from sptar_engine import runtime


def test_same_seed_gives_the_same_numbers_everywhere() -> None:
    drawn = []
    for _ in range(2):
        runtime.prepare_torch(7, 0)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_threads_are_set_and_zero_leaves_them() -> None:
    before = torch.get_num_threads()
    try:
        runtime.prepare_torch(1, 1)
        assert torch.get_num_threads() == 1
        runtime.prepare_torch(1, 0)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("fp32", "bf16", "name"), [(1.0, 0.5, "bfloat16"), (1.0, 0.95, "float32"), (1, 7, "float32")])
def test_reduced_format_is_taken_only_when_clearly_faster(tiny_llm, monkeypatch, fp32, bf16, name) -> None:
    seconds = {torch.float32: fp32, torch.bfloat16: bf16}
    monkeypatch.setattr(runtime, "_seconds", lambda model, device: seconds[model.dtype])
    assert runtime.pick_dtype(tiny_llm, "cpu") == name


def test_self_test_runs_on_this_machine(tiny_llm) -> None:
    machine = runtime.decide(tiny_llm)
    assert machine.dtype in ("float32", "bfloat16") and machine.threads >= 1
    assert machine.as_dict() == {"device": machine.device, "dtype": machine.dtype, "threads": machine.threads}


def test_every_dtype_setting_has_a_torch_type() -> None:
    from sptar_engine.configs import TuneConfig

    choices = TuneConfig.__dataclass_fields__["dtype"].metadata["choices"]
    assert [str(runtime.torch_dtype(name)) for name in choices] == [f"torch.{name}" for name in choices]
