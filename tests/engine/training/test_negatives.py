import pytest

from sptar_engine.data.beir import write_dataset
from sptar_engine.data.mined import Mined
from sptar_engine.data.taught import Taught
from sptar_engine.records import Document, Qrels, Query, SeedPair, WeakPair
from sptar_engine.training.negatives import choose_negatives, fill_negatives
from sptar_engine.training.pairs import Review, TrainingSet, build_training_set, document_key

CONTENTS = {f"d{number}": f"text {number}" for number in range(8)} | {"copy": "Text  1"}
KEYS = {doc_id: document_key(text) for doc_id, text in CONTENTS.items()}
MINED = {
    "one": tuple(Mined(doc_id, "bm25", 1.0) for doc_id in ("d2", "d4", "d5", "d6")),
    "weak": (Mined("d7", "rejected", None), Mined("d0", "dense", 0.5), Mined("d1", "bm25", 7.0)),
}


@pytest.fixture
def training_set() -> TrainingSet:
    """q1 is answered by d1 (of which there is a copy) and, judged only, by d3; a weak query by d4, not by d7."""
    seeds = {"q1": (SeedPair(Query("q1", "One?"), Document("d1", CONTENTS["d1"])),)}
    rejected = (WeakPair("w2", "weak", "d7", "p"),)
    reviewed = Review(((WeakPair("w1", "weak", "d4", "p"), "weak"),), rejected)
    return build_training_set(seeds, Qrels({"q1": {"d1": 1, "d3": 1}}), reviewed, CONTENTS)


@pytest.fixture
def fill(training_set, tmp_path):
    write_dataset(tmp_path, [Document(doc_id, text) for doc_id, text in CONTENTS.items()], [], {})
    return lambda count, mined=MINED, taught=None: fill_negatives(training_set, tmp_path, mined, taught or {}, count)


def negatives(filled: TrainingSet) -> dict[str, list[str]]:
    names = {key: doc_id for doc_id, key in KEYS.items() if doc_id != "copy"}
    return {query: [names[key] for key in keys] for query, keys in filled.negatives.items()}


def test_first_mined_documents_are_taken_up_to_the_number(fill) -> None:
    assert negatives(fill(2)) == {"one": ["d2", "d4"], "weak": ["d7", "d0"]}
    assert negatives(fill(9)) == {"one": ["d2", "d4", "d5", "d6"], "weak": ["d7", "d0", "d1"]}


def test_what_a_person_rejected_takes_part_without_any_mining(fill, training_set) -> None:
    filled = fill(0, mined={})
    assert negatives(filled) == {"weak": ["d7"]}
    assert filled.documents == {**training_set.documents, KEYS["d7"]: "text 7"}
    assert (filled.counts["rejected_negatives"], filled.counts["hard_negatives"]) == (1, 1)


def test_all_that_a_person_rejected_takes_part_even_beyond_the_number(fill, training_set, monkeypatch) -> None:
    monkeypatch.setitem(training_set.rejected, "weak", ("d7", "d6"))
    assert negatives(fill(1))["weak"] == ["d7", "d6"]


def test_rejected_document_that_answers_the_query_after_all_counts_for_nothing(fill, training_set, monkeypatch) -> None:
    monkeypatch.setitem(training_set.rejected, "weak", ("d4",))
    filled = fill(0)
    assert (filled.negatives, filled.counts["rejected_negatives"]) == ({}, 0)


def test_rejected_documents_of_a_query_without_a_pair_have_nothing_to_stand_against(
    fill, training_set, monkeypatch
) -> None:
    monkeypatch.setitem(training_set.rejected, "gone", ("d7",))
    monkeypatch.delitem(training_set.rejected, "weak")
    filled = fill(0)
    assert (filled.negatives, filled.documents) == ({}, training_set.documents)
    assert filled.counts["rejected_negatives"] == 0


def test_known_answer_among_the_mined_ones_is_never_a_negative(fill) -> None:
    mined = {"one": tuple(Mined(doc_id, "bm25", 1.0) for doc_id in ("d3", "copy", "d1", "d5"))}
    assert negatives(fill(4, mined=mined))["one"] == ["d5"]


def test_texts_of_negatives_join_the_training_set(fill, training_set) -> None:
    filled = fill(1)
    assert filled.documents == {**training_set.documents, KEYS["d2"]: "text 2", KEYS["d7"]: "text 7"}
    assert filled.pairs == training_set.pairs


def test_taught_documents_are_there_to_be_put_in_order_and_are_no_negatives(fill, training_set) -> None:
    taught = {"one": Taught(("d1", "d2", "d6"), (2.0, 1.0, 0.0)), "of another arm": Taught(("d5", "d0"), (1.0, 0.0))}
    filled = fill(1, taught=taught)
    assert negatives(filled) == {"one": ["d2"], "weak": ["d7"]}
    added = {KEYS[doc_id]: CONTENTS[doc_id] for doc_id in ("d2", "d6", "d7")}
    assert filled.documents == {**training_set.documents, **added}


def test_choice_skips_equal_texts() -> None:
    keys = {"a": 1, "b": 1, "c": 2, "d": 3}
    assert choose_negatives(["a", "b", "c", "d"], keys, {2}) == {1: "a", 3: "d"}
