"""BM25 and the base together: the field of a query, the weights, and what is taught."""

import numpy as np
import pytest

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.configs import PrepareConfig
from sptar_engine.data.beir import qrels_path, read_qrels
from sptar_engine.data.seeds import read_seeds, seeds_path
from sptar_engine.errors import Cancelled
from sptar_engine.records import Hit, Metrics
from sptar_engine.stages import prepare as prepare_stage
from sptar_engine.training import hybrid_teacher
from sptar_engine.training.hybrid_teacher import (
    Field,
    Together,
    Weights,
    fit_weights,
    learn_together,
    lesson_rows,
    survey,
)
from sptar_engine.training.parts import Parts


class Searches:
    """Two searches over three documents that never agree."""

    def __init__(self) -> None:
        self.near = {"d1": 0.9, "d2": 0.5, "d3": 0.1}
        self.said = {"d3": 8.0, "d2": 2.0}

    def encode(self, texts):
        return np.zeros((len(texts), 2), np.float32)

    def words(self, queries, depth):
        assert depth >= 1000
        return {key: [Hit(*hit) for hit in self.said.items()] for key in queries}

    def meaning(self, queries, vectors, depth):
        return {key: [Hit(*hit) for hit in list(self.near.items())[:depth]] for key in queries}

    def cosines(self, vector, doc_ids):
        return np.array([self.near[doc_id] for doc_id in doc_ids])


def test_field_has_what_either_search_finds_first_and_what_is_known() -> None:
    ((key, field),) = survey(Searches(), {"q": "lift"}, 1, {})
    assert (key, field.doc_ids) == ("q", ("d1", "d3"))
    np.testing.assert_allclose(field.features, [[0.9, 0.0], [0.1, 1.0]])
    ((_, field),) = survey(Searches(), {"q": "lift"}, 1, {"q": ["d2"]})
    np.testing.assert_allclose(field.features, [[0.9, 0.0], [0.5, 0.25], [0.1, 1.0]])


def test_queries_are_encoded_together_and_searched_in_chunks(monkeypatch) -> None:
    searches, queries, asked = Searches(), dict.fromkeys("abcde", "lift"), []
    expected = dict(survey(searches, queries, 1, {}))
    encode, words = searches.encode, searches.words
    monkeypatch.setattr(hybrid_teacher, "_CHUNK", 2)
    monkeypatch.setattr(searches, "encode", lambda texts: asked.append(("encode", len(texts))) or encode(texts))
    monkeypatch.setattr(searches, "words", lambda some, depth: asked.append(("words", len(some))) or words(some, depth))
    found = dict(survey(searches, queries, 1, {}))
    assert asked == [("encode", 5), ("words", 2), ("words", 2), ("words", 1)]
    assert list(found) == list(expected)
    for key, field in found.items():
        assert field.doc_ids == expected[key].doc_ids
        np.testing.assert_array_equal(field.features, expected[key].features)


def test_weighted_sum_ranks_and_ties_fall_to_the_smaller_id() -> None:
    field = Field(("b", "a", "c"), np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]]))
    ranked = field.ranked(Weights(10.0, 6.0), 2)
    assert [(hit.doc_id, hit.score) for hit in ranked] == [("c", 6.0), ("a", 5.0)]


def test_weights_are_those_that_make_the_answers_likeliest() -> None:
    rng = np.random.default_rng(5)
    fields, answers = {}, {}
    for number in range(400):
        features = rng.random((6, 2))
        odds = np.exp(features @ [7.0, 3.0])
        fields[str(number)] = Field(tuple("abcdef"), features)
        answers[str(number)] = ["abcdef"[rng.choice(6, p=odds / odds.sum())]]
    weights = fit_weights(fields, answers)
    assert (weights.cosine, weights.share) == pytest.approx((7.0, 3.0), abs=0.6)


def test_weight_of_a_search_that_misleads_is_zero() -> None:
    field = Field(("a", "b"), np.array([[0.9, 0.0], [0.1, 1.0]]))
    assert fit_weights({"q": field}, {"q": ["a"]}).share == 0.0


def test_best_hit_of_bm25_is_worth_two_cosines_at_most() -> None:
    # The answers have the lowest cosines and the most words in common: cosines alone mislead.
    rng = np.random.default_rng(6)
    rows = {str(number): np.sort(rng.random((5, 2)), axis=0) * [-0.4, 1.0] + [0.9, 0.0] for number in range(30)}
    fields = {
        key: Field(tuple("abcde"), np.column_stack([row[:, 0], row[:, 1] / row[:, 1].max()]))
        for key, row in rows.items()
    }
    answers = dict.fromkeys(rows, "e")
    weights = fit_weights(fields, answers)
    assert weights.share == 2 * weights.cosine > 0
    telling = [(field.features, np.array(field.doc_ids) == "e") for field in fields.values()]
    loss = hybrid_teacher._loss(np.array([weights.cosine, weights.share]), telling)[0]
    others = [weights.cosine * factor for factor in (0.9, 0.99, 1.01, 1.1) if weights.cosine * factor <= 50]
    assert all(loss <= hybrid_teacher._loss(np.array([one, 2 * one]), telling)[0] for one in others)


def test_base_stands_alone_where_no_answer_is_known() -> None:
    field = Field(("a",), np.array([[0.9, 1.0]]))
    assert fit_weights({"q": field}, {}).share == 0.0


def test_lesson_is_in_cosines_the_own_document_always_in_it(tmp_path) -> None:
    ticks = []
    rows = _lesson(Searches(), {"q": "lift"}, tmp_path, lambda *tick: ticks.append(tick))
    # d1: 0.9; d3: 0.1 + 5 / 10; d2, which neither finds first, is the query's own: 0.5 + 0.25 * 5 / 10.
    assert rows == [{"query_key": "q", "doc_ids": ["d1", "d2"], "scores": [0.9, 0.625], "unit": "cosine"}]
    assert ticks == [(1, 1, "training queries have their lesson")]


def test_stopped_lesson_goes_on_behind_its_last_whole_part(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(hybrid_teacher, "_CHUNK", 2)
    searches, queries, asked = Searches(), dict.fromkeys("abcde", "lift"), []
    plainly = searches.encode

    def encode(texts):
        asked.append(len(texts))
        return plainly(texts)

    def stop(done, total, message):
        if done == 4:
            raise Cancelled(message)

    monkeypatch.setattr(searches, "encode", encode)
    with pytest.raises(Cancelled):
        _lesson(searches, queries, tmp_path / "stopped", stop)
    after = _lesson(searches, queries, tmp_path / "stopped", lambda *_: None)
    assert asked == [2, 2, 1]
    assert after == _lesson(Searches(), queries, tmp_path / "undisturbed", lambda *_: None)


def _lesson(searches, queries, folder, tick):
    together = Together(Weights(10.0, 5.0), 0.6, 0.5, 4)
    own = {key: ["d2"] for key in queries}
    return list(lesson_rows(together, searches, queries, own, 1, Parts(folder), tick))


def test_weights_are_fitted_to_answers_from_the_least_grade_on(toy_dataset, make_context, monkeypatch) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(), context)
    seeds = read_seeds(context.out_dir, "train")
    first = next(iter(seeds))
    grades = read_qrels(context.out_dir, "train").grades[first]
    other = next(row["_id"] for row in read_jsonl(context.out_dir / "corpus.jsonl") if row["_id"] not in grades)
    with qrels_path(context.out_dir, "train").open("a") as stream:  # judged, and below prepare.min_grade
        stream.write(f"{first}\t{other}\t1\n")
    fitted = []
    monkeypatch.setattr(hybrid_teacher, "survey", lambda *_: ())
    monkeypatch.setattr(hybrid_teacher, "measure", lambda *_: Metrics({"nDCG@10": 0.5}, {}))
    monkeypatch.setattr(
        hybrid_teacher, "fit_weights", lambda fields, answers: fitted.append(answers) or Weights(10.0, 0.0)
    )
    learn_together(Searches(), context.out_dir, 10)
    assert fitted == [{key: [pair.document.doc_id for pair in pairs] for key, pairs in seeds.items()}]


def test_held_out_query_whose_answers_are_below_the_least_grade_is_no_part_of_the_exam(
    toy_dataset, make_context, monkeypatch
) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(min_grade=2), context)
    dev = read_qrels(context.out_dir, "dev").grades
    first = next(iter(dev))
    rows = [row for row in read_jsonl(seeds_path(context.out_dir, "dev")) if row["query_id"] != first]
    write_jsonl(seeds_path(context.out_dir, "dev"), rows)
    lines = [
        f"{query_id}\t{doc_id}\t{min(grade, 1) if query_id == first else grade}"
        for query_id, grades in dev.items()
        for doc_id, grade in grades.items()
    ]
    path = qrels_path(context.out_dir, "dev")
    path.write_text("\n".join([path.read_text().splitlines()[0], *lines]) + "\n")
    asked = []
    monkeypatch.setattr(hybrid_teacher, "survey", lambda searches, queries, *_: asked.extend(queries) or ())
    monkeypatch.setattr(hybrid_teacher, "measure", lambda *_: Metrics({"nDCG@10": 0.5}, {}))
    monkeypatch.setattr(hybrid_teacher, "fit_weights", lambda *_: Weights(10.0, 0.0))
    together = learn_together(Searches(), context.out_dir, 10)
    assert together.dev_queries == len(dev) - 1 and first not in asked and set(dev) - {first} <= set(asked)


def test_held_out_queries_without_a_relevant_document_are_not_counted(toy_dataset, make_context, monkeypatch) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(), context)
    path = qrels_path(context.out_dir, "dev")
    dev = read_qrels(context.out_dir, "dev").grades
    first, document = next((query, doc_id) for query, grades in dev.items() for doc_id in grades)
    kept = [line for line in path.read_text().splitlines() if not line.startswith(f"{first}\t")]
    path.write_text("\n".join([*kept, f"{first}\t{document}\t0"]) + "\n")
    monkeypatch.setattr(hybrid_teacher, "survey", lambda *_: ())
    monkeypatch.setattr(hybrid_teacher, "fit_weights", lambda *_: Weights(10.0, 0.0))
    assert learn_together(Searches(), context.out_dir, 10).dev_queries == len(dev) - 1


def test_sentence_says_who_is_better() -> None:
    better, worse = Together(Weights(1, 1), 0.6, 0.5, 40), Together(Weights(1, 0), 0.5, 0.5, 40)
    assert better.teaches and not worse.teaches
    assert better.sentence(684) == (
        "BM25 and the untrained retriever together teach the order of documents for 684 training queries: on 40 "
        "held-out queries they reach nDCG@10 0.600 together, the untrained retriever alone 0.500."
    )
    assert worse.sentence(0).startswith("BM25 and the untrained retriever do not teach, and training goes on without")
