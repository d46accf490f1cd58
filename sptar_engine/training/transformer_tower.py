"""Two towers that are one transformer: its texts, tokenised once, and its passes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from sentence_transformers.base import BaseModel
from sentence_transformers.base.modules import Transformer
from torch import Tensor

from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Rankings
from sptar_engine.retrieval.best_hits import BestHits, places_by_id
from sptar_engine.training.development import DEPTH, MEASURE
from sptar_engine.training.learner import Lesson, Meter
from sptar_engine.training.lora import add_lora, remove_lora
from sptar_engine.training.model_folder import write_model
from sptar_engine.training.tokens import TokenIds, TokenisedTexts, chunk_for
from sptar_engine.training.two_tower import DOCUMENT, QUERY, Encoded, Part, TwoTower

Model = TypeVar("Model", bound=BaseModel)


class TransformerTower(TwoTower[Encoded], Generic[Model, Encoded]):
    """A sentence-transformers model as a Learner, with what it is trained on and measured with."""

    module: Model

    def __init__(self, model: Model, lesson: Lesson) -> None:
        """Tokenise all texts, and put low-rank adapters on the transformer where the settings ask for them.

        Raises ConfigError when it has no layers that they fit on.
        """
        super().__init__(model, lesson)
        training_set, development = lesson.training_set, lesson.development
        documents, searched = (training_set.documents, development.texts) if self._reads_documents() else ({}, ())
        self._texts = {
            QUERY: TokenisedTexts(model, training_set.queries),
            DOCUMENT: TokenisedTexts(model, documents),
        }
        self._dev_queries = TokenisedTexts(model, development.queries)
        # Documents of equal text are encoded once: their scores are equal then, and the tie falls to the smaller id.
        self._dev_documents = TokenisedTexts(model, {text: text for text in searched})
        if lesson.config.lora_rank:
            add_lora(transformer(model).auto_model, lesson.config.lora_rank, "train.lora_rank")

    @property
    def evaluation_size(self) -> int:
        """Documents that one evaluation encodes."""
        return len(self._dev_documents)

    def save(self, folder: Path) -> None:
        """Write a sentence-transformers folder, low-rank adapters added to the weights."""
        remove_lora(self.module)
        write_model(self.module, folder)

    def cut(self, side: str, keys: Sequence[Hashable], most: int) -> list[Part]:
        """See TwoTower: groups of like length."""
        return list(self._parts(side, self._texts[side].rows(keys), most))

    def _reads_documents(self) -> bool:
        """Whether documents pass the transformer."""
        return True

    @abstractmethod
    def encode(self, side: str, rows: Sequence[TokenIds]) -> Tensor:
        """One pass of the transformer: the vectors of each text in turn."""

    def count(self, side: str, row: TokenIds) -> int:
        """Vectors of a text."""
        del side, row
        return 1

    @abstractmethod
    def similarity(self, queries: Encoded, documents: Encoded) -> Tensor:
        """What ranks: (queries, documents)."""

    @torch.inference_mode()
    def score(self, meter: Meter) -> float:
        """nDCG@10 of the held-out queries over the development documents."""
        return measure(self._lesson.development.qrels, self.rank(meter)).mean[MEASURE]

    def rank(self, meter: Meter) -> Rankings:
        """The first hits of the held-out queries; documents are encoded and compared with all queries in groups."""
        development = self._lesson.development
        query_ids, members = list(development.queries), development.texts
        sorted_ids, places = places_by_id([doc_id for doc_ids in members.values() for doc_id in doc_ids])
        queries = list(self._parts(QUERY, self._dev_queries.rows(query_ids)))
        encoded = self.join(queries, [part.encode() for part in queries])
        of_text = np.repeat(np.arange(len(members)), [len(doc_ids) for doc_ids in members.values()])
        best = BestHits.none()
        for part in self._parts(DOCUMENT, self._dev_documents.rows(list(members))):
            alone = replace(part, places=range(len(part.places)))
            scores = self.similarity(encoded, self.join([alone], [part.encode()])).cpu().numpy()
            columns = {place: column for column, place in enumerate(part.places)}
            rows = np.flatnonzero(np.isin(of_text, part.places))
            spread = scores[:, [columns[text] for text in of_text[rows].tolist()]]
            best = best.merged(BestHits.of_block(spread, places[rows], DEPTH), DEPTH)
            self._advance(meter, len(part.places))
        return best.rankings(query_ids, sorted_ids)

    def _parts(self, side: str, rows: Sequence[TokenIds], most: int = 0) -> Iterator[Part]:
        for places in chunk_for(self.module, rows, most):
            some = [rows[place] for place in places]
            yield Part(places, [self.count(side, row) for row in some], partial(self.encode, side, some))

    @staticmethod
    def _advance(meter: Meter, documents: int) -> None:
        meter.advance(documents, "documents for the held-out questions")


def transformer(model: BaseModel) -> Transformer:
    """The first module, which is the transformer of every model that `retrieval.encoder` loads."""
    assert isinstance(model[0], Transformer), type(model[0])
    return cast(Transformer, model[0])
