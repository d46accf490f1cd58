import json
from pathlib import Path

import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.beir import write_dataset
from sptar_engine.errors import ArtifactError, InputError
from sptar_engine.records import Document, Qrels, Query, SeedPair, WeakPair
from sptar_engine.training.decisions import Decision
from sptar_engine.training.pairs import (
    Review,
    TrainingSet,
    build_training_set,
    document_key,
    query_key,
    read_training_set,
    review,
)

CONTENTS = {"d1": "wings", "d2": "propellers", "d3": "Wings ", "d4": "shock waves", "d5": "heat"}
NOTHING = Qrels({})


def weak(weak_id: str, query: str = "", doc_id: str = "d4") -> WeakPair:
    return WeakPair(weak_id, query or f"query {weak_id}", doc_id, "prompt")


def seed(query_id: str, text: str, *doc_ids: str) -> dict[str, tuple[SeedPair, ...]]:
    return {query_id: tuple(SeedPair(Query(query_id, text), Document(doc, CONTENTS[doc])) for doc in doc_ids)}


def keys(*doc_ids: str) -> set[int]:
    return {document_key(CONTENTS[doc_id]) for doc_id in doc_ids}


def ids(training_set: TrainingSet) -> dict[str, str]:
    return {pair.pair_id: pair.kind for pair in training_set.pairs}


def test_without_verdicts_the_kept_pairs_are_used_in_their_order() -> None:
    kept = [weak("w1"), weak("w2")]
    assert review(kept, [], {}) == Review(((kept[0], "weak"), (kept[1], "weak")))


def test_verdicts_take_out_bring_back_and_rewrite() -> None:
    kept, dropped = [weak("w1"), weak("w2"), weak("w3"), weak("w4")], weak("w9")
    decisions = {
        "w1": Decision("reject"),
        "w2": Decision("edit", "a better query"),
        "w3": Decision("unsure"),
        "w9": Decision("accept"),
        "elsewhere": Decision("accept"),
    }
    reviewed = review(kept, [*kept[:3], dropped], decisions)
    assert [(pair.weak_id, pair.query, kind) for pair, kind in reviewed.used] == [
        ("w2", "a better query", "edited"),
        ("w9", "query w9", "accepted"),
        ("w3", "query w3", "weak"),
        ("w4", "query w4", "weak"),
    ]
    assert [pair.weak_id for pair in reviewed.rejected] == ["w1"]
    assert reviewed.unknown == 1


def test_unsure_does_not_bring_a_dropped_pair_back() -> None:
    assert review([], [weak("w9")], {"w9": Decision("unsure")}).used == ()


def test_limit_takes_what_a_person_wanted_and_then_the_first() -> None:
    kept = [weak("w1"), weak("w2"), weak("w3")]
    limited = review(kept, [kept[2]], {"w3": Decision("accept")}, limit=2)
    assert [pair.weak_id for pair, _ in limited.used] == ["w3", "w1"]
    assert [pair.weak_id for pair, _ in review(kept, [kept[2]], {"w3": Decision("accept")}, limit=1).used] == ["w3"]
    assert len(review(kept, [kept[2]], {"w3": Decision("accept")}, limit=0).used) == 3


def test_every_seed_judgement_is_a_pair_and_counts_are_by_kind() -> None:
    reviewed = Review(((weak("w1"), "weak"), (weak("w2"), "edited")), (weak("w3"),), unknown=4)
    training_set = build_training_set(seed("q1", "lift", "d1", "d2"), NOTHING, reviewed, CONTENTS)
    assert ids(training_set) == {"q1 d1": "seed", "q1 d2": "seed", "w1": "weak", "w2": "edited"}
    assert training_set.counts == {
        "seed_pairs": 2, "weak_pairs": 1, "accepted_pairs": 0, "edited_pairs": 1, "rejected_pairs": 1,
        "duplicate_pairs": 0, "unknown_decisions": 4,
    }  # fmt: skip
    assert training_set.documents == {document_key(CONTENTS[doc_id]): CONTENTS[doc_id] for doc_id in ("d1", "d2", "d4")}


def test_positives_are_all_answers_known_for_a_query() -> None:
    judged = Qrels({"q1": {"d1": 2, "d2": 1, "d5": 0}, "other": {"d5": 1}})
    reviewed = Review(((weak("w1", "Lift?", "d4"), "weak"),))
    training_set = build_training_set(seed("q1", "lift", "d1"), judged, reviewed, CONTENTS)
    # d2 is judged without a seed pair; the weak query asks the same as q1; grade 0 is no answer.
    assert training_set.positives == {"lift": keys("d1", "d2", "d4")}


def test_a_pair_that_comes_again_is_used_once() -> None:
    reviewed = Review(((weak("w1", "LIFT", "d3"), "weak"),))  # d3 has the text of d1
    training_set = build_training_set(seed("q1", "lift", "d1"), NOTHING, reviewed, CONTENTS)
    assert ids(training_set) == {"q1 d1": "seed"}
    assert training_set.counts["duplicate_pairs"] == 1


def test_rejected_documents_are_remembered_under_their_query() -> None:
    reviewed = Review((), (weak("w1", "Lift", "d4"), weak("w2", "lift", "d5")))
    training_set = build_training_set(seed("q1", "lift", "d1"), NOTHING, reviewed, CONTENTS)
    assert training_set.rejected == {"lift": ("d4", "d5")}
    assert training_set.positives == {"lift": keys("d1")}


def test_keys_join_what_says_the_same() -> None:
    assert query_key("What is  Lift?") == query_key("what is lift")
    assert document_key("Wings \n lift") == document_key("wings lift") != document_key("wings")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A prepare folder with one seed query of two answers, and a filter folder with a kept and a dropped query."""
    prepare, filtered = tmp_path / "prepare", tmp_path / "filter"
    documents = [Document(doc_id, text) for doc_id, text in CONTENTS.items()]
    write_dataset(prepare, documents, [Query("q1", "lift")], {"train": Qrels({"q1": {"d1": 2, "d2": 1, "gone": 1}})})
    row = {"query_id": "q1", "query": "lift"}
    write_jsonl(prepare / "seeds" / "train.jsonl", [{**row, "doc_id": doc, "grade": 1} for doc in ("d1", "d2")])
    ranks = [
        {"weak_id": "w1", "query": "shocks", "doc_id": "d4", "prompt_id": "p", "rank": 1, "kept": True, "reason": ""},
        {"weak_id": "w2", "query": "hot", "doc_id": "d5", "prompt_id": "p", "rank": None, "kept": False, "reason": "x"},
    ]
    write_jsonl(filtered / "ranks.jsonl", ranks)
    return prepare, filtered


def test_seeds_alone_make_a_training_set(folders) -> None:
    training_set = read_training_set(folders[0], None, None, 0)
    assert ids(training_set) == {"q1 d1": "seed", "q1 d2": "seed"}


def test_filter_and_decisions_are_read_from_their_places(folders, tmp_path) -> None:
    assert ids(read_training_set(*folders, None, 0)) == {"q1 d1": "seed", "q1 d2": "seed", "w1": "weak"}
    decisions = tmp_path / "decisions.jsonl"
    rows = [{"weak_id": "w1", "verdict": "reject"}, {"weak_id": "w2", "verdict": "accept"}]
    decisions.write_text("\n".join(map(json.dumps, rows)))
    training_set = read_training_set(*folders, decisions, 0)
    assert ids(training_set) == {"q1 d1": "seed", "q1 d2": "seed", "w2": "accepted"}
    assert training_set.counts["rejected_pairs"] == 1
    assert read_training_set(folders[0], None, decisions, 0).counts["unknown_decisions"] == 2


def test_weak_pair_of_an_unknown_document_is_named(folders) -> None:
    rows = [{"weak_id": "w1", "query": "q", "doc_id": "d77", "prompt_id": "p", "rank": 1, "kept": True}]
    write_jsonl(folders[1] / "ranks.jsonl", rows)
    with pytest.raises(ArtifactError, match="lacks the document 'd77'"):
        read_training_set(*folders, None, 0)


def test_no_pair_at_all_is_an_error(folders) -> None:
    write_jsonl(folders[0] / "seeds" / "train.jsonl", [])
    with pytest.raises(InputError, match="training needs some"):
        read_training_set(folders[0], None, None, 0)
