from __future__ import annotations

import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.retrieval import dense, lanes
from sptar_engine.retrieval.dense import BFLOAT16, encode
from sptar_engine.retrieval.lanes import in_lanes, lanes_for


def test_each_batch_is_worked_on_once_and_kept_in_the_callers_thread() -> None:
    kept: dict[int, int] = {}
    where = set()

    def keep(batch: int, result: int) -> None:
        kept[batch] = result
        where.add(threading.current_thread())

    in_lanes(lambda number: number * number, range(200), keep, nullcontext)
    assert kept == {number: number * number for number in range(200)}
    assert where == {threading.current_thread()}


def test_lanes_share_the_cores_and_leave_the_caller_its_own() -> None:
    before = torch.get_num_threads()
    counts: list[int] = []
    both = threading.Barrier(2, timeout=30)

    def count(_: int) -> int:
        both.wait()  # so that each lane has one of the two
        return torch.get_num_threads()

    in_lanes(count, [1, 2], lambda _, threads: counts.append(threads), nullcontext)
    assert sorted(counts) == sorted(max(1, share) for share in (before // 2, before - before // 2))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("broken", ["work", "keep"])
def test_what_goes_wrong_stops_both_lanes_and_reaches_the_caller(broken: str) -> None:
    worked: list[int] = []

    def work(number: int) -> int:
        worked.append(number)
        if broken == "work" and number == 3:
            raise RuntimeError("no memory")
        return number

    def keep(number: int, _: int) -> None:
        if broken == "keep" and number == 3:
            raise RuntimeError("cancelled")

    threads = threading.active_count()
    with pytest.raises(RuntimeError, match="no memory" if broken == "work" else "cancelled"):
        in_lanes(work, range(1_000_000), keep, nullcontext)
    assert len(worked) < 1_000_000
    assert threading.active_count() == threads


def test_encoding_in_lanes_is_encoding_in_one(tiny_encoder, monkeypatch) -> None:
    model = SentenceTransformer(str(tiny_encoder), device="cpu")
    texts = [f"falcon {'and owl ' * (number % 7)} {number}" for number in range(90)]
    monkeypatch.setattr(dense, "_CHUNK_TOKENS_ROUNDED", {"cpu": 64})
    taken: list[int] = []
    formats: list[tuple[bool, torch.dtype]] = []
    entered: list[torch.autocast] = []
    encode_batch, autocast = dense._encode_batch, torch.autocast

    def encode_one(*given) -> np.ndarray:
        formats.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return encode_batch(*given)

    monkeypatch.setattr(dense, "_encode_batch", encode_one)
    monkeypatch.setattr(
        dense, "in_lanes", lambda work, batches, *rest: (taken.append(len(batches)), in_lanes(work, batches, *rest))
    )
    monkeypatch.setattr(
        torch, "autocast", lambda *given, **named: (entered.append(given), autocast(*given, **named))[1]
    )
    monkeypatch.setattr(dense, "lanes_for", lambda model, device: 2)
    told: list[tuple[int, int]] = []
    in_two = encode(model, texts, 64, lambda *done: told.append(done), number_format=BFLOAT16)
    assert taken and taken[0] > 10 and told[-1] == (90, 90)
    assert formats == [(True, torch.bfloat16)] * (taken[0] + 1)
    assert len(entered) == 3  # ahead, and in each lane
    encode(model, texts, 64)
    assert len(taken) == 1  # float32 never
    assert formats[-1][0] is False
    encode(model, ["falcon", "owl " * 60], 64, number_format=BFLOAT16)
    assert len(taken) == 1  # two batches or fewer neither
    monkeypatch.setattr(dense, "lanes_for", lambda model, device: 1)
    np.testing.assert_allclose(in_two, encode(model, texts, 64, number_format=BFLOAT16), atol=0.02)
    assert len(taken) == 1


def test_accelerators_single_cores_and_models_that_remember_have_one_lane(monkeypatch) -> None:
    cpu, plain, remembers = torch.device("cpu"), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    remembers.rope_type = "dynamic"
    monkeypatch.setattr(lanes.torch, "get_num_threads", lambda: 4)
    assert lanes_for(plain, cpu) == 2
    assert lanes_for(plain, torch.device("cuda")) == 1
    assert lanes_for(torch.nn.Sequential(remembers), cpu) == 1
    monkeypatch.setattr(lanes.torch, "get_num_threads", lambda: 1)
    assert lanes_for(plain, cpu) == 1
