"""Late interaction (ColBERT, arXiv 2004.12832): a vector for each token; a query's tokens look for their best matches.

It starts without anything random. The vectors of the base's last layer are good token vectors as they are; where fewer
dimensions are asked for, they are projected onto their own principal directions, as far as these can be seen in the
training documents. So a few hundred pairs improve a retriever that works, in place of building one.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.util import maxsim
from torch import Tensor, nn
from torch.nn import functional

from sptar_engine.errors import ConfigError
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.late_interaction import score_block
from sptar_engine.training.learner import Lesson
from sptar_engine.training.tokens import TokenIds, TokenisedTexts, chunk_for, pad
from sptar_engine.training.transformer_tower import TransformerTower, transformer
from sptar_engine.training.two_tower import QUERY, Comparison, Part, join_matrices

_TOKENS = "token_embeddings"
_SAMPLE = 256  # documents that show the principal directions: some 40,000 tokens


class LateInteraction(TransformerTower[MultiVectorEncoder, list[Tensor]]):
    """A MultiVectorEncoder as a Learner. A text is a matrix with a row of length 1 for each token that counts."""

    def __init__(self, model: MultiVectorEncoder, lesson: Lesson) -> None:
        super().__init__(model, lesson)
        masks = [module for module in model if isinstance(module, MultiVectorMask)]
        words = [word for mask in masks for word in mask.skiplist_words]
        known = set(model.tokenizer.convert_tokens_to_ids(words)) - {model.tokenizer.unk_token_id}
        self._skipped = np.array(sorted(known), np.int32)

    def encode(self, side: str, rows: Sequence[TokenIds]) -> Tensor:
        """One pass: the tokens that count, text after text, as (tokens, dimensions)."""
        output = self.module(pad(self.module, rows), task=side)
        tokens: Tensor = output[_TOKENS][output["attention_mask"].bool()]
        return tokens

    def count(self, side: str, row: TokenIds) -> int:
        """Tokens that count: of a query all, of a document those that are no punctuation."""
        return len(row) if side == QUERY else int(np.isin(row, self._skipped, invert=True).sum())

    def join(self, parts: Sequence[Part], encoded: Sequence[Tensor]) -> list[Tensor]:
        """Matrices in order."""
        return join_matrices(parts, encoded)

    def similarity(self, queries: list[Tensor], documents: list[Tensor]) -> Tensor:
        """MaxSim, by the function that an evaluation uses."""
        return torch.from_numpy(score_block(self.module, queries, documents))

    def compare(self, queries: list[Tensor], documents: list[Tensor]) -> Comparison:
        """Scaled mean, in place of the sum, of the best cosines: so it does not grow with the query's length."""
        return Comparison(self._lesson.config.scale * maxsim(queries, documents, length_normalize=True))


def build_late_interaction(lesson: Lesson) -> LateInteraction:
    """The learner of the family `late_interaction`. Raises ConfigError for more dimensions than the base has."""
    base = load_bi_encoder(lesson.base, lesson.config.max_length, lesson.device)
    width = transformer(base).get_embedding_dimension()
    wanted = lesson.config.token_dimensions or width
    if wanted > width:
        raise ConfigError("train.token_dimensions", f"{wanted} is more than the {width} dimensions of the base")
    projection = [_projection(base, lesson, wanted)] if wanted < width else []
    modules: list[nn.Module] = [
        base[0],
        *projection,
        MultiVectorMask(skiplist_words=list(string.punctuation)),
        Normalize(module_input_name=_TOKENS),
    ]
    model = MultiVectorEncoder(modules=modules, device=lesson.device)
    return LateInteraction(model.eval(), lesson)


def _projection(base: SentenceTransformer, lesson: Lesson, wanted: int) -> Dense:
    """Onto the principal directions of token vectors of length 1, uncentred: what keeps most of all their products."""
    documents = lesson.training_set.documents
    chosen = {key: documents[key] for key in sorted(documents)[:_SAMPLE]}  # keys are hashes, so this is no choice
    tokens = TokenisedTexts(base, chosen).rows(list(chosen))
    width = transformer(base).get_embedding_dimension()
    moments = torch.zeros(width, width, dtype=torch.float64)
    with torch.inference_mode():
        for places in chunk_for(base, tokens):
            features = base[0](pad(base, [tokens[place] for place in places]))
            rows = functional.normalize(features[_TOKENS][features["attention_mask"].bool()], dim=-1).double().cpu()
            moments += rows.T @ rows
    directions = torch.linalg.eigh(moments).eigenvectors.flip(1)[:, :wanted]  # (width, wanted), the strongest first
    signs = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)).sign()
    weight = (directions * signs).T.float().contiguous()
    return Dense(width, wanted, bias=False, activation_function=None, init_weight=weight, module_input_name=_TOKENS)
