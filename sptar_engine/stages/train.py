"""train: bring queries and their documents together in the eyes of a retriever, never to end below the start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sptar_engine.artifacts import content_hash, sha256_file, sha256_json, write_jsonl
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import CROSS_ENCODER_NEGATIVES, STARTS_RANDOM, TrainConfig
from sptar_engine.data.beir import CORPUS_FILE, QUERIES_FILE, qrels_path
from sptar_engine.data.mined import read_mined
from sptar_engine.data.seeds import seeds_path
from sptar_engine.data.taught import read_taught
from sptar_engine.errors import InputError
from sptar_engine.retrieval.fusion import Fusion
from sptar_engine.retrieval.kinds import QUERY
from sptar_engine.retrieval.reordering import reading_fusion
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.adapter import build_adapter
from sptar_engine.training.base_vectors import BaseVectors, open_base_vectors
from sptar_engine.training.batches import BatchPlan
from sptar_engine.training.bi_encoder import build_bi_encoder
from sptar_engine.training.cross_encoder import build_cross_encoder, queries_per_step
from sptar_engine.training.development import ScoreCache, read_development_set
from sptar_engine.training.distillation import key_scores
from sptar_engine.training.late_interaction import build_late_interaction
from sptar_engine.training.learner import Learner, Lesson, Meter
from sptar_engine.training.lora import load_trained_values, plain_weights
from sptar_engine.training.mixing import Mixture, choose_mixture
from sptar_engine.training.negatives import fill_negatives
from sptar_engine.training.pairs import TrainingSet, check_negatives, read_training_set
from sptar_engine.training.query_tower import build_query_tower
from sptar_engine.training.retriever_loop import RetrieverLoop, Training, total_work
from sptar_engine.training.sparse import build_sparse, predicts_words
from sptar_engine.training.summary import summarise
from sptar_engine.training.yardstick import Yardstick, count_measured, measure_once, measure_yardstick

MODEL_FOLDER = "model"
HISTORY_FILE = "history.jsonl"
_CHECKPOINT = "checkpoint.pt"
_SCORING = 1  # raise when a family's score() changes, so that scores in caches are not used any more

FAMILIES: dict[str, Callable[[Lesson], Learner]] = {
    "bi_encoder": build_bi_encoder,
    "late_interaction": build_late_interaction,
    "cross_encoder": build_cross_encoder,
    "sparse": build_sparse,
    "adapter": build_adapter,
}
"""How the learner of each `train.family` is built."""


def run(config: TrainConfig, context: StageContext) -> StageOutput:
    """Write the best model by held-out nDCG@10, the untrained one if none is better, and the history.

    Raises InputError for a bad decisions file, no pairs, no held-out queries, hard negatives that are missing, and
    ConfigError for an option that does not fit the base.
    """
    lesson = read_lesson(config, context)
    prepare_torch(config.seed, config.threads)
    learner = build_query_tower(lesson) if learns_queries_alone(config) else FAMILIES[config.family](lesson)
    training, mixture, yardstick = train(learner, lesson, context)
    learner.save(context.out_dir / MODEL_FOLDER)
    write_jsonl(context.out_dir / HISTORY_FILE, training.history())
    counts = {**lesson.training_set.counts} | ({"taught_queries": len(lesson.taught)} if _teach(context) else {})
    beside = reading_fusion(context.out_dir / MODEL_FOLDER)
    weight = {} if beside is None else {"weight": beside.weight}
    notes = _notes(lesson, context, beside)
    return StageOutput({**counts, **weight, **summarise(training, mixture, yardstick, notes)})


def read_lesson(config: TrainConfig, context: StageContext) -> Lesson:
    """What the stage's inputs hold: pairs, hard negatives, a teacher's scores, and held-out queries.

    Raises InputError when hard negatives are asked for and not given, and when every document answers every query.
    """
    prepare, mine, teach = context.input("prepare"), context.inputs.get("mine"), _teach(context)
    filtered, decisions = context.inputs.get("filter"), context.inputs.get("decisions")
    training_set = read_training_set(prepare, filtered, decisions, config.weak_limit)
    development = read_development_set(prepare, config.dev_pool)
    reads_pairs = config.family == "cross_encoder"
    wanted = max(config.negatives, CROSS_ENCODER_NEGATIVES) if reads_pairs else config.negatives
    if config.negatives and mine is None:
        raise InputError(
            f"train.negatives={config.negatives} asks for hard negatives; the stage mine finds them, and its result "
            "was not given as an input; with train.negatives=0 a training does without."
        )
    taught = read_taught(teach) if teach else {}
    training_set = fill_negatives(training_set, prepare, read_mined(mine) if mine else {}, taught, wanted)
    check_negatives(training_set)
    base = encoder_folder(config.base, context.models)
    scores = key_scores(prepare, {key: taught[key] for key in training_set.queries if key in taught}, config.scale)
    vectors = _open_vectors(config, context, base, training_set) if learns_queries_alone(config) else None
    return Lesson(config, base, context.device, training_set, development, prepare, context.cache, scores, vectors)


def train(learner: Learner, lesson: Lesson, context: StageContext) -> tuple[Training, Mixture, Yardstick | None]:
    """Measure what is to be beaten, train, try mixtures, and leave the learner with the weights that measured best."""
    config, training_set = lesson.config, lesson.training_set
    size = queries_per_step(config) if config.family == "cross_encoder" else config.batch_size
    positives, together = training_set.positives, config.multi_positive
    plan = BatchPlan(training_set.pairs, positives, size, config.epochs, config.seed, together, config.answers)
    starts_random = config.family in STARTS_RANDOM
    others = count_measured(config) + (0 if starts_random else 1 + sum(share < 1 for share in config.shares))
    meter = Meter(context.tick, total_work(config, plan.pairs_an_epoch, learner.evaluation_size, others))
    untrained = ScoreCache(context.cache, _score_key(lesson, context, "bi_encoder"))
    yardstick = measure_yardstick(lesson, untrained, learner.evaluation_size, meter)
    loop = RetrieverLoop(learner, plan, config, context.scratch / _CHECKPOINT)
    if starts_random:
        assert yardstick is not None, config.family
        training = loop.run(yardstick.score, meter)
        load_trained_values(learner.module, training.best)
        return training, Mixture(1.0, {1.0: training.scores[training.best_step]}), yardstick
    own = ScoreCache(context.cache, _score_key(lesson, context, config.family))
    base_score = measure_once(lambda: learner, own, learner.evaluation_size, meter)
    base = plain_weights(learner.module)
    training = loop.run(base_score, meter)
    load_trained_values(learner.module, training.best)
    known = {0.0: base_score, 1.0: training.scores[training.best_step]}
    mixture = choose_mixture(learner, base, plain_weights(learner.module), known, config.shares, meter)
    return training, mixture, yardstick


def learns_queries_alone(config: TrainConfig) -> bool:
    """Whether documents keep the vectors of the base; a family with one encoder for both sides knows no such thing."""
    return config.family == "bi_encoder" and config.towers == QUERY


def _open_vectors(config: TrainConfig, context: StageContext, base: Path, training_set: TrainingSet) -> BaseVectors:
    return open_base_vectors(
        base, context.input("prepare"), context.cache, training_set.documents.keys(),
        max_length=config.max_length, device=context.device,
        tick=lambda done, total: context.tick(done, total, "documents encoded"),
    )  # fmt: skip


def _teach(context: StageContext) -> Path | None:
    return context.inputs.get("teach")


def _notes(lesson: Lesson, context: StageContext, beside: Fusion | None) -> list[str]:
    notes = []
    if beside is not None and beside.weight is not None and beside.weight < 1:
        notes.append(f"Its score counts {beside.weight:.0%} there, BM25's {1 - beside.weight:.0%}.")
    if _teach(context) and not lesson.taught:
        notes.append("Nobody taught it: its teacher was not fit to teach.")
    if lesson.config.family == "sparse" and not predicts_words(lesson.base):
        notes.append(
            "It is a sparse autoencoder: this base has no head that predicts words, as SPLADE needs, so the places of "
            "its vectors stand for no words."
        )
    return notes


def _score_key(lesson: Lesson, context: StageContext, family: str) -> dict[str, Any]:
    """Everything the untrained model's dev score depends on, to the last digit."""
    prepare, config = lesson.prepare, lesson.config
    # The seeds tell which of the judged queries count.
    files = (prepare / CORPUS_FILE, prepare / QUERIES_FILE, qrels_path(prepare, "dev"), seeds_path(prepare, "dev"))
    key = {
        "files": [sha256_file(path) for path in files],
        "base": content_hash(lesson.base),
        "settings": [family, config.max_length, config.dev_pool],
        "scoring": _SCORING,
        "machine": [lesson.device, torch.get_num_threads(), torch.__version__],
    }
    if learns_queries_alone(config):
        key["towers"] = config.towers
    if family == "late_interaction":  # begins with what the training documents show
        key["start"] = [config.token_dimensions, sha256_json(sorted(lesson.training_set.documents))]
    return key
