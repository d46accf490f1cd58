"""BM25 by the real Lucene: order, ties, odd input, and an index that is whole or absent."""

import json
import math
import multiprocessing
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from sptar_engine.data.beir import read_qrels, read_queries
from sptar_engine.errors import Cancelled, InputError, StageError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval import lexical
from sptar_engine.retrieval.java import java_class
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open

_ANSERINI = {"k1": 0.9, "b": 0.4}


def write_corpus(folder: Path, documents: dict[str, str], titles: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"_id": key, "title": (titles or {}).get(key, ""), "text": text} for key, text in documents.items()]
    path = folder / "corpus.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def searcher_of(tmp_path: Path, documents: dict[str, str], titles: dict[str, str] | None = None) -> LexicalSearcher:
    return LexicalSearcher(build_or_open(write_corpus(tmp_path, documents, titles), tmp_path / "cache"), **_ANSERINI)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.doc_id for hit in hits]


def test_score_is_bm25_by_hand(tmp_path) -> None:
    # Four documents of 2 terms, "wing" in one: idf = ln(1 + (4 - 1 + 0.5) / (1 + 0.5)), tf = 1 / (1 + 0.9).
    searcher = searcher_of(tmp_path, {"a": "wing flow", "b": "heat flow", "c": "cold flow", "d": "warm flow"})
    (hit,) = searcher.search({"q": "wing"}, 10)["q"]
    assert hit == Hit("a", pytest.approx(math.log(1 + 3.5 / 1.5) / 1.9, rel=1e-6))


def test_scores_agree_with_the_formula_for_several_words_and_lengths(tmp_path) -> None:
    documents = {
        "a": "wing wing heat", "b": "heat", "c": "wing heat flow flow flow shock", "d": "shock", "e": "flow wing",
    }  # fmt: skip
    searcher = searcher_of(tmp_path, documents)
    theirs = {hit.doc_id: hit.score for hit in searcher.search({"q": "wing heat wing"}, 10)["q"]}
    assert theirs == pytest.approx(bm25(documents, ["wing", "heat", "wing"], **_ANSERINI), rel=1e-5)


def bm25(documents: dict[str, str], query: list[str], k1: float, b: float) -> dict[str, float]:
    bags = {key: Counter(text.split()) for key, text in documents.items()}
    average = sum(bag.total() for bag in bags.values()) / len(bags)
    scores: Counter[str] = Counter()
    for word in query:
        found = [key for key, bag in bags.items() if word in bag]
        idf = math.log(1 + (len(bags) - len(found) + 0.5) / (len(found) + 0.5))
        for key in found:
            frequency = bags[key][word]
            scores[key] += idf * frequency / (frequency + k1 * (1 - b + b * bags[key].total() / average))
    return dict(scores)


def test_title_is_searched_and_words_are_stemmed(tmp_path) -> None:
    searcher = searcher_of(tmp_path, {"a": "of planes", "b": "of trains"}, {"a": "The wings", "b": "The rails"})
    assert ids(searcher.search({"q": "winged"}, 10)["q"]) == ["a"]


def test_ties_are_in_the_order_of_ids_at_the_cut_too(tmp_path) -> None:
    names = [f"d{number}" for number in range(40)]
    searcher = searcher_of(tmp_path, dict.fromkeys(reversed(names), "the same wing"))
    hits = searcher.search({"q": "wing"}, 7)["q"]
    assert ids(hits) == sorted(names)[:7]
    assert len({hit.score for hit in hits}) == 1  # Anserini would lower the scores of ties
    assert hits == rank_hits(hits)


def test_queries_are_searched_in_several_batches(toy_dataset, tmp_path, monkeypatch) -> None:
    searcher = LexicalSearcher(build_or_open(toy_dataset / "corpus.jsonl", tmp_path))
    queries = {key: query.text for key, query in read_queries(toy_dataset).items()}
    at_once = searcher.search(queries, 10)
    monkeypatch.setattr(lexical, "_HITS", 30)
    assert searcher.search(queries, 10) == at_once
    assert list(at_once) == list(queries)


@pytest.mark.parametrize("query", ["", " ", "the of and", "?!", "\x00", "\ud800", "\U0001f600", "(wing", 'te:st AND "'])
def test_odd_query_is_a_bag_of_words_like_any_other(tmp_path, query) -> None:
    searcher = searcher_of(tmp_path, {"a": "a wing", "b": "a tail"})
    assert ids(searcher.search({"q": query}, 10)["q"]) == (["a"] if "wing" in query else [])


def test_query_of_2000_words_is_searched(tmp_path) -> None:
    searcher = searcher_of(tmp_path, {"a": "a wing", "b": "a tail"})
    words = " ".join(f"w{number}" for number in range(1999))
    assert ids(searcher.search({"q": f"{words} wing"}, 10)["q"]) == []  # beyond what is read of a query
    assert ids(searcher.search({"q": f"wing {words}"}, 10)["q"]) == ["a"]
    assert ids(searcher.search({"q": "wing " + "日本 " * 20_000}, 10)["q"]) == ["a"]  # every sign is a word


@pytest.mark.parametrize("doc_id", ["a b", "q'uo\"te", "back\\slash", "a/b?c", "日本", "\U0001f600", "%20", "<x>&"])
def test_odd_document_ids_come_back_as_they_were(tmp_path, doc_id) -> None:
    searcher = searcher_of(tmp_path, {doc_id: "a wing", "other": "a tail"})
    assert ids(searcher.search({doc_id: "wing"}, 10)[doc_id]) == [doc_id]


def test_odd_documents_are_indexed(tmp_path) -> None:
    texts = {"nul": "a \x00 wing", "long": "x" * 100_000 + " wing", "astral": "\U0001f600 wing", "stop": "the of and"}
    assert set(ids(searcher_of(tmp_path, texts).search({"q": "wing"}, 10)["q"])) == {"nul", "long", "astral"}


def test_searchers_outlive_java_s_garbage_collections(tmp_path) -> None:
    # An object that pyjnius assigns to a Java field is freed at once, and a later collection takes the process down.
    index = build_or_open(write_corpus(tmp_path, {"a": "a wing"}), tmp_path / "cache")
    for _ in range(30):
        with LexicalSearcher(index) as searcher:
            java_class("java.lang.System").gc()
            assert ids(searcher.search({"q": "wing"}, 10)["q"]) == ["a"]


def test_settings_of_bm25_count(tmp_path) -> None:
    corpus = write_corpus(tmp_path, {"long": "wing wing " + "flow " * 50, "short": "wing", "x": "heat"})
    index = build_or_open(corpus, tmp_path / "cache")
    assert ids(LexicalSearcher(index, k1=0.9, b=1.0).search({"q": "wing"}, 10)["q"]) == ["short", "long"]
    assert ids(LexicalSearcher(index, k1=2.0, b=0.0).search({"q": "wing"}, 10)["q"]) == ["long", "short"]


def test_index_is_found_again_by_its_content(tmp_path) -> None:
    one = write_corpus(tmp_path / "one", {"a": "a wing"})
    same = Path(shutil.copy(one, tmp_path / "copy.jsonl"))
    other = write_corpus(tmp_path / "other", {"a": "a tail"})
    cache = tmp_path / "cache"
    assert build_or_open(one, cache) == build_or_open(same, cache) != build_or_open(other, cache)


def test_progress_is_told_per_batch(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lexical, "_BATCH", 2)
    told: list[int] = []
    build_or_open(write_corpus(tmp_path, dict.fromkeys("abcde", "wing")), tmp_path / "cache", told.append)
    assert told == [2, 4, 5]


def test_stopped_build_leaves_nothing_that_looks_like_an_index(tmp_path) -> None:
    def stop(done: int) -> None:
        raise Cancelled("stop")

    corpus, cache = write_corpus(tmp_path, {"a": "wing"}), tmp_path / "cache"
    with pytest.raises(Cancelled):
        build_or_open(corpus, cache, stop)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []
    assert build_or_open(corpus, cache).is_dir()


def test_leftover_of_a_killed_build_is_built_over(tmp_path) -> None:
    corpus, cache = write_corpus(tmp_path, {"a": "wing"}), tmp_path / "cache"
    index = build_or_open(corpus, cache)
    os.rename(index, cache / f".{index.name}.unfinished")
    assert ids(LexicalSearcher(build_or_open(corpus, cache)).search({"q": "wing"}, 1)["q"]) == ["a"]


def test_two_processes_at_once_make_one_index(tmp_path) -> None:
    corpus, cache = write_corpus(tmp_path, {f"d{n}": f"wing {n}" for n in range(500)}), tmp_path / "cache"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(build_or_open, [(corpus, cache), (corpus, cache)])
    assert first == second
    assert [path for path in cache.iterdir() if path.is_dir()] == [first]
    assert len(LexicalSearcher(first).search({"q": "wing"}, 1000)["q"]) == 500


def test_documents_that_lucene_lost_are_noticed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lexical, "_row", lambda document: '{"not": "a document"}')
    with pytest.raises(StageError, match=r"^Lucene indexed only 0 of 2 documents in .*; is the disk full\?$"):
        build_or_open(write_corpus(tmp_path, {"a": "wing", "b": "tail"}), tmp_path / "cache")


def test_damaged_index_says_what_to_delete(tmp_path) -> None:
    index = build_or_open(write_corpus(tmp_path, {"a": "wing"}), tmp_path / "cache")
    for path in index.iterdir():
        path.write_bytes(b"")
    with pytest.raises(StageError, match=f"opening the index {index} .delete that folder"):
        LexicalSearcher(index)


def test_bad_corpus_is_refused_and_leaves_no_index(tmp_path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "text": "wing"}\n{"_id": "a", "text": "tail"}\n')
    with pytest.raises(InputError, match="line 2"):
        build_or_open(tmp_path / "corpus.jsonl", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


@pytest.mark.skipif(not os.environ.get("DATASETS"), reason="$DATASETS names no folder of test collections")
@pytest.mark.parametrize(("name", "expected"), [("cranfield", 0.359), ("msmarco-mini", 0.729)])
def test_ndcg_is_that_of_anserini(tmp_path, name, expected) -> None:
    dataset = Path(os.environ["DATASETS"]) / name
    qrels, texts = read_qrels(dataset, "test"), read_queries(dataset)
    searcher = LexicalSearcher(build_or_open(dataset / "corpus.jsonl", tmp_path))
    rankings = searcher.search({query_id: texts[query_id].text for query_id in qrels.grades}, 1000)
    assert measure(qrels, rankings).mean["nDCG@10"] == pytest.approx(expected, abs=0.002)
