"""Batches on a CPU in two lanes: threads that take them one by one, each with its share of the cores.

In one lane all cores share every operation and wait for each other at its end, thousands of times a second. Our
processes let threads sleep while they wait, since spinning ones ruin each other beside other work, and waking up takes
time, which adds up where operations are short (`benchmarks.retrieval`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Batch = TypeVar("Batch")
Result = TypeVar("Result")

_LANES = 2


def lanes_for(model: torch.nn.Module, device: torch.device) -> int:
    """How many lanes a model on that device has: one on an accelerator and on a single core.

    One, too, where what a model knows of positions changes with the longest text that it has seen so far.
    """
    kinds = (str(getattr(module, "rope_type", "")) for module in model.modules())
    has_state = any("dynamic" in kind or "longrope" in kind for kind in kinds)
    return _LANES if device.type == "cpu" and torch.get_num_threads() >= _LANES and not has_state else 1


def in_lanes(
    work: Callable[[Batch], Result],
    batches: Sequence[Batch],
    keep: Callable[[Batch, Result], None],
    around: Callable[[], AbstractContextManager[object]],
) -> None:
    """`work` on each batch, within `around` in each lane; `keep` gets what it returns, in this thread.

    They come as they get done, not in order. What is raised, by `work` or by `keep`, stops both lanes after the batch
    at hand, and is raised here.
    """
    every = torch.get_num_threads()
    shares = [max(1, (every + place) // _LANES) for place in range(_LANES)]
    openmp = ThreadpoolController().select(user_api="openmp")  # a limit there is one of the thread that sets it
    todo, lock, stopped = iter(batches), threading.Lock(), threading.Event()
    done: SimpleQueue[tuple[Batch, Result] | None] = SimpleQueue()  # None: a lane has ended

    def lane(threads: int) -> None:
        torch.get_num_threads()  # at its first use in a thread torch sets the count that is limited here
        try:
            with openmp.limit(limits=threads), around():
                while not stopped.is_set():
                    with lock:
                        batch = next(todo, None)
                    if batch is None:
                        break
                    done.put((batch, work(batch)))
        except BaseException:
            stopped.set()
            raise
        finally:
            done.put(None)

    with ThreadPoolExecutor(_LANES) as pool:
        try:
            lanes = [pool.submit(lane, share) for share in shares]
            running = len(lanes)
            while running:
                if (found := done.get()) is None:
                    running -= 1
                else:
                    keep(*found)
        finally:
            stopped.set()
        for one in lanes:
            one.result()
