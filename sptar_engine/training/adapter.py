"""An embedding adapter: a low-rank change of the vectors of a frozen base, learned in minutes on a CPU.

Each text passes the base once; a step of the training multiplies small matrices. The change is a low-rank adapter
(LoRA) on a layer that starts as the identity, and one layer for queries and documents alike. It is saved as a layer of
sentence-transformers behind the base, whose vectors stay what they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from torch import Tensor
from torch.nn import functional

from sptar_engine.errors import ConfigError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.retrieval.dense import search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.development import DEPTH, MEASURE
from sptar_engine.training.learner import Lesson, Meter
from sptar_engine.training.lora import add_lora, remove_lora
from sptar_engine.training.model_folder import write_model
from sptar_engine.training.tokens import TokenisedTexts, chunk_for, pad
from sptar_engine.training.two_tower import QUERY, Comparison, Part, TwoTower, join_rows

_PACE = 50.0  # times the learning rate of a transformer, of which this layer has a thousandth of the values


class Adapter(TwoTower[Tensor]):
    """A frozen SentenceTransformer and the layer behind it, which alone is trained, as a Learner."""

    module: Dense

    def __init__(self, model: SentenceTransformer, lesson: Lesson) -> None:
        """Raises ConfigError for a rank above the base's dimensions."""
        width, rank = model.get_embedding_dimension() or 0, lesson.config.adapter_rank
        if rank > width:
            raise ConfigError("train.adapter_rank", f"{rank} is more than the {width} dimensions of the base")
        layer = Dense(width, width, bias=False, activation_function=None, init_weight=torch.eye(width))
        add_lora(layer, rank, "train.adapter_rank", ["linear"], _PACE)
        super().__init__(layer.to(model.device).eval(), lesson)
        self._model = model
        self._queries = FrozenTexts(model, lesson.training_set.queries)
        self._documents = FrozenTexts(model, lesson.training_set.documents)
        self._dev_queries = FrozenTexts(model, lesson.development.queries)
        self._dev_documents = FrozenTexts(model, {text: text for text in lesson.development.texts})

    @property
    def evaluation_size(self) -> int:
        """Documents that an evaluation compares; the first one encodes them."""
        return len(self._dev_documents)

    def cut(self, side: str, keys: Sequence[Hashable], most: int) -> list[Part]:
        """See TwoTower: one part, since a row of the layer takes no room."""
        del most
        texts = self._queries if side == QUERY else self._documents
        return [Part(range(len(keys)), [1] * len(keys), partial(self._adapt, texts.vectors(keys)))]

    def join(self, parts: Sequence[Part], encoded: Sequence[Tensor]) -> Tensor:
        """Rows in order."""
        return join_rows(parts, encoded)

    def compare(self, queries: Tensor, documents: Tensor) -> Comparison:
        """Scaled cosines."""
        return Comparison(self._lesson.config.scale * queries @ documents.T)

    @torch.inference_mode()
    def score(self, meter: Meter) -> float:
        """nDCG@10 of the held-out queries over the development documents, by the exact search of an evaluation."""
        development = self._lesson.development
        query_vectors = self._adapt(self._dev_queries.vectors(list(development.queries))).cpu().numpy()
        rows = self._adapt(self._dev_documents.vectors(development.listed, meter)).cpu().numpy()
        rankings = search(list(development.queries), query_vectors, list(development.documents), rows, DEPTH)
        return measure(development.qrels, rankings).mean[MEASURE]

    def save(self, folder: Path) -> None:
        """Write the base with the layer, its low-rank change added, as a sentence-transformers folder."""
        remove_lora(self.module)
        model = SentenceTransformer(modules=[*self._model, self.module, Normalize()], device=str(self._model.device))
        write_model(model, folder)

    def _adapt(self, vectors: Tensor) -> Tensor:
        return functional.normalize(self.module({"sentence_embedding": vectors})["sentence_embedding"], dim=-1)


class FrozenTexts:
    """Texts by key, each put through the frozen base once, when it is first asked for.

    They pass in the same groups whatever is asked for: what a text is padded with can change its last digits, and a
    resumed training asks in another order.
    """

    def __init__(self, model: SentenceTransformer, texts: Mapping[Any, str]) -> None:
        self._model = model
        self._tokens = TokenisedTexts(model, texts)
        keys = list(texts)
        groups = [[keys[place] for place in places] for places in chunk_for(model, self._tokens.rows(keys))]
        self._groups = {key: group for group in groups for key in group}
        self._vectors: dict[Hashable, Tensor] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def vectors(self, keys: Sequence[Hashable], meter: Meter | None = None) -> Tensor:
        """The base's vectors, (keys, dimensions). A meter is told of every different text, encoded now or before."""
        unique = dict.fromkeys(keys)
        if meter:
            meter.skip(sum(key in self._vectors for key in unique))
        for key in unique:
            if key not in self._vectors:
                encoded = self._encode(self._groups[key])
                self._vectors.update(encoded)
                if meter:
                    meter.advance(len(unique.keys() & encoded.keys()), "documents for the held-out questions")
        return torch.stack([self._vectors[key] for key in keys])

    @torch.no_grad()
    def _encode(self, keys: Sequence[Hashable]) -> dict[Hashable, Tensor]:
        vectors: Tensor = self._model(pad(self._model, self._tokens.rows(keys)))["sentence_embedding"]
        return dict(zip(keys, vectors, strict=True))


def build_adapter(lesson: Lesson) -> Adapter:
    """The learner of the family `adapter`."""
    return Adapter(load_bi_encoder(lesson.base, lesson.config.max_length, lesson.device), lesson)
