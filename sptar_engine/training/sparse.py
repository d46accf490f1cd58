"""Learned sparse retrieval: long vectors of which few values are not 0.

An encoder that predicts words (BERT with its masked language head) becomes SPLADE (arXiv 2109.10086): a value for
each word of the vocabulary, kept few by a penalty. From any other encoder it is a sparse autoencoder over its
vectors (CSR, arXiv 2503.01776): a wide layer of which the largest values are kept. The autoencoder's layer starts
from random values, so it learns faster than the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sparse_encoder.losses import CSRReconstructionLoss
from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder
from torch import Tensor

from sptar_engine.artifacts import read_json
from sptar_engine.errors import ArtifactError
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.learner import Lesson
from sptar_engine.training.losses import flops_loss
from sptar_engine.training.pace import set_pace
from sptar_engine.training.tokens import TokenIds, pad
from sptar_engine.training.transformer_tower import TransformerTower
from sptar_engine.training.two_tower import Comparison, Part, join_rows

_VECTOR = "sentence_embedding"
_WIDER, _KEPT, _REVIVED = 4, 4, 2  # as sentence-transformers: 4 times as wide, a quarter of the base's width kept
_AUXILIARY = 0.1  # weight of what unused places are revived with, as in sentence-transformers' CSRLoss
_PACE = 50.0  # of a layer of random values: 1e-3 where a trained one takes 2e-5
_QUERY_FLOPS, _DOCUMENT_FLOPS = 5e-5, 3e-5  # weights of the penalty, as in sentence-transformers' SpladeLoss


class SparseTower(TransformerTower[SparseEncoder, Tensor]):
    """A SparseEncoder as a Learner. A text is a row."""

    def join(self, parts: Sequence[Part], encoded: Sequence[Tensor]) -> Tensor:
        """Rows in order."""
        return join_rows(parts, encoded)

    @abstractmethod
    def similarity(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Dot products of the sparse vectors."""


class Splade(SparseTower):
    """Vectors over the vocabulary. Their products need no scale."""

    def encode(self, side: str, rows: Sequence[TokenIds]) -> Tensor:
        """One pass: (texts, words)."""
        del side
        vectors: Tensor = self.module(pad(self.module, rows))[_VECTOR]
        return vectors

    def similarity(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Dot products."""
        return queries @ documents.T

    def compare(self, queries: Tensor, documents: Tensor) -> Comparison:
        """Dot products, and a penalty on how many words are used."""
        penalty = _QUERY_FLOPS * flops_loss(queries) + _DOCUMENT_FLOPS * flops_loss(documents)
        return Comparison(self.similarity(queries, documents), penalty=penalty)


class SparseAutoEncoderTower(SparseTower):
    """A wide layer of few values behind an encoder. What passes between the two is the base's dense vector.

    So the wide layer, which counts how often each place is used, sees every batch once and whole.
    """

    def __init__(self, model: SparseEncoder, lesson: Lesson) -> None:
        super().__init__(model, lesson)
        modules = list(model)
        place = next(number for number, module in enumerate(modules) if isinstance(module, SparseAutoEncoder))
        self._before, self._behind = modules[:place], modules[place:]
        self._reconstruction = CSRReconstructionLoss(model, beta=_AUXILIARY)
        set_pace(modules[place].parameters(), _PACE)

    def encode(self, side: str, rows: Sequence[TokenIds]) -> Tensor:
        """One pass of what stands before the wide layer: (texts, base's dimensions)."""
        del side
        features: dict[str, Any] = pad(self.module, rows)
        for module in self._before:
            features = module(features)
        vectors: Tensor = features[_VECTOR]
        return vectors

    def similarity(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Cosines of the sparse vectors."""
        wide: list[Tensor] = [self._widen(side)[_VECTOR] for side in (queries, documents)]
        return wide[0] @ wide[1].T

    def compare(self, queries: Tensor, documents: Tensor) -> Comparison:
        """Scaled cosines, and as a penalty what is lost of the dense vectors."""
        wide = [self._widen(queries), self._widen(documents)]
        lost = self._reconstruction.compute_loss_from_embeddings(wide)
        scores = self._lesson.config.scale * wide[0][_VECTOR] @ wide[1][_VECTOR].T
        return Comparison(scores, penalty=torch.stack(list(lost.values())).sum())

    def _widen(self, vectors: Tensor) -> dict[str, Any]:
        features: dict[str, Any] = {_VECTOR: vectors}
        for module in self._behind:
            features = module(features)
        return features


def build_sparse(lesson: Lesson) -> SparseTower:
    """The learner of the family `sparse`."""
    config = lesson.config
    if predicts_words(lesson.base):
        settings = {"dtype": torch.float32, "use_safetensors": True}
        model = SparseEncoder(str(lesson.base), device=lesson.device, local_files_only=True, model_kwargs=settings)
        model.max_seq_length = min(config.max_length, model.max_seq_length or config.max_length)
        return Splade(model.eval(), lesson)
    base = load_bi_encoder(lesson.base, config.max_length, lesson.device)
    width = base.get_embedding_dimension() or 0
    wide = SparseAutoEncoder(width, _WIDER * width, k=width // _KEPT, k_aux=width // _REVIVED)
    # Brought to length 1, so that their plain product, which sparse search knows, is the cosine.
    model = SparseEncoder(modules=[*base, wide, Normalize()], device=lesson.device)
    return SparseAutoEncoderTower(model.eval(), lesson)


def predicts_words(base: Path) -> bool:
    """Whether a base is a plain Hugging Face folder of a masked language model, with the head that predicts words."""
    if (base / "modules.json").exists():
        return False
    try:
        architectures = read_json(base / "config.json").get("architectures") or []
    except ArtifactError:
        return False
    return any(str(name).endswith("ForMaskedLM") for name in architectures)
