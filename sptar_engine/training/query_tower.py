"""A bi-encoder of two towers of which only the one for queries learns; documents keep the vectors of the base.

As in retrieval-augmented generation (Lewis et al., arXiv 2005.11401, 2.4) the documents' encoder stays fixed. With
some hundred pairs that is the better half to train: documents cannot forget what the base knows of them, and what a
query is compared with costs nothing, so that it learns from a hundred documents at a time where a batch has room for
thirty. A step passes some thirty short texts through the model, and an evaluation no document at all.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from torch import Tensor

from sptar_engine.artifacts import write_json
from sptar_engine.errors import StageError
from sptar_engine.records import Rankings
from sptar_engine.retrieval.dense import Vectors, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.kinds import DOCUMENT, DOCUMENT_SIDE_FILE, QUERY, document_side
from sptar_engine.training.base_vectors import BaseVectors
from sptar_engine.training.bi_encoder import BiEncoder
from sptar_engine.training.development import DEPTH
from sptar_engine.training.learner import Lesson, Meter
from sptar_engine.training.lora import remove_lora
from sptar_engine.training.model_folder import write_model
from sptar_engine.training.pace import set_pace
from sptar_engine.training.two_tower import Part

_PACE = 2.5  # times the learning rate that suits both towers: the documents stand still, so a step moves half as much


class QueryTower(BiEncoder):
    """The tower for queries as a Learner."""

    def __init__(self, model: SentenceTransformer, lesson: Lesson) -> None:
        """Raises StageError for a lesson without the documents' vectors."""
        if lesson.vectors is None:
            raise StageError("The training of queries alone needs the vectors of the documents.")
        self._vectors_of: BaseVectors = lesson.vectors
        super().__init__(model, lesson)
        if not lesson.config.lora_rank:  # adapters have a pace of their own
            set_pace(model.parameters(), _PACE)
        # Once: every evaluation compares with the same rows, and to find them compares all ids.
        self._dev_ids = list(lesson.development.documents)
        self._dev_vectors = self._vectors_of.matrix_of(self._dev_ids)

    @property
    def evaluation_size(self) -> int:
        """Queries that one evaluation encodes."""
        return len(self._dev_queries)

    def cut(self, side: str, keys: Sequence[Hashable], most: int) -> list[Part]:
        """See TwoTower. Documents are one part, which takes no room."""
        if side == QUERY:
            return super().cut(side, keys, most)
        return [Part(range(len(keys)), [1] * len(keys), partial(self._documents, keys))] if keys else []

    def rank(self, meter: Meter) -> Rankings:
        """By the exact search that an evaluation uses."""
        development = self._lesson.development
        vectors: Vectors = self._vectors(QUERY, self._dev_queries, list(development.queries))
        meter.advance(len(development.queries), "held-out questions")
        return search(list(development.queries), vectors, self._dev_ids, self._dev_vectors, DEPTH)

    def save(self, folder: Path) -> None:
        """Write a folder with both towers, which `encode_query` and `encode_document` tell apart."""
        remove_lora(self.module)
        lesson = self._lesson
        torch.manual_seed(lesson.config.seed)  # a base may lack weights, which are then drawn: the same in every run
        documents = load_bi_encoder(lesson.base, lesson.config.max_length, lesson.device)
        router = Router.for_query_document([*self.module], [*documents], default_route=DOCUMENT)
        write_model(SentenceTransformer(modules=[router], device=lesson.device), folder)
        write_json(folder / DOCUMENT_SIDE_FILE, {"content": document_side(lesson.base)})

    def _reads_documents(self) -> bool:
        return False

    def _documents(self, keys: Sequence[Hashable]) -> Tensor:
        return torch.from_numpy(self._vectors_of.of_keys(keys)).to(self.module.device)


def build_query_tower(lesson: Lesson) -> QueryTower:
    """The learner of the family `bi_encoder` whose queries alone learn."""
    return QueryTower(load_bi_encoder(lesson.base, lesson.config.max_length, lesson.device), lesson)
