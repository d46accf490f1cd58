"""How a student follows a teacher.

Teachers count on different scales: a cross-encoder's logits, a retriever's cosines, a language model's nats. The
stage teach brings all to one, on which the softmax of the scores fits the held-out answers best
(`teaching.fit_temperature`). A student's contrastive loss takes the softmax of its scores too, so both sides are
logits, and neither loss needs a scale of its own. Standardising each query instead would make as much of a query
whose documents the teacher finds all alike as of one where it is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from sptar_engine.data.beir import find_documents
from sptar_engine.data.taught import COSINE, Taught
from sptar_engine.training.pairs import document_key


def distillation_loss(kind: str, student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over the queries of how far the student is from the teacher, a scalar in float32; 0 when none is taught.

    `student` and `teacher` are logits (queries, documents); the teacher's are NaN where nothing is known. Column i is
    the own document of query i. `kind` is one of

    - `kl`: the divergence of the student's softmax over the known documents from the teacher's, in nats;
    - `margin_mse`: the mean squared difference of the margins between the own document and each other known one
      (Hofstätter et al., arXiv 2010.02666).

    A query with fewer than two known documents (its own among them, for margins) says nothing and does not count.
    """
    return _LOSSES[kind](student.float(), teacher.detach().float())


def key_scores(prepare: Path, taught: Mapping[str, Taught], scale: float) -> dict[str, dict[int, float]]:
    """What the stage teach left, by document key in place of id: documents of equal text are one to a training.

    Cosines become logits as the student's do, times `scale`.
    """
    found = find_documents(prepare, {doc_id for one in taught.values() for doc_id in one.doc_ids})
    keys = {doc_id: document_key(document.content) for doc_id, document in found.items()}
    return {
        query_key: {
            keys[doc_id]: score * (scale if one.unit == COSINE else 1.0)
            for doc_id, score in zip(one.doc_ids, one.scores, strict=True)
        }
        for query_key, one in taught.items()
    }


def _listwise_kl(student: Tensor, teacher: Tensor) -> Tensor:
    known = teacher.isfinite()
    rows = known.sum(1) > 1
    known, student, teacher = known[rows], student[rows], teacher[rows]
    wanted = teacher.masked_fill(~known, -torch.inf).log_softmax(1)
    given = student.masked_fill(~known, -torch.inf).log_softmax(1)
    # What is not known has no share on either side: without the mask it would be 0 · (∞ - ∞).
    away = torch.where(known, wanted - given, 0.0)
    return _mean((wanted.exp() * away).sum(1), student)


def _margin_mse(student: Tensor, teacher: Tensor) -> Tensor:
    others = teacher.isfinite() & teacher.diagonal().isfinite()[:, None]
    others.fill_diagonal_(False)
    rows = others.any(1)
    # The unknown is 0 on both sides before anything is computed with it: NaN · 0 is NaN in a gradient too.
    wanted = _margins(teacher.nan_to_num())[rows]
    away = torch.where(others[rows], _margins(student)[rows] - wanted, 0.0)
    return _mean(away.square().sum(1) / others[rows].sum(1), student)


def _margins(scores: Tensor) -> Tensor:
    return scores.diagonal()[:, None] - scores


def _mean(losses: Tensor, student: Tensor) -> Tensor:
    """The mean, or a 0 that a gradient can be taken of."""
    return losses.mean() if len(losses) else student.sum() * 0


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"kl": _listwise_kl, "margin_mse": _margin_mse}
