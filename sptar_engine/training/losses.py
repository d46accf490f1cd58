"""What a retriever with two towers is trained to lower."""

from __future__ import annotations

import torch
from torch import Tensor


def contrastive_loss(scores: Tensor, answers: Tensor, hidden: Tensor) -> Tensor:
    """Mean over the queries of the mean over their answers of -log softmax of the answer's score, in nats.

    `scores` (queries, documents) are scaled similarities. `answers` (queries, documents) is true where a document is
    an answer to bring close, once in each row at least; `hidden` where it must not count against the query.

    With one answer each it is the cross-entropy of sentence-transformers' MultipleNegativesRankingLoss. With several
    it is L_out of supervised contrastive learning (arXiv 2004.11362, equation 2): the mean stands outside of the
    logarithm, so that no answer is left behind because another one is close already.
    """
    likely = scores.masked_fill(hidden, -torch.inf).log_softmax(dim=1)
    return -(likely.where(answers, likely.new_zeros(())).sum(dim=1) / answers.sum(dim=1)).mean()


def flops_loss(vectors: Tensor) -> Tensor:
    """Sum over the dimensions of the squared mean activation (FLOPS, arXiv 2004.05665): what an index has to multiply.

    `vectors` (texts, dimensions) have no negative values.
    """
    return vectors.mean(dim=0).square().sum()
