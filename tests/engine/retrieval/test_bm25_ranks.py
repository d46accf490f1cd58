"""Ranks without a search are the places in Lucene's ranking: scores, ties, odd input; and what is stopped goes on."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sptar_engine.data.beir import read_qrels, read_queries
from sptar_engine.errors import Cancelled, InputError
from sptar_engine.retrieval import bm25_blocks, bm25_ranks
from sptar_engine.retrieval.bm25_ranks import rank_own_documents
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open

Pairs = dict[str, tuple[str, str]]
Ranks = dict[str, int | None]


def write_corpus(folder: Path, documents: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = (json.dumps({"_id": key, "text": text}) for key, text in documents.items())
    path = folder / "corpus.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def rank(tmp_path: Path) -> Callable[..., Ranks]:
    """Rank in a new folder each time."""

    def run(corpus: Path, pairs: Pairs, k1: float = 0.9, b: float = 0.4) -> Ranks:
        folder = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        return rank_own_documents(pairs, corpus, folder, k1, b, lambda *_: None)

    return run


def places(corpus: Path, pairs: Pairs, cache: Path, k1: float = 0.9, b: float = 0.4) -> Ranks:
    """By Lucene, all hits of each query."""
    with LexicalSearcher(build_or_open(corpus, cache), k1, b) as searcher:
        found = searcher.search({key: text for key, (text, _) in pairs.items()}, 100_000)
    hits = {key: [hit.doc_id for hit in hits] for key, hits in found.items()}
    return {key: hits[key].index(doc_id) + 1 if doc_id in hits[key] else None for key, (_, doc_id) in pairs.items()}


def test_documents_of_the_same_score_are_counted_by_id(tmp_path, rank) -> None:
    documents = {"x": "wing wing wing", "b": "wing flow", "a": "wing flow", "c": "wing flow", "other": "heat"}
    pairs = {key: ("wing", key) for key in documents} | {"gone": ("wing", "no such document"), "empty": ("", "a")}
    expected = {"x": 1, "a": 2, "b": 3, "c": 4, "other": None, "gone": None, "empty": None}
    assert rank(write_corpus(tmp_path, documents), pairs) == expected


def test_lengths_that_lucene_stores_alike_are_a_tie(tmp_path, rank) -> None:
    # Above 40 words Lucene keeps even lengths only: 41 is stored as 40, and 42 stays 42.
    documents = {"c": "wing " + "flow " * 39, "b": "wing " + "flow " * 40, "a": "wing " + "flow " * 41}
    pairs = {key: ("wing", key) for key in documents}
    assert rank(write_corpus(tmp_path, documents), pairs) == {"b": 1, "c": 2, "a": 3}


def test_queries_without_a_word_that_counts_find_nothing_and_nothing_is_read(tmp_path, rank) -> None:
    assert rank(tmp_path / "corpus.jsonl", {"q": ("of the", "a")}) == {"q": None}
    assert rank(tmp_path / "corpus.jsonl", {}) == {}


@pytest.fixture
def odd_corpus(tmp_path: Path) -> Path:
    """300 documents of 1 to 600 words out of 40, some of them many times, so that ties and long documents are there."""
    rng = random.Random(5)
    words = [f"w{number}" for number in range(36)] + ["日本", "naïve", "U.S.A.", "3,141"]
    lengths = [rng.choice([1, 2, 5, 30, 60, 200, 600]) for _ in range(300)]
    texts = [" ".join(rng.choices(words, [1 / place for place in range(1, 41)], k=length)) for length in lengths]
    names = rng.sample(range(10_000), 300)
    return write_corpus(tmp_path / "odd", {str(name): text for name, text in zip(names, texts, strict=True)})


@pytest.fixture
def odd_pairs(odd_corpus: Path) -> Pairs:
    """Queries of 1 to 12 words with repetitions, and all of one document; each with a document drawn by chance."""
    rng = random.Random(6)
    rows = [json.loads(line) for line in odd_corpus.read_text(encoding="utf-8").splitlines()]
    pairs = {"long": (" ".join(row["text"] for row in rows[:40]), rows[3]["_id"])}
    for number in range(300):
        words = rng.choice(rows)["text"].split()
        pairs[f"q{number}"] = (" ".join(rng.choices(words, k=rng.randint(1, 12))), rng.choice(rows)["_id"])
    return pairs


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.9, 0.0), (2.0, 1.0), (0.0, 0.4)])
def test_ranks_are_the_places_in_lucene_s_ranking(odd_corpus, odd_pairs, tmp_path, rank, k1, b) -> None:
    assert rank(odd_corpus, odd_pairs, k1, b) == places(odd_corpus, odd_pairs, tmp_path / "cache", k1, b)


def test_many_small_blocks_and_chunks_rank_as_one(odd_corpus, odd_pairs, rank, monkeypatch) -> None:
    whole = rank(odd_corpus, odd_pairs)
    monkeypatch.setattr(bm25_blocks, "_DOCUMENTS", 23)
    monkeypatch.setattr(bm25_blocks, "_CHARACTERS", 1500)
    monkeypatch.setattr(bm25_ranks, "_SCORES", 50)
    monkeypatch.setattr(bm25_ranks, "_QUERIES", 7)
    assert rank(odd_corpus, odd_pairs) == whole


def test_block_is_full_with_enough_words(odd_corpus, odd_pairs, rank, monkeypatch) -> None:
    whole = rank(odd_corpus, odd_pairs)
    monkeypatch.setattr(bm25_blocks, "_POSTINGS", 200)
    monkeypatch.setattr(bm25_blocks, "_CHARACTERS", 1500)
    assert rank(odd_corpus, odd_pairs) == whole


def test_only_the_first_characters_of_a_query_count(tmp_path, rank) -> None:
    corpus = write_corpus(tmp_path, {"a": "a wing", "b": "a tail"})
    words = " ".join(f"w{number}" for number in range(1999))
    pairs = {"late": (f"{words} wing", "a"), "early": (f"wing {words}", "a"), "odd": ("wing \ud800\x00", "a")}
    assert rank(corpus, pairs) == {"late": None, "early": 1, "odd": 1}


@pytest.mark.parametrize("stop_at", ["documents read", "queries ranked"])
def test_stopped_work_goes_on_where_it_was(odd_corpus, odd_pairs, tmp_path, rank, monkeypatch, stop_at) -> None:
    whole = rank(odd_corpus, odd_pairs)
    monkeypatch.setattr(bm25_blocks, "_DOCUMENTS", 100)
    seen: list[str] = []

    def stop(done: int, total: int, message: str) -> None:
        seen.append(message)
        if seen.count(stop_at) == 3:  # in the last of three blocks; the two before it are done
            raise Cancelled("stop")

    folder = tmp_path / "stopped"
    with pytest.raises(Cancelled):
        rank_own_documents(odd_pairs, odd_corpus, folder, 0.9, 0.4, stop)
    analysed: list[int] = []
    analyze = bm25_blocks.analyze
    monkeypatch.setattr(bm25_blocks, "analyze", lambda texts: analysed.append(len(texts)) or analyze(texts))
    assert rank_own_documents(odd_pairs, odd_corpus, folder, 0.9, 0.4, lambda *_: None) == whole
    assert analysed == ([100] if stop_at == "documents read" else [])


def test_progress_counts_documents_and_then_queries(odd_corpus, odd_pairs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bm25_blocks, "_DOCUMENTS", 150)
    told: list[tuple[int, int, str]] = []
    rank_own_documents(odd_pairs, odd_corpus, tmp_path / "s", 0.9, 0.4, lambda *args: told.append(args))
    assert told == [
        (150, 300, "documents read"), (300, 300, "documents read"),
        (150, 301, "queries ranked"), (301, 301, "queries ranked"),
    ]  # fmt: skip


def test_bad_corpus_is_refused(tmp_path, rank) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "wing"}\n{"_id": "a", "text": "tail"}\n')
    with pytest.raises(InputError, match="line 2"):
        rank(tmp_path / "corpus.jsonl", {"q": ("wing", "a")})


@pytest.mark.skipif(not os.environ.get("DATASETS"), reason="$DATASETS names no folder of test collections")
def test_ranks_of_cranfield_s_answers_are_lucene_s(tmp_path, rank) -> None:
    dataset = Path(os.environ["DATASETS"]) / "cranfield"
    queries = read_queries(dataset)
    grades = {
        query: docs for split in ("train", "dev", "test") for query, docs in read_qrels(dataset, split).grades.items()
    }
    pairs = {f"{query}/{doc}": (queries[query].text, doc) for query, docs in grades.items() for doc in sorted(docs)[:3]}
    corpus = dataset / "corpus.jsonl"
    assert rank(corpus, pairs) == places(corpus, pairs, tmp_path / "cache")
