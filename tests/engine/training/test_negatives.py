import pytest

from sptar_engine.configs import TrainConfig
from sptar_engine.data.beir import write_dataset
from sptar_engine.records import Document, Hit, Qrels, Query, SeedPair, WeakPair
from sptar_engine.training import negatives
from sptar_engine.training.negatives import batch_negatives, choose_negatives, mine_negatives
from sptar_engine.training.pairs import Review, TrainingPair, TrainingSet, build_training_set, document_key

CONTENTS = {f"d{number}": f"text {number}" for number in range(8)} | {"copy": "Text  1"}
KEYS = {doc_id: document_key(text) for doc_id, text in CONTENTS.items()}


class StubSearcher:
    """Ranks the documents in the order of CONTENTS, whatever is asked."""

    asked: tuple[dict[str, str], int]

    def __init__(self, index: object, k1: float, b: float) -> None:
        pass

    def search(self, queries: dict[str, str], depth: int) -> dict[str, list[Hit]]:
        StubSearcher.asked = (queries, depth)
        return {query_id: [Hit(doc_id, 9.0) for doc_id in CONTENTS][:depth] for query_id in queries}


@pytest.fixture
def training_set() -> TrainingSet:
    """q1 is answered by d1 (of which there is a copy) and, judged only, by d3; a weak query by d4, not by d7."""
    seeds = {"q1": (SeedPair(Query("q1", "One?"), Document("d1", CONTENTS["d1"])),)}
    rejected = (WeakPair("w2", "weak", "d7", "p"),)
    reviewed = Review(((WeakPair("w1", "weak", "d4", "p"), "weak"),), rejected)
    return build_training_set(seeds, Qrels({"q1": {"d1": 1, "d3": 1}}), reviewed, CONTENTS)


@pytest.fixture
def mine(training_set, tmp_path, monkeypatch):
    write_dataset(tmp_path, [Document(doc_id, text) for doc_id, text in CONTENTS.items()], [], {})
    monkeypatch.setattr(negatives, "LexicalSearcher", StubSearcher)
    monkeypatch.setattr(negatives, "build_or_open", lambda corpus, cache: corpus)
    return lambda **settings: mine_negatives(training_set, tmp_path, tmp_path, TrainConfig(**settings))


def test_hits_after_the_first_are_taken_but_no_answer_and_no_copy_of_one(mine) -> None:
    mined = mine(negatives=3, negatives_from=1)
    # The hits from the second on are d1 d2 d3 d4 d5 …; d1 and d3 answer q1, and so does the copy of d1.
    assert mined.negatives["one"] == (KEYS["d2"], KEYS["d4"], KEYS["d5"])


def test_a_document_that_a_person_rejected_for_the_query_comes_first(mine) -> None:
    assert mine(negatives=2, negatives_from=0).negatives["weak"] == (KEYS["d7"], KEYS["d0"])


def test_what_a_person_rejected_counts_without_any_bm25_hit(mine, training_set, monkeypatch) -> None:
    monkeypatch.setattr(negatives, "LexicalSearcher", None)
    mined = mine(negatives=0)
    assert mined.negatives == {"weak": (KEYS["d7"],)}
    assert mined.documents == {**training_set.documents, KEYS["d7"]: "text 7"}
    assert mined.counts["rejected_negatives"] == 1


def test_all_that_a_person_rejected_takes_part_even_beyond_the_number_asked_for(
    mine, training_set, monkeypatch
) -> None:
    monkeypatch.setitem(training_set.rejected, "weak", ("d7", "d6"))
    assert mine(negatives=1, negatives_from=0).negatives["weak"] == (KEYS["d7"], KEYS["d6"])


def test_a_rejected_document_that_answers_the_query_after_all_counts_for_nothing(
    mine, training_set, monkeypatch
) -> None:
    monkeypatch.setitem(training_set.rejected, "weak", ("d4",))
    mined = mine(negatives=0)
    assert (mined.negatives, mined.counts["rejected_negatives"]) == ({"weak": ()}, 0)


def test_rejected_documents_of_a_query_without_a_pair_have_nothing_to_stand_against(
    mine, training_set, monkeypatch
) -> None:
    monkeypatch.setitem(training_set.rejected, "gone", ("d7",))
    monkeypatch.delitem(training_set.rejected, "weak")
    mined = mine(negatives=0)
    assert (mined.negatives, mined.documents) == ({}, training_set.documents)
    assert mined.counts["rejected_negatives"] == 0


def test_negatives_are_never_known_answers_however_many_are_asked_for(mine, training_set) -> None:
    mined = mine(negatives=16, negatives_from=0)
    for query, chosen in mined.negatives.items():
        assert not set(chosen) & set(training_set.positives[query])
    assert len(mined.negatives["one"]) == len(CONTENTS) - 3


def test_texts_of_negatives_join_the_training_set(mine, training_set) -> None:
    mined = mine(negatives=1, negatives_from=0)
    assert mined.documents == {**training_set.documents, KEYS["d0"]: "text 0", KEYS["d7"]: "text 7"}
    assert mined.pairs == training_set.pairs


def test_each_query_is_searched_once(mine) -> None:
    mine(negatives=2, negatives_from=10)
    queries, depth = StubSearcher.asked
    assert queries == {"one": "One?", "weak": "weak"} and depth >= 12


def test_choice_skips_equal_texts() -> None:
    keys = {"a": 1, "b": 1, "c": 2, "d": 3}
    assert choose_negatives(["a", "b", "c", "d"], keys, {2}, 2) == {1: "a", 3: "d"}


def test_batch_holds_each_negative_once_and_none_that_is_a_pair_of_it() -> None:
    batch = [TrainingPair(f"p{key}", "seed", f"q{key}", "d", f"q{key}", key) for key in (1, 2)]
    assert batch_negatives(batch, {"q1": (2, 5, 6), "q2": (6, 7), "q3": (8,)}) == [5, 6, 7]
