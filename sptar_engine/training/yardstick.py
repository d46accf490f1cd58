"""What a family whose untrained state is no baseline is held against on the held-out queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sptar_engine.configs import TrainConfig
from sptar_engine.evaluation.metrics import measure
from sptar_engine.training.bi_encoder import build_bi_encoder
from sptar_engine.training.development import MEASURE, ScoreCache
from sptar_engine.training.development_corpus import search_words
from sptar_engine.training.learner import Learner, Lesson, Meter
from sptar_engine.training.pairs import TrainingSet

UNTRAINED, BM25 = "the untrained bi-encoder", "BM25"

_YARDSTICKS = {"late_interaction": UNTRAINED, "sparse": UNTRAINED, "cross_encoder": BM25}


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A retriever to beat, in words, and its dev nDCG@10."""

    name: str
    score: float


def measure_yardstick(lesson: Lesson, known: ScoreCache, size: int, meter: Meter) -> Yardstick | None:
    """Measure what the lesson's family is held against. None for families that start as the untrained bi-encoder.

    `known` keeps the score of the untrained bi-encoder, which all families and arms of an experiment share;
    `size` is the number of texts that measuring it puts through the model.
    """
    name = _YARDSTICKS.get(lesson.config.family)
    if name is None:
        return None
    if name == BM25:
        config = lesson.config
        rankings = search_words(
            lesson.development, lesson.prepare, lesson.cache, config.rerank_depth, config.k1, config.b
        )
        return Yardstick(name, measure(lesson.development.qrels, rankings).mean[MEASURE])
    return Yardstick(name, measure_once(lambda: _bi_encoder(lesson), known, size, meter))


def measure_once(build: Callable[[], Learner], known: ScoreCache, size: int, meter: Meter) -> float:
    """The dev score of an untrained model that is built when nobody has measured it yet.

    `size` is its `evaluation_size`, which the meter passes over when somebody has.
    """
    score = known.get()
    if score is None:
        score = build().score(meter)
        known.put(score)
    else:
        meter.skip(size)
    return score


def count_measured(config: TrainConfig) -> int:
    """How many times `measure_yardstick` puts the development documents through a model."""
    return int(_YARDSTICKS.get(config.family) == UNTRAINED)


def _bi_encoder(lesson: Lesson) -> Learner:
    config = replace(lesson.config, lora_rank=0, matryoshka="")
    return build_bi_encoder(replace(lesson, config=config, training_set=TrainingSet((), {}, {})))
