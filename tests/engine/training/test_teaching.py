import math
from collections.abc import Sequence

import pytest

from sptar_engine.artifacts import checksums, write_jsonl
from sptar_engine.configs import TeachConfig
from sptar_engine.data.beir import read_corpus, write_dataset
from sptar_engine.data.mined import Mined
from sptar_engine.data.seeds import seeds_path
from sptar_engine.errors import Cancelled, InputError, StageError
from sptar_engine.records import Document, Hit, Qrels, Query
from sptar_engine.stages.teach import summarise
from sptar_engine.training import teaching
from sptar_engine.training.pairs import TrainingPair, TrainingSet
from sptar_engine.training.parts import Parts
from sptar_engine.training.teachers import Pair
from sptar_engine.training.teaching import Exam, Grades, choose_documents, fit_temperature, read_exam, score_lists


class LengthTeacher:
    """Likes documents with many letters; remembers what it was asked."""

    def __init__(self, score: float | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self._score = score

    def score(self, pairs: Sequence[Pair], advance) -> list[float]:
        self.asked += [(pair.query, pair.document.doc_id) for pair in pairs]
        advance(len(pairs))
        return [len(pair.document.text) if self._score is None else self._score for pair in pairs]


def pairs_of(**own: str) -> TrainingSet:
    pairs = [
        TrainingPair(f"{key} {doc_id}", "seed", key, doc_id, key, place)
        for key, doc_ids in own.items()
        for place, doc_id in enumerate(doc_ids.split())
    ]
    return TrainingSet(tuple(pairs), {}, {})


def mined(**found: str) -> dict[str, tuple[Mined, ...]]:
    return {key: tuple(Mined(doc_id, "bm25", 1.0) for doc_id in doc_ids.split()) for key, doc_ids in found.items()}


@pytest.mark.parametrize(
    ("own", "found", "chosen"),
    [
        ("a", "1 2 3 4 5", "a 1 2 3"),
        ("a b c", "1 2 3 4", "a b 1 2"),  # at most half are its own …
        ("a b c d e", "1", "a b c 1"),  # … as long as there are others
        ("a b", "", "a b"),
        ("a", "1", "a 1"),
    ],
)
def test_own_documents_come_first_and_mined_ones_fill_up(own, found, chosen) -> None:
    assert choose_documents(pairs_of(q=own), mined(q=found), 4) == {"q": tuple(chosen.split())}


def test_query_with_a_single_document_is_left_out() -> None:
    assert choose_documents(pairs_of(q="a", r="b"), mined(r="1"), 4) == {"r": ("b", "1")}


@pytest.fixture
def corpus(tmp_path):
    documents = [Document(f"d{number}", "x" * number) for number in range(1, 7)]
    write_dataset(tmp_path / "data", documents, [], {})
    return read_corpus(tmp_path / "data")


LISTS = {"q1": ["d3", "d1"], "q2": ["d1", "d6", "d3"]}
TEXTS = {"q1": "one", "q2": "two"}


def test_scores_are_by_query_and_a_document_is_read_with_all_its_queries(corpus, tmp_path) -> None:
    teacher, told = LengthTeacher(), []
    scores = score_lists(teacher, corpus, told.append, Parts(tmp_path / "parts"), TEXTS, LISTS)
    assert scores == {"q1": {"d3": 3, "d1": 1}, "q2": {"d1": 1, "d6": 6, "d3": 3}}
    assert [list(known) for known in scores.values()] == list(LISTS.values())
    assert teacher.asked == [("one", "d1"), ("two", "d1"), ("one", "d3"), ("two", "d3"), ("two", "d6")]
    assert sum(told) == 5


def test_stopped_scoring_repeats_no_part_and_leaves_the_same_bytes(corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(teaching, "_PART", 1)
    whole = score_lists(LengthTeacher(), corpus, lambda pairs: None, Parts(tmp_path / "whole"), TEXTS, LISTS)

    def stop(pairs: int, told=[]) -> None:  # noqa: B006 - counts across calls
        told.append(pairs)
        if len(told) == 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        score_lists(LengthTeacher(), corpus, stop, Parts(tmp_path / "cut"), TEXTS, LISTS)
    teacher, told = LengthTeacher(), []
    again = score_lists(teacher, corpus, told.append, Parts(tmp_path / "cut"), TEXTS, LISTS)
    assert again == whole
    assert teacher.asked == [("one", "d3"), ("two", "d3"), ("two", "d6")] and sum(told) == 5
    assert checksums(tmp_path / "cut") == checksums(tmp_path / "whole")


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_score_that_is_no_number_ends_the_stage(corpus, tmp_path, score) -> None:
    with pytest.raises(StageError, match=r"document 'd1' is .*teach\.dtype=float32"):
        score_lists(LengthTeacher(score), corpus, lambda pairs: None, Parts(tmp_path / "parts"), TEXTS, LISTS)


def test_temperature_makes_the_scores_as_sure_as_they_are_right() -> None:
    # Two documents 2 apart; the higher one answers in 3 of 4 queries, so its share should be 3/4: 2 / t = ln 3.
    scores = {f"q{number}": {"high": 1.0, "low": -1.0} for number in range(4)}
    qrels = Qrels({f"q{number}": {"low" if number == 3 else "high": 1} for number in range(4)})
    assert fit_temperature(scores, qrels) == pytest.approx(2 / math.log(3))


def test_temperature_follows_the_scale_of_the_scores() -> None:
    scores = {"q": {"a": 0.3, "b": 0.1, "c": 0.2}, "r": {"a": 0.1, "b": 0.5, "c": 0.6}}
    qrels = Qrels({"q": {"a": 1}, "r": {"b": 2, "c": 0}})
    scaled = {query: {doc_id: 7 * score + 3 for doc_id, score in known.items()} for query, known in scores.items()}
    assert fit_temperature(scaled, qrels) == pytest.approx(7 * fit_temperature(scores, qrels))


def test_temperature_has_an_end_where_every_answer_stands_first() -> None:
    # The scores spread by 1; ten times that is the sharpest.
    assert fit_temperature({"q": {"a": 1.0, "b": -1.0}}, Qrels({"q": {"a": 1}})) == pytest.approx(0.1)
    assert fit_temperature({"q": {"a": 1.0, "b": -1.0}}, Qrels({"q": {"b": 1}})) == pytest.approx(10.0)


@pytest.mark.parametrize("known", [{}, {"a": 1.0, "b": 1.0}, {"b": 1.0, "c": 2.0}])
def test_temperature_is_one_where_there_is_nothing_to_fit(known) -> None:
    assert fit_temperature({"q": known}, Qrels({"q": {"a": 1}})) == 1.0


def test_exam_compares_both_orders_of_the_same_documents() -> None:
    hits = {"q": [Hit("a", 3.0), Hit("b", 2.0)], "r": [Hit("c", 1.0), Hit("d", 0.5)]}
    judged = Qrels({"q": {"b": 1}, "r": {"c": 1}})
    exam = Exam({"q": "Q", "r": "R"}, judged, judged, hits)
    assert exam.lists == {"q": ["a", "b"], "r": ["c", "d"]}
    second = 1 / math.log2(3)
    grades = exam.grade({"q": {"a": 0.1, "b": 0.2}, "r": {"c": 0.9, "d": 0.3}})
    assert (grades.teacher, grades.bm25) == (pytest.approx(1.0), pytest.approx((1 + second) / 2))
    assert grades.teaches
    worse = exam.grade({"q": {"a": 0.2, "b": 0.1}, "r": {"c": 0.9, "d": 0.3}})
    assert worse.teacher == worse.bm25 and not worse.teaches


def test_exam_asks_for_no_query_whose_answers_are_below_the_least_grade(tmp_path) -> None:
    class Bm25:
        def rank(self, queries, depth, tick):
            return {query_id: [Hit("d", 1.0)] for query_id in queries}

    graded = Qrels({"q1": {"d": 2}, "q2": {"d": 1}})
    write_dataset(tmp_path, [Document("d", "text")], [Query("q1", "one"), Query("q2", "two")], {"dev": graded})
    write_jsonl(seeds_path(tmp_path, "dev"), [{"query_id": "q1", "query": "one", "doc_id": "d", "grade": 2}])
    exam = read_exam(tmp_path, Bm25(), 10, lambda *said: None)
    assert exam.queries == {"q1": "one"} and exam.lists == {"q1": ["d"]} and list(exam.qrels.grades) == ["q1"]


def test_exam_counts_the_queries_that_it_measures() -> None:
    judged = Qrels({"q": {"a": 1}, "r": {"c": 0}, "s": {"d": 0, "e": 2}})
    exam = Exam(dict.fromkeys("qrs", "text"), judged, judged, {})
    assert exam.measured == 2
    said = summarise(TeachConfig(teacher="self"), exam, Grades(0.6, 0.5, 1.0), {})
    assert said["dev_queries"] == 2 and "documents of 2 held-out queries" in said["sentence"]


def test_exam_without_held_out_queries_is_refused(tmp_path) -> None:
    write_dataset(tmp_path, [Document("d", "text")], [], {"dev": Qrels({})})
    with pytest.raises(InputError, match="no held-out queries; a teacher is examined on them"):
        read_exam(tmp_path, None, 10, lambda *said: None)
