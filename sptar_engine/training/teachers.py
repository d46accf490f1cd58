"""Teachers: a trained retriever or a language model that says, on a scale of its own, how well documents answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

from sptar_engine.data.query_styles import read_style
from sptar_engine.prompting.scoring import losses_of_one_document, query_losses
from sptar_engine.prompting.soft_prompt import LanguageModel, Prefix
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document
from sptar_engine.retrieval.dense import encode
from sptar_engine.retrieval.encoder import (
    load_bi_encoder,
    load_cross_encoder,
    load_late_interaction,
    load_sparse,
    model_type,
)
from sptar_engine.retrieval.kinds import QUERY
from sptar_engine.retrieval.late_interaction import encode_documents, encode_queries
from sptar_engine.retrieval.reranking import score_pairs
from sptar_engine.retrieval.sparse import encode_sparse

Advance = Callable[[int], None]
"""Called after each batch with the number of pairs that it had; may raise to stop."""

_BATCH = 32  # pairs or texts in a forward pass
_CHUNK = 1 << 24  # numbers that a piece of MaxSim holds: 64 MB
_BATCH_TOKENS = 4096  # document and query tokens that a language model runs at a time


@dataclass(frozen=True, slots=True)
class Pair:
    """A query's text and a document."""

    query: str
    document: Document


class Teacher(Protocol):
    """Scores pairs."""

    def score(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """One score for each pair, higher for a better answer; they compare within a query only.

        The pairs of a document stand together. The same pairs get the same scores, whatever was asked before.
        """


def open_retriever(folder: Path, max_length: int, device: str) -> Teacher:
    """A trained retriever of any family as a teacher. Raises InputError for what is none."""
    kind = model_type(folder)
    if kind == CrossEncoder.model_type:
        return CrossEncoderTeacher(load_cross_encoder(folder, max_length, device))
    if kind == MultiVectorEncoder.model_type:
        return LateInteractionTeacher(load_late_interaction(folder, max_length, device))
    if kind == SparseEncoder.model_type:
        return SparseTeacher(load_sparse(folder, max_length, device))
    return BiEncoderTeacher(load_bi_encoder(folder, max_length, device), max_length)


class CrossEncoderTeacher:
    """Reads query and document together; its score is the logit."""

    def __init__(self, model: CrossEncoder) -> None:
        self._model = model

    def score(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """See Teacher."""
        texts = [(pair.query, pair.document.content) for pair in pairs]
        scores: list[float] = score_pairs(self._model, texts, _Counter(advance).reach).tolist()
        return scores


class BiEncoderTeacher:
    """A vector for each query and document; the score is their cosine."""

    def __init__(self, model: SentenceTransformer, max_length: int) -> None:
        self._model = model
        self._max_length = max_length

    def score(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """See Teacher."""
        queries = encode(self._model, [pair.query for pair in pairs], self._max_length, side=QUERY)
        contents = [pair.document.content for pair in pairs]
        documents = encode(self._model, contents, self._max_length, _Counter(advance).reach)
        scores: list[float] = np.einsum("pd,pd->p", queries, documents).tolist()
        return scores


class LateInteractionTeacher:
    """A vector for each token; the score is the mean, in place of the sum, of MaxSim's best cosines.

    So it does not grow with a query's length, and one temperature fits all queries.
    """

    def __init__(self, model: MultiVectorEncoder) -> None:
        self._model = model

    def score(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """See Teacher."""
        texts = list(dict.fromkeys(pair.query for pair in pairs))
        queries = dict(zip(texts, encode_queries(self._model, texts), strict=True))
        scores: list[float] = []
        for batch in _document_batches(pairs):
            documents = encode_documents(self._model, [pair.document.content for pair in batch])
            asked = [queries[pair.query] for pair in batch]
            scores += self._model.similarity_pairwise(
                asked, documents, chunk_elements=_CHUNK, length_normalize=True
            ).tolist()
            advance(len(batch))
        return scores


class SparseTeacher:
    """Long vectors of few values; the score is their dot product, or their cosine where the model says so."""

    def __init__(self, model: SparseEncoder) -> None:
        self._model = model

    def score(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """See Teacher."""
        queries, asked = _distinct([pair.query for pair in pairs])
        asking = encode_sparse(self._model, queries, query=True)  # (queries, dimensions)
        scores: list[float] = []
        for batch in _document_batches(pairs):
            contents, read = _distinct([pair.document.content for pair in batch])
            documents = encode_sparse(self._model, contents, query=False)
            rows = asked[len(scores) : len(scores) + len(batch)]
            scores += np.asarray(asking[rows].multiply(documents[read]).sum(axis=1)).ravel().tolist()
            advance(len(batch))
        return scores


class LikelihoodTeacher:
    """A language model; the score is the mean log-likelihood (nats) of a query's tokens given the document.

    So documents are put in order by how well they explain the query (UPR, arXiv 2204.07496), with the prompt that
    weak queries are written with. Of several, one for each style of queries, it is the prompt of the query's own style,
    as its words read.
    """

    def __init__(self, language_model: LanguageModel, prefixes: Mapping[str, Prefix], tokens: PromptTokens) -> None:
        """`prefixes` are what the prompt of a style puts before every document; the first serves all other styles."""
        self._language_model = language_model
        self._prefixes = prefixes
        self._tokens = tokens

    def score(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """See Teacher."""
        styles = [self._style(pair.query) for pair in pairs]
        scores: dict[int, float] = {}
        for style in dict.fromkeys(styles):
            places = [place for place, other in enumerate(styles) if other == style]
            scores |= self._score_behind(self._prefixes[style], pairs, places, advance)
        return [scores[place] for place in range(len(pairs))]

    def _style(self, query: str) -> str:
        style = read_style(query)
        return style if style in self._prefixes else next(iter(self._prefixes))

    def _score_behind(
        self, before: Prefix, pairs: Sequence[Pair], places: Sequence[int], advance: Advance
    ) -> dict[int, float]:
        """The scores of the pairs at some places, which share a prompt."""
        scores: dict[int, float] = {}
        groups = [list(group) for _, group in groupby(places, key=lambda place: pairs[place].document)]
        for group in groups:
            if len(group) > 1:
                queries = [self._tokens.query(pairs[place].query) for place in group]
                losses = losses_of_one_document(
                    self._language_model, before, self._document(pairs, group[0]), queries, _BATCH_TOKENS
                )
                scores |= {place: -loss.mean for place, loss in zip(group, losses, strict=True)}
                advance(len(group))
        return scores | self._score_single(before, pairs, [group[0] for group in groups if len(group) == 1], advance)

    def _score_single(
        self, before: Prefix, pairs: Sequence[Pair], places: Sequence[int], advance: Advance
    ) -> dict[int, float]:
        """A document asked about once shares its pass with others of about its length."""
        items = {place: (self._document(pairs, place), self._tokens.query(pairs[place].query)) for place in places}
        longest = sorted(items, key=lambda place: (-len(items[place][0]), place))
        scores: dict[int, float] = {}
        for start in range(0, len(longest), _BATCH):
            batch = longest[start : start + _BATCH]
            losses = query_losses(self._language_model, before, [items[place] for place in batch], _BATCH_TOKENS)
            scores |= {place: -loss.mean for place, loss in zip(batch, losses, strict=True)}
            advance(len(batch))
        return scores

    def _document(self, pairs: Sequence[Pair], place: int) -> list[int]:
        return self._tokens.document(pairs[place].document)


class _Counter:
    """Turns how many are done into how many more are."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._done = advance, 0

    def reach(self, done: int, total: int) -> None:
        del total
        self._advance(done - self._done)
        self._done = done


def _document_batches(pairs: Sequence[Pair]) -> list[Sequence[Pair]]:
    """The pairs in their order, all of some `_BATCH` documents at a time."""
    starts = [0] + [place for place in range(1, len(pairs)) if pairs[place].document != pairs[place - 1].document]
    cuts = [*starts[::_BATCH], len(pairs)]
    return [pairs[start:end] for start, end in pairwise(cuts)]


def _distinct(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different texts, and of each text the place of its like among them."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(places), [places[text] for text in texts]
