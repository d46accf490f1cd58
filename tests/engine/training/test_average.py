"""The average of a module's last steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sptar_engine.training.average import Average


@pytest.fixture
def module() -> nn.Linear:
    module = nn.Linear(1, 1, bias=False)
    _set(module, 0.0)
    return module


def _set(module: nn.Linear, value: float) -> None:
    with torch.no_grad():
        module.weight.fill_(value)


def _divide(module: nn.Linear) -> float:
    return 1 // int(module.weight.item())


def _averaged(average: Average, module: nn.Linear) -> float:
    with average.in_place():
        return module.weight.item()


def test_first_step_is_taken_whole_and_later_ones_in_rising_part(module: nn.Linear) -> None:
    average = Average(module, 0.9)
    seen = []
    for value in (10.0, 20.0, 20.0):
        _set(module, value)
        average.step()
        seen.append(_averaged(average, module))
    # Kept: 0, then 1/11, then 2/12 of what the average was.
    second = 10 / 11 + 20 * 10 / 11
    assert seen == pytest.approx([10.0, second, second / 6 + 20 * 5 / 6])


def test_share_kept_never_exceeds_the_one_asked_for(module: nn.Linear) -> None:
    average = Average(module, 0.5)
    for _ in range(50):
        average.step()
    _set(module, 8.0)
    average.step()
    assert _averaged(average, module) == pytest.approx(4.0)


def test_nothing_kept_is_the_module_itself(module: nn.Linear) -> None:
    average = Average(module, 0.0)
    for value in (3.0, 5.0):
        _set(module, value)
        average.step()
    assert _averaged(average, module) == 5.0


def test_module_has_its_own_values_again_even_after_an_error(module: nn.Linear) -> None:
    average = Average(module, 0.5)
    _set(module, 7.0)
    with pytest.raises(ZeroDivisionError), average.in_place():
        _divide(module)
    assert module.weight.item() == 7.0


def test_goes_on_from_its_state(module: nn.Linear) -> None:
    whole, stopped = Average(module, 0.9), Average(module, 0.9)
    for value in (1.0, 2.0):
        _set(module, value)
        whole.step()
        stopped.step()
    resumed = Average(module, 0.9)
    resumed.load_state_dict(stopped.state_dict())
    _set(module, 9.0)
    whole.step()
    resumed.step()
    assert _averaged(resumed, module) == _averaged(whole, module)
