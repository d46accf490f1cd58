"""train: bring queries and their documents together in the vectors of a retriever, never to end below the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sptar_engine.artifacts import content_hash, sha256_file, write_jsonl
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import TrainConfig
from sptar_engine.data.beir import CORPUS_FILE, QUERIES_FILE, qrels_path
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.batches import BatchPlan
from sptar_engine.training.bi_encoder import build_bi_encoder
from sptar_engine.training.development import MEASURE, ScoreCache, read_development_set
from sptar_engine.training.learner import Learner, Lesson, Meter
from sptar_engine.training.mixing import Mixture, choose_mixture
from sptar_engine.training.negatives import mine_negatives
from sptar_engine.training.pairs import read_training_set
from sptar_engine.training.retriever_loop import RetrieverLoop, Training, total_work

MODEL_FOLDER = "model"
HISTORY_FILE = "history.jsonl"
_CHECKPOINT = "checkpoint.pt"
_SCORING = 1  # raise when a family's score() changes, so that scores in caches are not used any more

FAMILIES: dict[str, Callable[[Lesson], Learner]] = {"bi_encoder": build_bi_encoder}
"""How the learner of each `train.family` is built."""


def run(config: TrainConfig, context: StageContext) -> StageOutput:
    """Write the best model by held-out nDCG@10, the untrained one if none is better, and the history.

    Raises InputError for a bad decisions file, no pairs or no held-out queries.
    """
    lesson = read_lesson(config, context)
    prepare_torch(config.seed, config.threads)
    learner = FAMILIES[config.family](lesson)
    base_scores = ScoreCache(context.cache, _score_key(lesson, context))
    training, mixture = train(learner, lesson, base_scores, context)
    learner.save(context.out_dir / MODEL_FOLDER)
    write_jsonl(context.out_dir / HISTORY_FILE, training.history())
    return StageOutput({**lesson.training_set.counts, **summarise(training, mixture)})


def read_lesson(config: TrainConfig, context: StageContext) -> Lesson:
    """What the stage's inputs hold: pairs, hard negatives asked for or named by a person, and held-out queries."""
    prepare = context.input("prepare")
    filtered, decisions = context.inputs.get("filter"), context.inputs.get("decisions")
    training_set = read_training_set(prepare, filtered, decisions, config.weak_limit)
    development = read_development_set(prepare, config.dev_pool)
    training_set = mine_negatives(training_set, prepare, context.cache, config)
    base = encoder_folder(config.base, context.models)
    return Lesson(config, base, context.device, training_set, development)


def train(learner: Learner, lesson: Lesson, base_scores: ScoreCache, context: StageContext) -> tuple[Training, Mixture]:
    """Measure the untrained model, train, try mixtures, and leave the learner with the weights that measured best."""
    config = lesson.config
    pairs, positives = lesson.training_set.pairs, lesson.training_set.positives
    plan = BatchPlan(pairs, positives, config.batch_size, config.epochs, config.seed)
    meter = Meter(context.tick, total_work(config, len(pairs), learner.evaluation_size))
    base_score = base_scores.get()
    if base_score is None:
        base_score = learner.score(meter)
        base_scores.put(base_score)
    else:
        meter.skip(learner.evaluation_size)
    base = {name: value.detach().cpu().clone() for name, value in learner.module.state_dict().items()}
    training = RetrieverLoop(learner, plan, config, context.scratch / _CHECKPOINT).run(base_score, meter)
    known = {0.0: base_score, 1.0: training.scores[training.best_step]}
    return training, choose_mixture(learner, base, training.best, known, config.shares, meter)


def summarise(training: Training, mixture: Mixture) -> dict[str, Any]:
    """The numbers of a finished training and a sentence that reads them."""
    return {
        "steps": training.step,
        "best_step": training.best_step,
        "share": mixture.share,
        f"dev_{MEASURE}_untrained": training.scores[0],
        f"dev_{MEASURE}_trained": training.scores[training.best_step],
        f"dev_{MEASURE}": mixture.scores[mixture.share],
        "mixtures": {f"{share:g}": score for share, score in mixture.scores.items()},
        "kept_untrained": mixture.share == 0,
        "sentence": _sentence(training, mixture),
    }


def _sentence(training: Training, mixture: Mixture) -> str:
    before, trained = training.scores[0], training.scores[training.best_step]
    after, share = mixture.scores[mixture.share], mixture.share
    if share == 0:
        best = max(trained, *(score for tried, score in mixture.scores.items() if tried))
        return (
            "Kept the untrained model: training did not help on the held-out questions: "
            f"{MEASURE} {_against(best, before)}."
        )
    what = "training" if share == 1 else f"a mixture of {share:.0%} trained and {1 - share:.0%} untrained weights"
    said = f"On the held-out questions {what} reached {MEASURE} {_against(after, before)} of the untrained model."
    if trained < before:
        said += f" The trained weights alone are below it: {_against(trained, before)}."
    return said


def _against(score: float, other: float) -> str:
    """Both scores, with as many digits as show a difference."""
    digits = 3 if f"{score:.3f}" != f"{other:.3f}" else 5
    return f"{score:.{digits}f} against {other:.{digits}f}"


def _score_key(lesson: Lesson, context: StageContext) -> dict[str, Any]:
    """Everything the untrained model's dev score depends on, to the last digit."""
    prepare, config = context.input("prepare"), lesson.config
    files = (prepare / CORPUS_FILE, prepare / QUERIES_FILE, qrels_path(prepare, "dev"))
    return {
        "files": [sha256_file(path) for path in files],
        "base": content_hash(lesson.base),
        "settings": [config.family, config.max_length, config.dev_pool],
        "scoring": _SCORING,
        "machine": [lesson.device, torch.get_num_threads(), torch.__version__],
    }
