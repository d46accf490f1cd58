"""The stage teach on the toy dataset, with the real Lucene and tiny models, and with a teacher that knows all."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import checksums, read_jsonl, write_jsonl
from sptar_engine.configs import TeachConfig
from sptar_engine.data.beir import read_corpus, read_qrels, read_queries
from sptar_engine.data.mined import read_mined
from sptar_engine.data.query_text import normalised
from sptar_engine.data.seeds import read_seeds
from sptar_engine.data.taught import read_taught
from sptar_engine.errors import Cancelled, ConfigError, InputError, StageError
from sptar_engine.prompting.prompts import make_prompt, write_prompt
from sptar_engine.stage import SCRATCH, Progress
from sptar_engine.stages import teach
from sptar_engine.training import teaching
from sptar_engine.training.cross_encoder import put_head
from sptar_engine.training.pairs import read_training_set
from sptar_engine.training.teachers import Pair


class KnowsAll:
    """Scores an answer to a held-out query 5 and every other document by its length; counts what it is asked."""

    def __init__(self, prepare: Path) -> None:
        queries, judged = read_queries(prepare), read_qrels(prepare, "dev")
        self._answers = {(queries[query].text, doc_id) for query in judged.grades for doc_id in judged.grades[query]}
        self.asked = 0

    def score(self, pairs: Sequence[Pair], advance: Callable[[int], None]) -> list[float]:
        self.asked += len(pairs)
        advance(len(pairs))
        known = ((pair.query, pair.document.doc_id) in self._answers for pair in pairs)
        return [5.0 if answer else len(pair.document.content) / 1000 for answer, pair in zip(known, pairs, strict=True)]


@pytest.fixture
def inputs(prepare, filtered, mined) -> dict[str, Path]:
    return {"prepare": prepare, "filter": filtered, "mine": mined}


@pytest.fixture
def know_all(prepare, monkeypatch) -> KnowsAll:
    teacher = KnowsAll(prepare)
    monkeypatch.setattr(teach, "open_teacher", lambda config, context: teacher)
    return teacher


@pytest.fixture
def trained(tiny_encoder, tmp_path) -> Callable[[str], Path]:
    """A folder as train leaves it, with an untrained bi-encoder or cross-encoder."""

    def make(family: str) -> Path:
        folder = tmp_path / "train" / family
        if family == "bi_encoder":
            shutil.copytree(tiny_encoder, folder / "model")
        else:
            model = put_head(SentenceTransformer(str(tiny_encoder), device="cpu"), 1.0)
            model.save_pretrained(str(folder / "model"), create_model_card=False)
        return folder

    return make


@pytest.fixture
def selected(prepare, tmp_path) -> Path:
    """A folder as select leaves it, with one example."""
    example = next(iter(read_seeds(prepare, "train").values()))[0]
    write_prompt(tmp_path / "select", make_prompt((example,), None))
    return tmp_path / "select"


def test_nobody_teaches(make_context, inputs) -> None:
    context = make_context("teach", inputs)
    metrics = teach.run(TeachConfig(), context).metrics
    assert not metrics["teaches"] and "Nobody teaches" in metrics["sentence"]
    assert read_taught(context.out_dir) == {}


def test_teacher_better_than_bm25_scores_own_and_mined_documents(make_context, inputs, know_all, prepare) -> None:
    context = make_context("teach", inputs)
    metrics = teach.run(TeachConfig(teacher="self", documents=4, rerank_depth=20), context).metrics
    taught, found = read_taught(context.out_dir), read_mined(inputs["mine"])
    training_set = read_training_set(prepare, inputs["filter"], None, 0)
    assert list(taught) == list(training_set.queries)
    corpus = read_corpus(prepare)
    for key, one in taught.items():
        own = [pair.doc_id for pair in training_set.pairs if pair.query_key == key][:2]
        assert one.doc_ids == (*own, *(negative.doc_id for negative in found[key][: 4 - len(own)]))
        raw = [len(corpus[doc_id].content) / 1000 for doc_id in one.doc_ids]
        assert one.scores == pytest.approx([score / metrics["temperature"] for score in raw], abs=1e-6)
    assert metrics["teaches"] and metrics["dev_nDCG@10"] > metrics["dev_nDCG@10_bm25"] > 0
    assert (metrics["queries"], metrics["documents"]) == (len(taught), sum(len(one.doc_ids) for one in taught.values()))
    assert metrics["sentence"] == (
        f"The retriever of the first training scored {metrics['documents']} documents of {len(taught)} training "
        f"queries: it puts BM25's first 20 documents of 12 held-out queries in an order of nDCG@10 "
        f"{metrics['dev_nDCG@10']:.3f} against {metrics['dev_nDCG@10_bm25']:.3f} of BM25's own order."
    )
    assert json.loads(json.dumps(metrics)) == metrics


def test_teacher_no_better_than_bm25_does_not_teach(make_context, inputs, monkeypatch) -> None:
    class Contrary:
        asked = 0

        def score(self, pairs, advance):
            self.asked += len(pairs)
            return [float(pair.document.content.count("the")) for pair in pairs]

    contrary = Contrary()
    monkeypatch.setattr(teach, "open_teacher", lambda config, context: contrary)
    context = make_context("teach", inputs)
    metrics = teach.run(TeachConfig(teacher="likelihood", rerank_depth=10), context).metrics
    assert not metrics["teaches"] and metrics["dev_nDCG@10"] <= metrics["dev_nDCG@10_bm25"]
    assert (metrics["queries"], metrics["documents"]) == (0, 0) and contrary.asked <= 12 * 10
    assert read_taught(context.out_dir) == {}
    assert metrics["sentence"].startswith(
        "The language model's likelihood of a query does not teach, and training goes on without it: it puts BM25's "
        "first 10 documents of 12 held-out queries in an order of nDCG@10 "
    )
    assert "no better than BM25's own order with" in metrics["sentence"]


def test_grades_are_shown_before_it_teaches_and_progress_counts_pairs(make_context, inputs, know_all) -> None:
    ticks: list[Progress] = []
    metrics = teach.run(TeachConfig(teacher="self"), make_context("teach", inputs, report=ticks.append)).metrics
    exam = [tick for tick in ticks if "held-out queries scored" in tick.message]
    lesson = [tick for tick in ticks if "training queries scored" in tick.message]
    assert exam and lesson and ticks.index(exam[-1]) < ticks.index(lesson[0])
    assert all(tick.metrics["dev_nDCG@10"] == metrics["dev_nDCG@10"] for tick in lesson)
    done = [tick.done for tick in (*exam, *lesson)]
    assert done == sorted(done) and done[-1] == lesson[-1].total


def test_no_test_query_is_ever_scored(make_context, inputs, know_all, prepare, monkeypatch) -> None:
    asked: set[str] = set()
    score = KnowsAll.score

    def remember(teacher: KnowsAll, pairs: Sequence[Pair], advance: Callable[[int], None]) -> list[float]:
        asked.update(pair.query for pair in pairs)
        return score(teacher, pairs, advance)

    monkeypatch.setattr(KnowsAll, "score", remember)
    teach.run(TeachConfig(teacher="self"), make_context("teach", inputs))
    queries = read_queries(prepare)
    tested = {normalised(queries[query].text) for query in read_qrels(prepare, "test").grades}
    assert asked and not tested & {normalised(query) for query in asked}


def test_stopped_run_goes_on_to_the_same_bytes(make_context, inputs, know_all, monkeypatch) -> None:
    monkeypatch.setattr(teaching, "_PART", 8)
    config = TeachConfig(teacher="self")
    whole = make_context("teach", inputs)
    expected = teach.run(config, whole).metrics
    everything = know_all.asked
    for stop_at in (3, 12):  # within the exam, and while it teaches
        heard: list[Progress] = []

        def stops(heard: list[Progress] = heard, stop_at: int = stop_at) -> bool:
            return sum("scored" in one.message for one in heard) == stop_at

        cut = make_context("teach", inputs, report=heard.append, should_stop=stops)
        with pytest.raises(Cancelled):
            teach.run(config, cut)
        assert not (cut.out_dir / "scores.jsonl").exists()
        know_all.asked = 0
        assert teach.run(config, replace(cut, should_stop=lambda: False)).metrics == expected
        assert know_all.asked < everything
        skip = frozenset({SCRATCH})
        assert checksums(cut.out_dir, skip) == checksums(whole.out_dir, skip)


def test_cross_encoder_is_opened_from_its_training(make_context, inputs, trained) -> None:
    context = make_context("teach", {**inputs, "train": trained("cross_encoder")})
    metrics = teach.run(TeachConfig(teacher="cross_encoder", max_length=48), context).metrics
    assert metrics["teaches"] == bool(read_taught(context.out_dir))
    assert 0 <= metrics["dev_nDCG@10"] <= 1


def test_other_retriever_in_the_place_of_the_cross_encoder_is_refused(make_context, inputs, trained) -> None:
    context = make_context("teach", {**inputs, "train": trained("bi_encoder")})
    with pytest.raises(InputError, match="holds a bi-encoder, and a cross-encoder is asked for"):
        teach.run(TeachConfig(teacher="cross_encoder"), context)


def test_retriever_teaches_itself(make_context, inputs, trained) -> None:
    context = make_context("teach", {**inputs, "train": trained("bi_encoder")})
    metrics = teach.run(TeachConfig(teacher="self", max_length=48), context).metrics
    assert metrics["teaches"] == bool(read_taught(context.out_dir))


def test_teacher_that_was_not_trained_is_said(make_context, inputs) -> None:
    with pytest.raises(StageError, match="needs the result of train"):
        teach.run(TeachConfig(teacher="self"), make_context("teach", inputs))


def test_likelihood_uses_the_prompt_of_the_arm(make_context, inputs, selected, tiny_llm, monkeypatch) -> None:
    config = TeachConfig(teacher="likelihood", model=str(tiny_llm), document_tokens=32, query_tokens=16)
    context = make_context("teach", {**inputs, "select": selected})
    lengths: list[int] = []
    prefix = teach.prefix
    monkeypatch.setattr(teach, "prefix", lambda *given: lengths.append(len(given[2])) or prefix(*given))
    metrics = teach.run(config, context).metrics
    assert lengths[0] > 32 and metrics["teacher"] == "likelihood" and metrics["temperature"] > 0


def test_prompt_that_the_language_model_cannot_hold_is_refused(make_context, inputs, selected, tiny_llm) -> None:
    config = TeachConfig(teacher="likelihood", model=str(tiny_llm), document_tokens=4096)
    with pytest.raises(ConfigError, match=r"teach\.document_tokens"):
        teach.run(config, make_context("teach", {**inputs, "select": selected}))


def test_no_document_to_compare_with_is_refused(make_context, inputs, tmp_path) -> None:
    rows = [{**row, "negatives": []} for row in read_jsonl(inputs["mine"] / "negatives.jsonl")]
    write_jsonl(tmp_path / "empty" / "negatives.jsonl", rows)
    seeds = inputs["prepare"] / "seeds" / "train.jsonl"
    first = {row["query_id"]: row for row in reversed(list(read_jsonl(seeds)))}
    write_jsonl(seeds, first.values())
    with pytest.raises(InputError, match="a teacher needs hard negatives"):
        teach.run(TeachConfig(teacher="self"), make_context("teach", {**inputs, "mine": tmp_path / "empty"}))
