"""The bi-encoder (DPR, arXiv 2004.04906): query and document each become one vector, their cosine is the score.

The loss is that of sentence-transformers' MultipleNegativesRankingLoss, written here for one reason: with hard
negatives, those of one pair stand against every query of the batch, and where such a document is known to answer
another pair's query it must not count against it. Their loss has no place for that mask; a test shows both equal
where no mask applies. With Matryoshka (arXiv 2205.13147) the first values of a vector, brought to length 1, are a
vector too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn import functional

from sptar_engine.errors import ConfigError
from sptar_engine.records import Rankings
from sptar_engine.retrieval.dense import Vectors, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.development import DEPTH
from sptar_engine.training.learner import Lesson, Meter
from sptar_engine.training.tokens import TokenIds, TokenisedTexts, pad
from sptar_engine.training.transformer_tower import TransformerTower
from sptar_engine.training.two_tower import DOCUMENT, QUERY, Comparison, Part, join_rows


class BiEncoder(TransformerTower[SentenceTransformer, Tensor]):
    """A SentenceTransformer as a Learner. A text is a row of length 1."""

    def __init__(self, model: SentenceTransformer, lesson: Lesson) -> None:
        """Raises ConfigError for shorter vectors that are not shorter than the model's."""
        dimensions = model.get_embedding_dimension() or 0
        if long := [size for size in lesson.config.shorter if size >= dimensions]:
            raise ConfigError("train.matryoshka", f"{long[0]} is not less than the {dimensions} dimensions of the base")
        super().__init__(model, lesson)

    def encode(self, side: str, rows: Sequence[TokenIds]) -> Tensor:
        """One pass: (texts, dimensions)."""
        del side
        return functional.normalize(self.module(pad(self.module, rows))["sentence_embedding"], dim=-1)

    def join(self, parts: Sequence[Part], encoded: Sequence[Tensor]) -> Tensor:
        """Rows in order."""
        return join_rows(parts, encoded)

    def similarity(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Cosines."""
        return queries @ documents.T

    def compare(self, queries: Tensor, documents: Tensor) -> Comparison:
        """Scaled cosines, of the shorter vectors too."""
        config = self._lesson.config
        shorter = [
            config.scale * self.similarity(_shorten(queries, size), _shorten(documents, size))
            for size in config.shorter
        ]
        return Comparison(config.scale * self.similarity(queries, documents), shorter)

    def rank(self, meter: Meter) -> Rankings:
        """By the exact search that an evaluation uses."""
        development = self._lesson.development
        query_vectors = self._vectors(QUERY, self._dev_queries, list(development.queries))
        document_vectors = self._vectors(DOCUMENT, self._dev_documents, development.listed, meter)
        return search(list(development.queries), query_vectors, list(development.documents), document_vectors, DEPTH)

    def _vectors(self, side: str, tokens: TokenisedTexts, keys: list[str], meter: Meter | None = None) -> Vectors:
        """One row a key."""
        unique = list(dict.fromkeys(keys))
        rows = np.empty((len(unique), self.module.get_embedding_dimension() or 0), np.float32)
        for part in self._parts(side, tokens.rows(unique)):
            rows[part.places] = part.encode().cpu().numpy()
            if meter:
                self._advance(meter, len(part.places))
        numbers = {key: number for number, key in enumerate(unique)}
        return rows[[numbers[key] for key in keys]]


def build_bi_encoder(lesson: Lesson) -> BiEncoder:
    """The learner of the family `bi_encoder`."""
    return BiEncoder(load_bi_encoder(lesson.base, lesson.config.max_length, lesson.device), lesson)


def _shorten(vectors: Tensor, size: int) -> Tensor:
    return functional.normalize(vectors[:, :size], dim=-1)
