"""What the untrained base thinks of documents, for a cross-encoder that begins with a head drawn by chance.

Some hundred pairs are too few to learn from nothing how a query and its answer belong together. But the base of most
cross-encoders here knows: as a bi-encoder it finds answers without any training. So a cross-encoder without a teacher
follows the base's cosines while it learns from the labels, as Trans-Encoder (arXiv 2109.13059) does without labels. A
plain language model's cosines say nothing; so the base is asked only where its order of BM25's first hits is better
than BM25's own on the held-out queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sptar_engine.retrieval.dense import Vectors, encode
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.first_hits import FirstHits
from sptar_engine.training.learner import Lesson


@dataclass(frozen=True, slots=True)
class BaseOpinion:
    """Vectors of all training queries, by query key, and documents, by document key."""

    queries: Mapping[str, Vectors]
    documents: Mapping[int, Vectors]
    scale: float

    def score(self, query_key: str, document_key: int) -> float:
        """The scaled cosine, a logit as in a bi-encoder's loss."""
        return self.scale * float(self.queries[query_key] @ self.documents[document_key])


def ask_base(lesson: Lesson, first_hits: FirstHits) -> BaseOpinion | None:
    """The base's opinion on the documents of a lesson; None when BM25 knows better.

    Encodes the held-out hits and all training texts: about a minute for 1,400 abstracts on two cores.
    """
    config, training_set = lesson.config, lesson.training_set
    model = load_bi_encoder(lesson.base, config.max_length, lesson.device)

    def vectors(texts: list[str]) -> Vectors:
        return encode(model, texts, config.max_length)

    pairs = first_hits.pairs()
    queries, documents = vectors([query for query, _ in pairs]), vectors([text for _, text in pairs])
    cosines: list[float] = np.einsum("pd,pd->p", queries, documents).tolist()
    if not pairs or first_hits.score(cosines) <= first_hits.own_score:
        return None
    return BaseOpinion(
        dict(zip(training_set.queries, vectors(list(training_set.queries.values())), strict=True)),
        dict(zip(training_set.documents, vectors(list(training_set.documents.values())), strict=True)),
        config.scale,
    )
