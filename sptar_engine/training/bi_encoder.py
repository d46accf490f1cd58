"""The bi-encoder (DPR, arXiv 2004.04906): query and document each become one vector, their cosine is the score.

The loss is that of sentence-transformers' MultipleNegativesRankingLoss, written here for one reason: with hard
negatives, those of one pair stand against every query of the batch, and where such a document is known to answer
another pair's query it must not count against it. Their loss has no place for that mask; a test shows both equal
where no mask applies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.nn import functional

from sptar_engine.evaluation.metrics import measure
from sptar_engine.retrieval.dense import Vectors, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.batches import Batch
from sptar_engine.training.development import DEPTH, MEASURE, DevelopmentSet
from sptar_engine.training.learner import Lesson, Meter
from sptar_engine.training.negatives import batch_negatives
from sptar_engine.training.pairs import TrainingSet
from sptar_engine.training.tokens import TokenisedTexts, embed, embed_in_chunks


class BiEncoder:
    """A sentence-transformers model with what it is trained on and measured with, as a Learner."""

    def __init__(
        self, model: SentenceTransformer, training_set: TrainingSet, development: DevelopmentSet, scale: float
    ) -> None:
        """Tokenise all texts. `scale` is the factor on the cosine in the loss."""
        self.module = model
        self._scale = scale
        self._positives = training_set.positives
        self._negatives = training_set.negatives
        self._development = development
        self._queries = TokenisedTexts(model, {pair.query: pair.query for pair in training_set.pairs})
        self._documents = TokenisedTexts(model, training_set.documents)
        self._dev_queries = TokenisedTexts(model, development.queries)
        # Documents of equal text are encoded once: their vectors are equal then, and the tie falls to the smaller id.
        self._dev_documents = TokenisedTexts(model, {text: text for text in development.documents.values()})

    @property
    def evaluation_size(self) -> int:
        """Documents that one evaluation encodes."""
        return len(self._dev_documents)

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy of each query's own document against all documents of the batch, hard negatives included."""
        negatives = batch_negatives(batch, self._negatives)
        queries = embed(self.module, self._queries.rows([pair.query for pair in batch]))
        keys = [pair.document_key for pair in batch] + negatives
        documents = embed(self.module, self._documents.rows(keys))
        answers = [[key in self._positives[pair.query_key] for key in negatives] for pair in batch]
        hidden = torch.zeros(len(batch), len(keys), dtype=torch.bool)
        hidden[:, len(batch) :] = torch.tensor(answers, dtype=torch.bool)
        return contrastive_loss(queries, documents, self._scale, hidden.to(queries.device))

    @torch.inference_mode()
    def score(self, meter: Meter) -> float:
        """nDCG@10 of the held-out queries over the development documents, by exact search."""
        queries, documents = self._development.queries, self._development.documents
        query_vectors = self._encode(self._dev_queries, list(queries))
        document_vectors = self._encode(self._dev_documents, list(documents.values()), meter)
        rankings = search(list(queries), query_vectors, list(documents), document_vectors, DEPTH)
        return measure(self._development.qrels, rankings).mean[MEASURE]

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder without a model card, which would quote training texts."""
        self.module.save(str(folder), create_model_card=False)

    def _encode(self, tokens: TokenisedTexts[str], keys: list[str], meter: Meter | None = None) -> Vectors:
        """Embeddings of length 1, one row a key."""
        unique = list(dict.fromkeys(keys))
        rows = np.empty((len(unique), self.module.get_embedding_dimension() or 0), np.float32)
        done = 0
        for places, embedded in embed_in_chunks(self.module, tokens.rows(unique)):
            rows[places] = embedded.cpu().numpy()
            done += len(places)
            if meter:
                meter.advance(len(places), f"held-out questions: {done:,} of {len(unique):,} documents")
        numbers = {key: number for number, key in enumerate(unique)}
        return rows[[numbers[key] for key in keys]]


def build_bi_encoder(lesson: Lesson) -> BiEncoder:
    """The learner of the family `bi_encoder`."""
    model = load_bi_encoder(lesson.base, lesson.config.max_length, lesson.device)
    return BiEncoder(model, lesson.training_set, lesson.development, lesson.config.scale)


def contrastive_loss(queries: Tensor, documents: Tensor, scale: float, hidden: Tensor) -> Tensor:
    """Mean over the queries of -log softmax of their own document's scaled cosine, in nats.

    `queries` (batch, dim) and `documents` (batch + negatives, dim) have length 1; document i answers query i.
    `hidden` (batch, batch + negatives) is true where a document must not count against a query.
    """
    scores = (scale * queries @ documents.T).masked_fill(hidden, -torch.inf)  # (batch, batch + negatives)
    return functional.cross_entropy(scores, torch.arange(len(queries), device=scores.device))
