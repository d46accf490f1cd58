"""The numbers of a finished training and sentences that read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sptar_engine.training.development import MEASURE
from sptar_engine.training.mixing import Mixture
from sptar_engine.training.retriever_loop import Training
from sptar_engine.training.yardstick import Yardstick


def summarise(
    training: Training, mixture: Mixture, yardstick: Yardstick | None = None, notes: Iterable[str] = ()
) -> dict[str, Any]:
    """The numbers of a finished training and a sentence that reads them, with `notes` behind it.

    `dev_nDCG@10_untrained` is the untrained model's, and the yardstick's where share 0 was no candidate.
    """
    measured = {} if yardstick is None else {"yardstick": yardstick.name, f"dev_{MEASURE}_yardstick": yardstick.score}
    sentences = [_outcome(training, mixture, yardstick), *notes]
    return {
        "steps": training.step,
        "best_step": training.best_step,
        "share": mixture.share,
        f"dev_{MEASURE}_untrained": training.scores[0],
        f"dev_{MEASURE}_trained": training.scores[training.best_step],
        f"dev_{MEASURE}": mixture.scores[mixture.share],
        **measured,
        "mixtures": {f"{share:g}": score for share, score in mixture.scores.items()},
        "kept_untrained": mixture.share == 0,
        "sentence": " ".join(sentences),
    }


def _outcome(training: Training, mixture: Mixture, yardstick: Yardstick | None) -> str:
    if yardstick is None:
        return _against_own(training, mixture)
    after = mixture.scores[mixture.share]
    compared = _against(after, yardstick.score)
    if 0.0 in mixture.scores:
        said = f"{_against_own(training, mixture)} {_upper(yardstick.name)} has {yardstick.score:.3f}."
    else:
        said = f"On the held-out questions training reached {MEASURE} {compared} of {yardstick.name}."
    if after > yardstick.score:
        return said
    return f"{said} So this retriever is not better than {yardstick.name} ({compared})."


def _against_own(training: Training, mixture: Mixture) -> str:
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


def _upper(words: str) -> str:
    return words[0].upper() + words[1:]


def _against(score: float, other: float) -> str:
    """Both scores, with as many digits as show a difference."""
    digits = 3 if f"{score:.3f}" != f"{other:.3f}" else 5
    return f"{score:.{digits}f} against {other:.{digits}f}"
