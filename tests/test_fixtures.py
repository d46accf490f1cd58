"""The shared fixtures are what their docstrings say, since every other test leans on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_toy_dataset_has_60_documents_and_14_12_12_queries(toy_dataset: Path) -> None:
    documents = {row["_id"] for row in _rows(toy_dataset / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in _rows(toy_dataset / "queries.jsonl")}
    assert len(documents) == 60
    assert len(set(queries.values())) == len(queries) == 38
    seen: set[str] = set()
    for split, count in {"train": 14, "dev": 12, "test": 12}.items():
        lines = (toy_dataset / "qrels" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        judged = [line.split("\t") for line in lines[1:]]
        assert lines[0] == "query-id\tcorpus-id\tscore"
        assert {doc_id for _, doc_id, _ in judged} <= documents
        assert len({query_id for query_id, _, _ in judged}) == count
        assert seen.isdisjoint(query_id for query_id, _, _ in judged)
        seen |= {query_id for query_id, _, _ in judged}
    assert seen == set(queries)


@pytest.mark.parametrize("fixture", ["tiny_llm", "tiny_gpt2"])
def test_tiny_language_model_loads_and_its_tokenizer_keeps_any_text(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = request.getfixturevalue(fixture)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    text = "Çà et là: <b>naïve</b> emoji 🦉\nnew line"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    assert tokenizer.eos_token_id == tokenizer.pad_token_id is not None
    assert model.config.vocab_size == len(tokenizer)
    assert str(model.dtype) == "torch.float32"
    assert sorted(path.suffix for path in folder.glob("model*")) == [".safetensors"]


def test_tiny_encoder_gives_32_dimensions_of_length_one(tiny_encoder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    vectors = SentenceTransformer(str(tiny_encoder), device="cpu").encode(["The heron", "a drill"])
    assert vectors.shape == (2, 32)
    assert (vectors**2).sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert abs(float(vectors[0] @ vectors[1])) < 0.999


def test_make_context_gives_each_context_its_own_out_folder(make_context) -> None:
    first, second = make_context("tune"), make_context("tune")
    assert first.out_dir.is_dir()
    assert second.out_dir != first.out_dir
    assert first.cache == second.cache
