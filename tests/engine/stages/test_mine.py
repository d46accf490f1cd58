"""The stage mine on the toy dataset, with the real Lucene and a tiny encoder."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sptar_engine.artifacts import checksums, read_jsonl, write_jsonl
from sptar_engine.configs import MineConfig, PrepareConfig
from sptar_engine.data.beir import read_corpus, read_qrels, write_dataset
from sptar_engine.data.mined import read_mined
from sptar_engine.errors import Cancelled, InputError
from sptar_engine.records import Document, Qrels, Query
from sptar_engine.stage import SCRATCH, Progress
from sptar_engine.stages import mine
from sptar_engine.stages import prepare as prepare_stage
from sptar_engine.training.pairs import document_key, read_training_set


@pytest.fixture
def make_config(tiny_encoder) -> Callable[..., MineConfig]:
    return lambda **settings: MineConfig(base=str(tiny_encoder), **({"max_length": 48, "margin": 0.999} | settings))


@pytest.fixture
def run_mine(make_context, prepare, filtered, make_config):
    """Mine and return metrics and negatives; keyword arguments are settings."""

    def run(inputs=None, **settings):
        context = make_context("mine", inputs or {"prepare": prepare, "filter": filtered})
        metrics = mine.run(make_config(**settings), context).metrics
        return metrics, read_mined(context.out_dir)

    return run


def test_every_training_query_gets_negatives_of_both_kinds(run_mine, prepare, filtered) -> None:
    metrics, mined = run_mine(count=6)
    training_set = read_training_set(prepare, filtered, None, 0)
    assert list(mined) == list(training_set.queries)
    assert metrics["queries"] == len(mined) and metrics["queries_without"] == sum(not found for found in mined.values())
    sources = Counter(one.source for found in mined.values() for one in found)
    assert sources == Counter(bm25=metrics["kept_bm25"], dense=metrics["kept_dense"])
    assert min(sources.values()) > 20 and metrics["kept"] == sources.total() and metrics["kept_rejected"] == 0
    assert max(map(len, mined.values())) == 6
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["sentence"] == (
        f"{metrics['kept']} hard negatives for {metrics['queries']} training queries ({sources['bm25']} by BM25, "
        f"{sources['dense']} by dense search, 0 rejected by a person). Left out: {metrics['dropped_relevant']} hits "
        f"answer their query, {metrics['dropped_margin']} score too close to an answer, "
        f"{metrics['dropped_same_text']} repeat a text"
        + (f"; {metrics['queries_without']} queries have none." if metrics["queries_without"] else ".")
    )


def test_no_negative_answers_its_query_or_repeats_a_text(run_mine, prepare, filtered) -> None:
    metrics, mined = run_mine(margin=0.0, count=50)
    training_set, corpus = read_training_set(prepare, filtered, None, 0), read_corpus(prepare)
    for key, found in mined.items():
        keys = [document_key(corpus[one.doc_id].content) for one in found]
        assert len(set(keys)) == len(keys) and not training_set.positives[key] & set(keys)
    assert metrics["dropped_relevant"] >= len(mined) and metrics["dropped_margin"] == 0


def test_held_out_and_test_queries_change_nothing(run_mine, prepare, filtered) -> None:
    before = run_mine()[1]
    for split in ("dev", "test"):
        judged = read_qrels(prepare, split).grades
        lines = "".join(f"{query}\tbird-0\t1\n" for query in judged)
        (prepare / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    assert run_mine()[1] == before


@pytest.mark.parametrize("source", ["bm25", "dense"])
def test_one_source_alone(run_mine, source) -> None:
    assert {one.source for found in run_mine(source=source)[1].values() for one in found} == {source}


def test_bm25_without_a_margin_loads_no_encoder(run_mine, monkeypatch) -> None:
    monkeypatch.setattr(mine, "load_bi_encoder", lambda *arguments: pytest.fail("not needed"))
    assert run_mine(source="bm25", margin=0.0)[0]["kept"] > 0


def test_margin_holds_for_the_hits_of_bm25(run_mine) -> None:
    without, narrow = (run_mine(source="bm25", margin=margin, count=9)[0] for margin in (0.0, 0.999))
    assert without["kept"] > narrow["kept"] > 0
    assert narrow["dropped_margin"] > without["dropped_margin"] == 0


def test_margin_that_leaves_nothing_is_refused_with_what_was_left_out(run_mine) -> None:
    with pytest.raises(InputError, match=r"[1-9][\d,]* score too close to an answer, .* or set mine\.margin=0\.$"):
        run_mine(source="bm25", margin=0.5)


def test_first_hits_are_passed_over_and_depth_ends_the_search(run_mine) -> None:
    whole = run_mine(source="dense", margin=0.0, count=20, depth=20)[1]
    part = run_mine(source="dense", margin=0.0, count=20, depth=5, skip=3)[1]
    for key, found in part.items():
        assert len(found) <= 5
        assert [one.doc_id for one in whole[key]].index(found[0].doc_id) in (1, 2, 3)  # its own ones are no negatives
        assert [one for one in whole[key] if one in found] == list(found)


def test_rejected_document_of_an_edited_query_comes_first(run_mine, prepare, filtered, tmp_path) -> None:
    rows = list(read_jsonl(filtered / "ranks.jsonl"))
    rows[0] |= {"query": "what is rare in winter", "kept": True}
    rows[1] |= {"query": "What is rare in winter?", "kept": True}
    write_jsonl(filtered / "ranks.jsonl", rows)
    decisions = tmp_path / "decisions.jsonl"
    write_jsonl(decisions, [{"weak_id": "w1", "verdict": "reject"}])
    metrics, mined = run_mine({"prepare": prepare, "filter": filtered, "decisions": decisions}, margin=0.01)
    first = mined["what is rare in winter"][0]
    assert (first.doc_id, first.source, first.score) == (rows[1]["doc_id"], "rejected", None)
    assert metrics["kept_rejected"] == 1


def test_trained_retriever_takes_the_place_of_the_base(make_context, run_mine, prepare, filtered, tiny_encoder) -> None:
    train = tiny_encoder.parent / "nothing"
    with pytest.raises(InputError, match="nothing"):
        run_mine({"prepare": prepare, "filter": filtered, "train": train})


def test_stopped_run_goes_on_to_the_same_bytes(make_context, prepare, filtered, make_config, monkeypatch) -> None:
    monkeypatch.setattr(mine, "_PART", 8)
    inputs = {"prepare": prepare, "filter": filtered}
    ticks: list[Progress] = []
    whole = make_context("mine", inputs, report=ticks.append)
    expected = mine.run(make_config(), whole).metrics
    mined = [tick for tick in ticks if "hard negatives" in tick.message]
    assert [tick.done for tick in mined][-1] == mined[-1].total == expected["queries"] and len(mined) > 3
    stop_after = len(ticks) - len(mined) + 2
    heard: list[Progress] = []
    cut = make_context("mine", inputs, cache=whole.cache / "other")
    stopped = make_context(
        "mine", inputs, cut.out_dir, cache=cut.cache, report=heard.append, should_stop=lambda: len(heard) == stop_after
    )
    with pytest.raises(Cancelled):
        mine.run(make_config(), stopped)
    assert not (cut.out_dir / "negatives.jsonl").exists()
    asked: list[int] = []
    rows = mine._Miner.rows
    monkeypatch.setattr(mine._Miner, "rows", lambda miner, some: asked.append(len(some)) or rows(miner, some))
    assert mine.run(make_config(), cut).metrics == expected
    assert sum(asked) == expected["queries"] - 16
    skip = frozenset({SCRATCH})
    assert checksums(cut.out_dir, skip) == checksums(whole.out_dir, skip)


def _write_collection(folder: Path, documents: list[Document]) -> None:
    """Nine queries, each answered by every document."""
    queries = [Query(f"q{number}", f"question {number}") for number in range(10)]
    grades = {query.query_id: {document.doc_id: 1 for document in documents} for query in queries}
    splits = {"train": grades.keys() - {"q8", "q9"}, "dev": {"q8"}, "test": {"q9"}}
    qrels = {split: Qrels({query: grades[query] for query in sorted(ids)}) for split, ids in splits.items()}
    write_dataset(folder, documents, queries, qrels)


@pytest.mark.parametrize("count", [1, 2])
def test_corpus_in_which_no_negative_is_left_is_refused(make_context, make_config, tmp_path, count) -> None:
    documents = [Document(f"d{number}", f"the only answer to every question {number}") for number in range(count)]
    _write_collection(tmp_path / "data", documents)
    prepared = make_context("prepare", {"dataset": tmp_path / "data"})
    prepare_stage.run(PrepareConfig(), prepared)
    expected = r"No document is left .* any of the 8 training queries: .* mine\.depth=\d+\.$"
    with pytest.raises(InputError, match=expected):
        mine.run(make_config(), make_context("mine", {"prepare": prepared.out_dir}))
