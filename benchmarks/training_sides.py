"""One side of the benchmark of training, in a process of its own.

    python -m benchmarks.training_sides SIDE PREPARE FILTER MODELS BASE EPOCHS MARKS THREADS

PREPARE and FILTER are folders of finished stages. Prints one line of JSON: nDCG@10 of the untrained model, for each
mark the seconds of training so far and nDCG@10, and the peak memory in MiB. Imports and measuring do not count as
seconds; loading the model, the index for the teacher, its lesson and every step do.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import TrainerCallback

from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import TeachConfig, TrainConfig
from sptar_engine.evaluation.metrics import measure
from sptar_engine.memory import PeakMemory
from sptar_engine.pipeline import Store, run_stage
from sptar_engine.presets import PRESETS, Settings
from sptar_engine.retrieval.dense import encode, search
from sptar_engine.retrieval.java import java_class
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext
from sptar_engine.stages.train import learns_queries_alone, read_lesson
from sptar_engine.training.batches import Batch, BatchPlan
from sptar_engine.training.bi_encoder import build_bi_encoder
from sptar_engine.training.cached_gradients import Room
from sptar_engine.training.development import DEPTH, MEASURE, DevelopmentSet, read_development_set
from sptar_engine.training.learner import Learner, Meter
from sptar_engine.training.pairs import read_training_set
from sptar_engine.training.query_tower import build_query_tower
from sptar_engine.training.retriever_loop import RetrieverLoop

_SEED = 13


@dataclass(slots=True)
class Watch:
    """Counts the seconds of training, and measures while it stands still."""

    measure: Callable[[], float]
    course: list[tuple[float, float]] = field(default_factory=list)
    _spent: float = 0.0
    _since: float = 0.0

    def start(self) -> None:
        """Let time run."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Let time stand still."""
        self._spent += time.perf_counter() - self._since

    def mark(self) -> float:
        """Measure with the clock stopped, and start it again."""
        self.pause()
        score = self.measure()
        self.course.append((self._spent, score))
        self.start()
        return score


@dataclass(frozen=True, slots=True)
class Watched:
    """A Learner whose score is measured by a Watch."""

    learner: Learner
    watch: Watch

    @property
    def module(self) -> torch.nn.Module:
        """The learner's."""
        return self.learner.module

    @property
    def evaluation_size(self) -> int:
        """The learner's."""
        return self.learner.evaluation_size

    @property
    def room(self) -> Room:
        """The learner's."""
        return self.learner.room

    def learn(self, batch: Batch) -> float:
        """The learner's."""
        return self.learner.learn(batch)

    def score(self, meter: Meter) -> float:
        """A mark of the watch, which asks the learner."""
        del meter
        return self.watch.mark()

    def save(self, folder: Path) -> None:
        """The learner's."""
        self.learner.save(folder)


@dataclass(frozen=True, slots=True)
class Task:
    """The finished stages that all sides learn from, and what the command asks for."""

    prepare: Path
    filtered: Path
    models: Path
    base: str
    epochs: int
    marks: int
    threads: int


def train_ours(settings: Settings, task: Task, folder: Path) -> tuple[float, Watch]:
    """The teacher's stage where there is one, then our loop."""
    store = Store(root=folder, models=task.models)
    inputs = {"prepare": task.prepare, "filter": task.filtered}
    count = task.epochs * task.marks
    shared = {"base": task.base, "threads": task.threads}
    numbers = {**shared, "epochs": task.epochs, "evaluations": count, "patience": count}
    config = TrainConfig(**{**settings.get("train", {}), **numbers})  # type: ignore[arg-type]
    watch = Watch(lambda: 0.0)
    silent = Meter(lambda *_, **__: None, 1)
    watch.start()
    if teach := settings.get("teach"):
        teaching = TeachConfig(**{**teach, **shared})  # type: ignore[arg-type]
        inputs["teach"] = run_stage(teaching, inputs, store).folder
    context = StageContext(
        stage="train", out_dir=folder, inputs=inputs, cache=store.cache, models=task.models, device="cpu"
    )
    lesson = read_lesson(config, context)
    learner = (build_query_tower if learns_queries_alone(config) else build_bi_encoder)(lesson)
    watch.measure = lambda: learner.score(silent)
    watch.pause()
    untrained = watch.measure()
    pairs = lesson.training_set
    plan = BatchPlan(
        pairs.pairs, pairs.positives, config.batch_size, config.epochs, config.seed, answers=config.answers
    )
    watch.start()
    RetrieverLoop(Watched(learner, watch), plan, config, folder / "checkpoint.pt").run(untrained, silent)
    return untrained, watch


def train_plainly(task: Task, folder: Path) -> tuple[float, Watch]:
    """As the documentation of sentence-transformers has it."""
    pairs = read_training_set(task.prepare, task.filtered, None, 0)
    anchors = [pair.query for pair in pairs.pairs]
    positives = [pairs.documents[pair.document_key] for pair in pairs.pairs]
    development = read_development_set(task.prepare, 0)
    config = TrainConfig(epochs=task.epochs)
    base = encoder_folder(task.base, task.models)
    watch = Watch(lambda: 0.0)
    watch.start()
    model = SentenceTransformer(str(base), device="cpu", local_files_only=True)
    model.max_seq_length = config.max_length
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder), num_train_epochs=config.epochs, per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate, warmup_steps=config.warmup, seed=_SEED, use_cpu=True,
        save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    every = max(1, -(-len(anchors) // config.batch_size) // task.marks)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"anchor": anchors, "positive": positives}),
        loss=MultipleNegativesRankingLoss(model, scale=config.scale),
        callbacks=[_Marks(watch, every)],
    )
    watch.measure = partial(score, model, development)
    watch.pause()
    untrained = watch.measure()
    watch.start()
    trainer.train()
    return untrained, watch


class _Marks(TrainerCallback):
    """A mark after every so many steps and at the end."""

    def __init__(self, watch: Watch, every: int) -> None:
        self._watch = watch
        self._every = every

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See TrainerCallback."""
        del args, control
        if state.global_step % self._every == 0 or state.global_step == state.max_steps:
            self._watch.mark()


def score(model: SentenceTransformer, development: DevelopmentSet) -> float:
    """nDCG@10 on the held-out queries, as our learners measure it."""
    was_training = model.training
    model.eval()
    queries, documents = development.queries, development.documents
    query_vectors, vectors = (encode(model, list(texts.values()), 256) for texts in (queries, documents))
    found = search(list(queries), query_vectors, list(documents), vectors, DEPTH)
    model.train(was_training)
    return measure(development.qrels, found).mean[MEASURE]


SIDES: Mapping[str, Callable[[Task, Path], tuple[float, Watch]]] = {
    "sentence_transformers": train_plainly,
    "ours": partial(train_ours, PRESETS["balanced"].settings),
    "ours_both_towers": partial(train_ours, {}),
}


def main() -> None:
    """Run one side and print."""
    side, prepare, filtered, models, base, *numbers = sys.argv[1:]
    epochs, marks, threads = map(int, numbers)
    task = Task(Path(prepare), Path(filtered), Path(models), base, epochs, marks, threads)
    prepare_torch(_SEED, threads)
    if side == "ours":
        java_class("java.lang.String")  # as an import: once in a process
    peak = PeakMemory()
    with tempfile.TemporaryDirectory() as folder:
        untrained, watch = SIDES[side](task, Path(folder))
    print(json.dumps({"untrained": untrained, "course": watch.course, "mib": peak.mib()}))


if __name__ == "__main__":
    main()
