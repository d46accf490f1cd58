import pytest
import torch
from torch import nn

from sptar_engine.errors import StageError
from sptar_engine.training.bi_encoder import build_bi_encoder
from sptar_engine.training.cached_gradients import Room, accumulate, is_out_of_memory
from sptar_engine.training.late_interaction import build_late_interaction
from sptar_engine.training.sparse import build_sparse
from tests.engine.training.lessons import PAIRS, QUERIES, learn, make_lesson, no_dropout

NEGATIVES = {QUERIES[1]: (4, 2), QUERIES[3]: (4,)}
TAUGHT = {QUERIES[1]: {1: 3.0, 4: 1.0}, QUERIES[2]: {2: 2.0, 1: 0.5, 3: 0.0}}


class Tower:
    """A linear layer with dropout over rows of numbers, in parts."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
        self.rows = torch.randn(6, 4)

    def accumulate(self, cached: bool) -> tuple[float, torch.Tensor]:
        torch.manual_seed(7)
        self.module.zero_grad()
        parts = [lambda part=part: self.module(part) for part in self.rows.split(2)]
        value = accumulate(parts, lambda encoded: (torch.cat(encoded) @ torch.cat(encoded).T).exp().sum().log(), cached)
        gradient = self.module[0].weight.grad
        assert gradient is not None
        return value, gradient.clone()


def test_cached_gradient_is_the_plain_one_under_dropout() -> None:
    tower = Tower()
    (plain, gradient), (value, cached) = tower.accumulate(False), tower.accumulate(True)
    assert value == plain
    torch.testing.assert_close(cached, gradient)


def test_cached_gradient_adds_to_what_is_there() -> None:
    tower = Tower()
    _, once = tower.accumulate(True)
    torch.manual_seed(7)
    accumulate([lambda: tower.module(tower.rows)], lambda encoded: 0 * encoded[0].sum(), cached=True)
    torch.testing.assert_close(tower.module[0].weight.grad, once)


@pytest.mark.parametrize("build", [build_bi_encoder, build_late_interaction, build_sparse])
@pytest.mark.parametrize("held", [1, 2])
def test_families_learn_the_same_with_few_pairs_in_memory(build, held, tiny_encoder) -> None:
    found = []
    for cached_pairs in (0, held):
        torch.manual_seed(1)
        settings = {"token_dimensions": 8, "cached_pairs": cached_pairs}
        learner = build(make_lesson(tiny_encoder, NEGATIVES, TAUGHT, **settings))
        no_dropout(learner)
        found.append(learn(learner))
    (plain, expected), (value, cached) = found
    assert value == pytest.approx(plain, rel=1e-5)
    assert cached.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(cached[name], expected[name], rtol=1e-3, atol=1e-6)


def test_out_of_memory_halves_what_is_held_and_starts_from_the_same_random_state(caplog) -> None:
    module = nn.Linear(2, 1)
    held, drawn = [], []

    def attempt(most: int) -> float:
        held.append(most)
        drawn.append(torch.rand(1).item())
        module(torch.ones(1, 2)).sum().backward()
        if len(held) < 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.25

    room = Room(0)
    assert room.run(attempt, module, 12) == 0.25
    assert held == [0, 6, 3] and room.held == 3 and len(set(drawn)) == 1
    assert module.weight.grad.tolist() == [[1.0, 1.0]]  # of the last attempt alone
    assert caplog.messages == [
        "Not enough memory for 12 pairs at a time; the training goes on with 6.",
        "Not enough memory for 6 pairs at a time; the training goes on with 3.",
    ]
    assert room.run(lambda most: float(most), module, 12) == 3.0


def test_not_enough_memory_for_one_pair_is_said() -> None:
    def attempt(most: int) -> float:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with pytest.raises(StageError, match="not enough memory to train on even one pair at a time"):
        Room(0).run(attempt, nn.Linear(1, 1), 5)


def test_other_errors_pass() -> None:
    def attempt(most: int) -> float:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Room(0).run(attempt, nn.Linear(1, 1), 5)
    assert is_out_of_memory(MemoryError()) and not is_out_of_memory(ValueError("out of memory"))


def test_bi_encoder_that_runs_out_of_memory_goes_on(tiny_encoder, monkeypatch) -> None:
    learner = build_bi_encoder(make_lesson(tiny_encoder, NEGATIVES))
    no_dropout(learner)
    loss, expected = learn(learner)
    encode, refused = type(learner).encode, []

    def refuse_large(self: object, side: str, rows: list) -> torch.Tensor:
        if len(rows) > 1:
            refused.append(len(rows))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, side, rows)

    monkeypatch.setattr(type(learner), "encode", refuse_large)
    again, gradients = learn(learner, PAIRS)
    assert again == pytest.approx(loss, rel=1e-5) and len(refused) == 2
    for name in expected:
        torch.testing.assert_close(gradients[name], expected[name], rtol=1e-3, atol=1e-6)
