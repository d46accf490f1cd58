"""Which hits may be hard negatives: by hand on a few documents, and as sentence-transformers chooses them."""

import math

import pytest
from datasets import Dataset
from sentence_transformers.util import mine_hard_negatives

from sptar_engine.data.beir import read_corpus, read_qrels, read_queries
from sptar_engine.data.mined import Mined
from sptar_engine.records import Document, Hit, Qrels, Query, SeedPair, WeakPair
from sptar_engine.retrieval.dense import encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.mining import Line, Question, choose, draw_line, list_questions
from sptar_engine.training.pairs import Review, build_training_set, document_key

CONTENTS = {f"d{number}": f"text {number}" for number in range(10)} | {"copy": "Text  1", "echo": "text 5"}
KEYS = {doc_id: document_key(text) for doc_id, text in CONTENTS.items()}


def question(*relevant: str, rejected: tuple[str, ...] = ()) -> Question:
    return Question("q", "Q?", frozenset(KEYS[doc_id] for doc_id in relevant), relevant, rejected)


def hits(*doc_ids: str) -> list[Hit]:
    return [Hit(doc_id, 9.0 - place) for place, doc_id in enumerate(doc_ids)]


def chosen(asked: Question, found, count: int = 9, line: Line | None = None) -> list[tuple[str, str]]:
    choice = choose(asked, found, line or Line(), KEYS.__getitem__, count)
    return [(one.doc_id, one.source) for one in choice.negatives]


def test_sources_take_turns_and_a_document_comes_once() -> None:
    found = {"bm25": hits("d2", "d3", "d4"), "dense": hits("d3", "d2", "d5", "d6", "d7")}
    assert chosen(question("d1"), found) == [
        ("d2", "bm25"), ("d3", "dense"), ("d4", "bm25"), ("d5", "dense"), ("d6", "dense"), ("d7", "dense"),
    ]  # fmt: skip
    assert chosen(question("d1"), found, count=3) == [("d2", "bm25"), ("d3", "dense"), ("d4", "bm25")]


def test_no_answer_and_no_copy_of_one_is_taken() -> None:
    asked = question("d1", "d4")
    choice = choose(asked, {"bm25": hits("d1", "copy", "d4", "d2")}, Line(), KEYS.__getitem__, 9)
    assert choice.negatives == (Mined("d2", "bm25", 6.0),)
    assert choice.dropped == {"relevant": 3, "margin": 0, "same_text": 0}


def test_text_that_repeats_a_negative_is_left_out() -> None:
    choice = choose(question("d1"), {"bm25": hits("d5", "echo", "d6")}, Line(), KEYS.__getitem__, 9)
    assert [one.doc_id for one in choice.negatives] == ["d5", "d6"]
    assert choice.dropped == {"relevant": 0, "margin": 0, "same_text": 1}


def test_document_at_the_margin_is_left_out_whoever_found_it() -> None:
    nearness = {"d1": 0.8, "d2": 0.76, "d3": 0.7599, "d4": 0.9, "d5": 0.1}
    line = draw_line(question("d1"), nearness, 0.95)
    assert line.limit == pytest.approx(0.76)
    choice = choose(question("d1"), {"bm25": hits("d4", "d5"), "dense": hits("d2", "d3")}, line, KEYS.__getitem__, 9)
    assert [one.doc_id for one in choice.negatives] == ["d5", "d3"]
    assert choice.dropped == {"relevant": 0, "margin": 2, "same_text": 0}


def test_of_several_own_documents_the_best_one_draws_the_line() -> None:
    assert draw_line(question("d1", "d2"), {"d1": 0.2, "d2": 0.6}, 0.5).limit == pytest.approx(0.3)


def test_line_is_below_a_negative_score_too() -> None:
    assert draw_line(question("d1"), {"d1": -0.5}, 0.9).limit == pytest.approx(-0.55)


def test_margin_of_zero_leaves_nothing_out() -> None:
    line = draw_line(question("d1"), {}, 0.0)
    assert line.limit == math.inf
    assert chosen(question("d1"), {"dense": hits("d2")}, line=line) == [("d2", "dense")]


def test_what_a_person_rejected_comes_first_beyond_count_and_margin() -> None:
    asked = question("d1", rejected=("d7", "d8", "d1", "d7"))
    line = Line(0.0, dict.fromkeys(CONTENTS, 1.0))
    choice = choose(asked, {"bm25": hits("d2")}, line, KEYS.__getitem__, 1)
    assert choice.negatives == (Mined("d7", "rejected", None), Mined("d8", "rejected", None))
    assert choice.dropped == {"relevant": 1, "margin": 0, "same_text": 0}  # the hit was not needed


def test_rejected_documents_count_towards_the_number() -> None:
    asked = question("d1", rejected=("d7",))
    assert chosen(asked, {"bm25": hits("d2", "d3")}, count=2) == [("d7", "rejected"), ("d2", "bm25")]


def test_questions_have_all_answers_known_for_them() -> None:
    seeds = {"q1": tuple(SeedPair(Query("q1", "One?"), Document(doc, CONTENTS[doc])) for doc in ("d1", "d2"))}
    weak = ((WeakPair("w1", "one", "d4", "p"), "weak"), (WeakPair("w2", "two", "d5", "p"), "weak"))
    reviewed = Review(weak, (WeakPair("w3", "Two", "d6", "p"),))
    training_set = build_training_set(seeds, Qrels({"q1": {"d1": 1, "d2": 1, "d3": 1}}), reviewed, CONTENTS)
    assert list_questions(training_set) == [
        Question("one", "One?", {KEYS[doc_id] for doc_id in ("d1", "d2", "d3", "d4")}, ("d1", "d2", "d4")),
        Question("two", "two", {KEYS["d5"]}, ("d5",), ("d6",)),
    ]


def test_dense_choice_is_that_of_sentence_transformers(tiny_encoder, toy_dataset) -> None:
    model = load_bi_encoder(tiny_encoder, 64, "cpu")
    corpus = {document.doc_id: document.content for document in read_corpus(toy_dataset).values()}
    judged, queries = read_qrels(toy_dataset, "train"), read_queries(toy_dataset)
    pairs = [(queries[query].text, judged.relevant(query)[0]) for query in judged.grades]
    theirs = mine_hard_negatives(
        Dataset.from_dict({"q": [query for query, _ in pairs], "p": [corpus[doc_id] for _, doc_id in pairs]}),
        model, corpus=list(corpus.values()), relative_margin=0.01, range_max=len(corpus), num_negatives=4,
        output_format="triplet", verbose=False,
    )  # fmt: skip
    expected: dict[str, list[str]] = {}
    for row in theirs:
        expected.setdefault(row["q"], []).append(row["negative"])

    vectors, asked = encode(model, list(corpus.values()), 64), encode(model, [query for query, _ in pairs], 64)
    found = search([query for query, _ in pairs], asked, list(corpus), vectors, len(corpus))
    keys = {doc_id: document_key(text) for doc_id, text in corpus.items()}
    ours: dict[str, list[str]] = {}
    for query, own in pairs:
        one = Question(query, query, {keys[own]}, (own,))
        line = draw_line(one, {hit.doc_id: hit.score for hit in found[query]}, 0.99)
        choice = choose(one, {"dense": found[query]}, line, keys.__getitem__, 4)
        if choice.negatives:
            ours[query] = [corpus[negative.doc_id] for negative in choice.negatives]
    assert ours == expected
    assert len(ours) > 5
