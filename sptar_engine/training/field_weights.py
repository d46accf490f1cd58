"""What a search is worth beside another: weights under which the known answers of queries are likeliest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sptar_engine.training.fields import Features, Field, Weights

_PER_COSINE, _PER_SHARE = (1e-3, 100.0), (0.0, 100.0)  # bounds of the weights, in nats
_START = (10.0, 1.0)
_MOST_COSINES = 2.0  # that BM25's best hit may be worth: cosines span no more

_Rows = Sequence[tuple[Features, NDArray[np.bool_]]]
"""Of each query the features of its documents, and which of them answer it."""


def fit_weights(fields: Mapping[str, Field], answers: Mapping[str, Sequence[str]]) -> Weights:
    """The weights under which the softmax of the scores gives the answers most, in the mean of the queries.

    It minimises the mean over the queries of the mean of -log softmax of the answers, which is convex. Queries of
    which no answer is in the field say nothing; when there is no other, BM25 has no weight.

    BM25's best score is worth 2 cosines at most. Lessons are in cosines, so where the answers have the lowest cosines
    of all, a weight of next to nothing for these would teach scores of thousands of cosines, out of a student's reach.
    """
    rows = [
        (field.features, np.isin(field.doc_ids, list(answers.get(query_id, ())))) for query_id, field in fields.items()
    ]
    telling = [(features, found) for features, found in rows if found.any()]
    if not telling:
        return Weights(_START[0], 0.0)
    fitted = optimize.minimize(_loss, _START, args=(telling,), jac=True, bounds=(_PER_COSINE, _PER_SHARE))
    weights = Weights(*map(float, fitted.x))
    return weights if weights.share <= _MOST_COSINES * weights.cosine else _fit_on_the_limit(telling)


def _fit_on_the_limit(rows: _Rows) -> Weights:
    """The best weights of which BM25's is as high as it may be: the loss is convex, so none below the limit is better.

    There is one number to fit, what a cosine is worth, and one feature: the cosine and twice the share.
    """
    both = np.array([1.0, _MOST_COSINES])

    def loss(cosine: NDArray[np.float64]) -> tuple[float, Features]:
        value, slope = _loss(cosine * both, rows)
        return value, np.array([slope @ both])

    bounds = (_PER_COSINE[0], min(_PER_COSINE[1], _PER_SHARE[1] / _MOST_COSINES))
    cosine = float(optimize.minimize(loss, _START[:1], jac=True, bounds=(bounds,)).x[0])
    return Weights(cosine, _MOST_COSINES * cosine)


def _loss(weights: NDArray[np.float64], rows: _Rows) -> tuple[float, Features]:
    """The loss and its gradient."""
    total, slope = 0.0, np.zeros(2)
    for features, found in rows:
        logits = features @ weights
        likely = logits - np.logaddexp.reduce(logits)
        total -= likely[found].mean()
        slope += np.exp(likely) @ features - features[found].mean(axis=0)
    return total / len(rows), slope / len(rows)
