"""The prompt text as token ids: `Document: … \\nRelevant Query: … \\n` (SPTAR, arXiv 2307.08303, section 3).

Every piece is tokenised by itself and the ids are joined, so training, scoring and generation see the same
token boundaries whatever stands around a piece. No beginning-of-text token stands between the pieces; whether
one opens the whole prompt is decided in `soft_prompt.prefix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sptar_engine.errors import InputError
from sptar_engine.records import Document, Prompt, SeedPair

_DOCUMENT = "Document:"
_QUERY = "\nRelevant Query:"
_END = "\n"
_ANCHOR = "a"  # a letter: no tokenizer merges it with the space or newline that follows
_LETTERS_PER_TOKEN = 32  # far above any text's mean: cutting letters first only spares work on huge documents


class PromptTokens:
    """Turns documents, queries, example pairs and what stands before them into token ids.

    `document_tokens` and `query_tokens` bound the user's text in each piece, not the words of the template
    around it. The user's text cannot leave its place: all white space, line breaks included, becomes single
    spaces, and names of special tokens are read as plain text. Raises InputError for a tokenizer that cannot
    write a newline, which is what ends a query.
    """

    def __init__(self, tokenizer: Any, document_tokens: int, query_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._document_tokens = document_tokens
        self._query_tokens = query_tokens
        self._opening = self._encode(_DOCUMENT)
        self._request = self._encode_inner(_QUERY)
        self._end = self._encode_inner(_END)
        if tokenizer.decode(self._end) != _END:
            raise InputError(
                f"The tokenizer of {tokenizer.name_or_path} has no token for a newline; "
                "a language model whose tokenizer can write one is needed."
            )

    def document(self, document: Document) -> list[int]:
        """`Document: TEXT\\nRelevant Query:` with TEXT cut to `document_tokens`; what a query follows."""
        return self._opening + self._text(document.content, self._document_tokens) + self._request

    def query(self, text: str) -> list[int]:
        """` TEXT\\n` with TEXT cut to `query_tokens`: the tokens of the loss, at least the newline."""
        return self._text(text, self._query_tokens) + self._end

    def before(self, prompt: Prompt) -> list[int]:
        """What a prompt puts before every document: its instruction on a line of its own, if any, and its examples."""
        words = " ".join(prompt.instruction.split())
        return [*(self._encode(words) + self._end if words else []), *self.examples(prompt.examples)]

    def examples(self, pairs: Sequence[SeedPair]) -> list[int]:
        """The pairs in their order, each a document and its query, ready to stand before a document."""
        shown = (self.document(pair.document) + self.query(pair.query.text) for pair in pairs)
        return [token for ids in shown for token in ids]

    def _text(self, text: str, limit: int) -> list[int]:
        words = " ".join(text.split())[: limit * _LETTERS_PER_TOKEN]
        return self._encode_inner(f" {words}")[:limit] if words else []

    def _encode_inner(self, piece: str) -> list[int]:
        """Ids of a piece that starts with white space and stands within a text.

        SentencePiece tokenizers put a space before whatever they are given; behind an anchor they do not.
        """
        anchor, ids = self._encode(_ANCHOR), self._encode(_ANCHOR + piece)
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else self._encode(piece)

    def _encode(self, text: str) -> list[int]:
        # A lone surrogate, which JSON can hold, has no UTF-8 and would stop the tokenizer.
        clean = text.encode("utf-8", errors="replace").decode("utf-8")
        encoded = self._tokenizer(clean, add_special_tokens=False, split_special_tokens=True)
        return list(encoded["input_ids"])
