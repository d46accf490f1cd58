"""A batch gives what one document at a time gives, whatever stands beside a document."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from benchmarks.reference import DIFFERENT, EQUAL, TIE, Reference
from sptar_engine.errors import StageError
from sptar_engine.prompting import generation
from sptar_engine.prompting.decoding import Decoding, stop_tokens
from sptar_engine.prompting.generation import RawQuery, Request, Written, decode_batch, write_queries
from sptar_engine.prompting.scoring import query_losses
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    Prefix,
    build_soft_prompt,
    load_language_model,
    prefix,
    save_soft_prompt,
)
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, Query, SeedPair

METHODS = ["prompt_tuning", "prefix_tuning", "p_tuning"]
STEPS = 12
_STORY = "The flow past a slender body at low speed was measured in a tunnel and compared with the theory. " * 12
LENGTHS = (5, 9, 14, 14, 22, 31, 60, 130)


@pytest.fixture(params=["tiny_llm", "tiny_gpt2"])
def language_model(request: pytest.FixtureRequest) -> LanguageModel:
    return load_language_model(request.getfixturevalue(request.param), "float32", "cpu")


@pytest.fixture
def llama(tiny_llm: Path) -> LanguageModel:
    return load_language_model(tiny_llm, "float32", "cpu")


def build(language_model: LanguageModel, folder: Path, method: str = "prompt_tuning") -> tuple[PeftModel, Path]:
    words = "please generate query for this document"
    peft_model = build_soft_prompt(
        language_model, method=method, virtual_tokens=10, init_text=words, base_name="tiny", seed=3
    ).eval()
    save_soft_prompt(peft_model, folder)
    return peft_model, folder


def random_requests(language_model: LanguageModel, seeds: tuple[int, ...] = (0,)) -> list[Request]:
    rng = random.Random(5)
    ids = sorted(set(range(len(language_model.tokenizer))) - stop_tokens(language_model.tokenizer))
    texts = {f"d{number}": rng.choices(ids, k=length) for number, length in enumerate(LENGTHS)}
    requests = [
        Request(doc_id, tokens, tuple(seed + 100 * number for seed in seeds))
        for number, (doc_id, tokens) in enumerate(texts.items())
    ]
    rng.shuffle(requests)
    return requests


def written(
    language_model: LanguageModel,
    start: Prefix,
    requests: Sequence[Request],
    decoding: Decoding | None = None,
    batch_tokens: int = 4096,
) -> dict[str, list[str]]:
    queries = written_with_losses(language_model, start, requests, decoding, batch_tokens)
    return {doc_id: [one.text for one in several] for doc_id, several in queries.items()}


def written_with_losses(
    language_model: LanguageModel,
    start: Prefix,
    requests: Sequence[Request],
    decoding: Decoding | None = None,
    batch_tokens: int = 4096,
) -> dict[str, list[RawQuery]]:
    decoding = decoding or Decoding(max_new_tokens=STEPS)
    queries: dict[str, list[RawQuery]] = {}
    for batch in write_queries(language_model, start, requests, decoding, batch_tokens):
        assert not queries.keys() & batch.keys()
        queries |= batch
    return queries


def texts(language_model: LanguageModel, tokens: Sequence[Sequence[int]]) -> list[str]:
    return language_model.tokenizer.batch_decode(list(tokens), skip_special_tokens=True)


@pytest.mark.parametrize("method", [*METHODS, None])
def test_a_batch_gives_what_one_document_at_a_time_gives(
    language_model: LanguageModel, tmp_path: Path, method: str | None
) -> None:
    peft_model, adapter = build(language_model, tmp_path, method) if method else (None, None)
    examples = language_model.tokenizer("Document: a heron\nRelevant Query: what is it\n")["input_ids"]
    reference = Reference(language_model, peft_model, examples)
    requests = random_requests(language_model)
    stops = stop_tokens(language_model.tokenizer)

    queries = written(language_model, prefix(language_model, adapter, examples), requests)
    expected = {one.doc_id: reference.query(one.tokens, stops, STEPS) for one in requests}
    assert queries == {doc_id: texts(language_model, [tokens]) for doc_id, tokens in expected.items()}
    assert len({tuple(tokens) for tokens in expected.values()}) > len(LENGTHS) // 2  # they do tell documents apart


def test_rows_that_end_early_leave_without_disturbing_the_others(llama: LanguageModel) -> None:
    requests = sorted(random_requests(llama), key=lambda one: -len(one.tokens))
    nothing, everything = Prefix(None, 0), Decoding(max_new_tokens=STEPS)
    reference = Reference(llama, None, [])
    free = [reference.query([*llama.opening, *one.tokens], (), STEPS) for one in requests]
    # Let the commonest tokens be stops, so that rows end at different steps.
    stops = frozenset(token for token, _ in Counter(token for row in free for token in row[1:]).most_common(3))
    ends = [next((step for step, token in enumerate(row) if token in stops), STEPS - 1) for row in free]
    assert len(set(ends)) > 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "stop_tokens", lambda tokenizer: stops)
        rows = [Request(one.doc_id, [*llama.opening, *one.tokens]) for one in requests]
        found = decode_batch(llama, nothing, rows, everything, 4096)
    assert [one.tokens for one in found] == [row[: end + 1] for row, end in zip(free, ends, strict=True)]
    # The loss of each row is of its own tokens alone, as the teacher-forced loss of tuning has it.
    items = [(list(row.tokens), one.tokens) for row, one in zip(rows, found, strict=True)]
    expected = query_losses(llama, nothing, items, 4096)
    assert [one.loss for one in found] == pytest.approx([loss.mean for loss in expected], abs=1e-4)


@pytest.mark.parametrize("batch_tokens", [64, 150, 400])
def test_the_size_of_a_batch_changes_nothing(llama: LanguageModel, batch_tokens: int) -> None:
    start = prefix(llama, None, list(range(40, 60)))
    requests = random_requests(llama)
    assert written(llama, start, requests, batch_tokens=batch_tokens) == written(llama, start, requests)


def test_batches_keep_to_the_budget_and_start_with_the_longest(
    llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    run = generation._run_documents

    def watch(language_model: LanguageModel, start: Prefix, group: Sequence[Request]) -> object:
        sizes.append((len(group), max(len(one.tokens) for one in group)))
        return run(language_model, start, group)

    monkeypatch.setattr(generation, "_run_documents", watch)
    written(llama, prefix(llama, None, []), random_requests(llama), batch_tokens=64)
    longest = [length for _, length in sizes]
    assert longest == sorted(longest, reverse=True)
    assert all(rows * length <= 64 or rows == 1 for rows, length in sizes)
    assert sum(rows for rows, _ in sizes) == len(LENGTHS)


def test_the_prefix_can_be_used_again(llama: LanguageModel, tmp_path: Path) -> None:
    start = prefix(llama, build(llama, tmp_path)[1], [40, 41])
    requests = random_requests(llama)
    assert written(llama, start, requests) == written(llama, start, requests)


@pytest.mark.parametrize("temperature", [None, 1.5])
def test_the_loss_is_that_of_the_written_tokens_whatever_the_batch_and_the_temperature(
    language_model: LanguageModel, tmp_path: Path, temperature: float | None
) -> None:
    start = prefix(language_model, build(language_model, tmp_path)[1], [40, 41, 42])
    requests = sorted(random_requests(language_model, seeds=(4,)), key=lambda one: -len(one.tokens))
    decoding = Decoding(max_new_tokens=STEPS, temperature=temperature, top_p=0.95)
    found = decode_batch(language_model, start, requests, decoding, 4096)
    items = [(list(request.tokens), one.tokens) for request, one in zip(requests, found, strict=True)]
    expected = [loss.mean for loss in query_losses(language_model, start, items, 4096)]
    assert [one.loss for one in found] == pytest.approx(expected, abs=1e-4)
    alone = [decode_batch(language_model, start, [one], decoding, 4096)[0] for one in requests]
    assert [one.loss for one in alone] == pytest.approx([one.loss for one in found], abs=1e-4)
    streamed = written_with_losses(language_model, start, requests, decoding)
    assert {doc_id: several[0].loss for doc_id, several in streamed.items()} == pytest.approx(
        {request.doc_id: one.loss for request, one in zip(requests, found, strict=True)}, abs=1e-4
    )


class TestSampling:
    decoding = Decoding(max_new_tokens=STEPS, temperature=1.5, top_p=0.95)

    def test_a_drawn_query_does_not_depend_on_its_batch_mates(self, language_model: LanguageModel) -> None:
        start = prefix(language_model, None, [40, 41, 42])
        requests = random_requests(language_model, seeds=(1, 2, 3))
        together = written(language_model, start, requests, self.decoding)
        alone: dict[str, list[str]] = {}
        for one in requests:
            alone |= written(language_model, start, [one], self.decoding)
        assert together == alone
        assert all(len(queries) == 3 for queries in together.values())

    def test_queries_of_a_document_follow_their_seeds(self, llama: LanguageModel) -> None:
        start = prefix(llama, None, [40, 41, 42])
        (one,) = (request for request in random_requests(llama) if len(request.tokens) == 31)
        first = written(llama, start, [Request("d", one.tokens, (7, 8, 7))], self.decoding)["d"]
        second = written(llama, start, [Request("d", one.tokens, (8,))], self.decoding)["d"]
        assert first[0] == first[2] != first[1]
        assert second == [first[1]]


class TestMemory:
    def test_batches_are_halved_when_the_gpu_is_full(
        self, llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start, requests = prefix(llama, None, [40, 41]), random_requests(llama)
        expected = written(llama, start, requests)
        tried: list[int] = []
        monkeypatch.setattr(generation, "decode_batch", _full_above(3, tried))
        assert written(llama, start, requests) == expected
        assert tried == [8, 4, 2, 2, 2, 2]

    def test_a_document_that_is_too_much_alone_is_named(
        self, llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(generation, "decode_batch", _full_above(0, []))
        with pytest.raises(StageError, match="document 'd7' alone"):
            written(llama, prefix(llama, None, []), random_requests(llama))


def _full_above(rows: int, tried: list[int]) -> object:
    def decode(
        language_model: LanguageModel, start: Prefix, requests: Sequence[Request], *rest: object
    ) -> list[Written]:
        tried.append(len(requests))
        if len(requests) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode_batch(language_model, start, requests, *rest)

    return decode


def test_numbers_that_overflow_are_an_error(llama: LanguageModel) -> None:
    llama.model.get_output_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(StageError, match=r"overflow in float32"):
        written(llama, prefix(llama, None, []), random_requests(llama))


@pytest.mark.bundled
def test_the_bundled_model_writes_in_a_batch_what_it_writes_alone(bundled_llm: Path, tmp_path: Path) -> None:
    language_model = load_language_model(bundled_llm, "float32", "cpu")
    tokens = PromptTokens(language_model.tokenizer, 160, 48)
    peft_model, adapter = build(language_model, tmp_path)
    lift = Document("lift", "A wing moves air downwards, and the air pushes back.", "Lift")
    examples = tokens.examples([SeedPair(Query("q", "what holds an aeroplane up"), lift)])
    documents = [Document(str(count), _STORY[count : 7 * count]) for count in (2, 6, 12, 25, 40, 80, 150)]
    requests = [Request(one.doc_id, tokens.document(one)) for one in [*documents, lift]]
    requests.sort(key=lambda one: -len(one.tokens))

    found = decode_batch(
        language_model, prefix(language_model, adapter, examples), requests, Decoding(max_new_tokens=24), 4096
    )
    reference, stops = Reference(language_model, peft_model, examples), stop_tokens(language_model.tokenizer)
    pairs = zip(requests, found, strict=True)
    judged = Counter(reference.judge(one.tokens, query.tokens, stops, 24) for one, query in pairs)
    assert judged[DIFFERENT] == 0
    assert judged[EQUAL] + judged[TIE] == 8
    assert judged[TIE] <= 1
