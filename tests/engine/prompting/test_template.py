"""Token ids of the prompt: what they decode to, where the user's text is cut, and that it cannot leave its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sptar_engine.errors import InputError
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, Prompt, Query, SeedPair


@pytest.fixture(scope="module")
def tokenizer(tiny_llm: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_llm)


@pytest.fixture
def tokens(tokenizer: Any) -> PromptTokens:
    return PromptTokens(tokenizer, document_tokens=64, query_tokens=16)


def test_document_reads_as_the_paper_writes_it(tokens: PromptTokens, tokenizer: Any) -> None:
    ids = tokens.document(Document("d1", "the heron waits", "Birds"))
    assert tokenizer.decode(ids) == "Document: Birds the heron waits\nRelevant Query:"


def test_query_starts_with_a_space_and_ends_with_the_newline_alone(tokens: PromptTokens, tokenizer: Any) -> None:
    ids = tokens.query("where does a heron wait?")
    assert tokenizer.decode(ids) == " where does a heron wait?\n"
    assert tokenizer.decode(ids[-1:]) == "\n"


def test_examples_are_documents_and_queries_in_their_order(tokens: PromptTokens, tokenizer: Any) -> None:
    pairs = [
        SeedPair(Query("q1", "what waits"), Document("d1", "the heron waits")),
        SeedPair(Query("q2", "what turns"), Document("d2", "the drill turns")),
    ]
    ids = tokens.examples(pairs)
    assert tokenizer.decode(ids) == (
        "Document: the heron waits\nRelevant Query: what waits\nDocument: the drill turns\nRelevant Query: what turns\n"
    )
    assert ids[: len(tokens.document(pairs[0].document))] == tokens.document(pairs[0].document)


def test_an_instruction_stands_on_a_line_of_its_own_before_the_examples(tokens: PromptTokens, tokenizer: Any) -> None:
    pair = SeedPair(Query("q1", "what waits"), Document("d1", "the heron waits"))
    prompt = Prompt("hard-1", (pair,), None, "Write what\nis   asked.\n")
    assert tokenizer.decode(tokens.before(prompt)) == (
        "Write what is asked.\nDocument: the heron waits\nRelevant Query: what waits\n"
    )


def test_without_an_instruction_the_examples_alone_stand_before(tokens: PromptTokens) -> None:
    pair = SeedPair(Query("q1", "what waits"), Document("d1", "the heron waits"))
    assert tokens.before(Prompt("hard-1", (pair,), None)) == tokens.examples([pair])
    assert tokens.before(Prompt("hard-1", (pair,), None, " \n ")) == tokens.examples([pair])


@pytest.mark.parametrize("space", ["\n", "\r\n", "\n\n\t ", "\u2028", "\x85", "\x0b\x0c", "\u00a0"])
def test_white_space_of_a_document_is_one_space(tokens: PromptTokens, space: str) -> None:
    written = Document("d1", f"{space}a heron{space}Relevant Query: x{space}")
    assert tokens.document(written) == tokens.document(Document("d1", "a heron Relevant Query: x"))


def test_names_of_special_tokens_are_plain_text(tokens: PromptTokens, tokenizer: Any) -> None:
    text = "a heron <|im_end|><|im_start|> waits"
    ids = tokens.document(Document("d1", text))
    assert set(ids).isdisjoint(tokenizer.all_special_ids)
    assert tokenizer.decode(ids) == f"Document: {text}\nRelevant Query:"


def test_only_the_users_text_is_cut(tokens: PromptTokens, tokenizer: Any) -> None:
    words = "the heron waits beside the water " * 50
    whole = tokens.document(Document("d1", words))
    frame = tokens.document(Document("d1", ""))
    assert len(whole) == len(frame) + 64
    assert tokenizer.decode(whole).endswith("\nRelevant Query:")
    assert len(tokens.query(words)) == 16 + 1


def test_cutting_letters_first_changes_nothing(tokens: PromptTokens, tokenizer: Any) -> None:
    words = "the heron waits beside the water " * 2000
    far = tokenizer("a " + " ".join(words.split()), add_special_tokens=False)["input_ids"]
    start = len(tokens.document(Document("d1", ""))) - len(tokenizer("\nRelevant Query:")["input_ids"])
    assert tokens.document(Document("d1", words))[start : start + 64] == far[1:65]


def test_empty_texts_leave_the_template(tokens: PromptTokens, tokenizer: Any) -> None:
    assert tokenizer.decode(tokens.document(Document("d1", " \n "))) == "Document:\nRelevant Query:"
    assert tokenizer.decode(tokens.query("")) == "\n"


def test_half_a_surrogate_pair_does_not_stop_the_tokenizer(tokens: PromptTokens, tokenizer: Any) -> None:
    assert "a ? b" in tokenizer.decode(tokens.document(Document("d1", "a \ud800 b")))


def test_sentencepiece_tokenizer_puts_no_space_before_the_newline() -> None:
    tokenizer = _sentencepiece()
    tokens = PromptTokens(tokenizer, document_tokens=64, query_tokens=16)
    pieces = tokenizer.convert_ids_to_tokens(tokens.document(Document("d1", "ab")) + tokens.query("b a"))
    assert "".join(pieces).replace("<0x0A>", "\n") == "▁Document:▁ab\nRelevant▁Query:▁b▁a\n"


def test_tokenizer_without_a_newline_is_refused(tokenizer: Any) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(InputError, match="no token for a newline"):
        PromptTokens(PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]"), 64, 16)


def _sentencepiece() -> Any:
    """As Llama 2's: a space before any text, bytes for what the vocabulary lacks, a beginning-of-text token."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = ["▁", *sorted(set("Document:RelevantQueryab"))]
    names = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    vocabulary = {name: number for number, name in enumerate(names)}
    bpe = models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")
