"""What a cell that kept the untrained model is called against searches without training."""

import pytest

from sptar_engine.evaluation.baselines import KEPT, has_learned, settle
from sptar_engine.evaluation.compare import compare_arms, sentence

CELLS = {"bm25": 0.2, "zero_shot": 0.3, "zero_shot/hybrid": 0.31, "inpars": 0.33, "sptar/late_interaction": 0.4}
NAME = "sptar/late_interaction"


@pytest.fixture
def arms():
    """Forty queries on which every cell beats the ones before it by the same for each query."""
    arms = compare_arms(
        {name: {"nDCG@10": {f"q{n}": mean + n / 100 for n in range(40)}} for name, mean in CELLS.items()}
    )
    arms["inpars"]["training"] = [{"kept_untrained": False}]
    return arms


def trained(arms, *kept: bool):
    arms[NAME]["training"] = [{"kept_untrained": one} for one in kept]
    settle(arms)
    return {other: found["verdict"] for other, found in arms[NAME]["versus"].items()}


def test_untrained_model_of_another_family_is_better_than_no_untrained_search(arms) -> None:
    assert trained(arms, True, True) == {
        "bm25": "better", "zero_shot": "cannot tell", "zero_shot/hybrid": "cannot tell", "inpars": "better",
    }  # fmt: skip
    assert arms["zero_shot"]["versus"][NAME]["verdict"] == "cannot tell"
    assert arms["inpars"]["versus"]["zero_shot"]["verdict"] == "better"


def test_one_training_that_learned_is_enough(arms) -> None:
    assert set(trained(arms, True, False).values()) == {"better"}


def test_baselines_and_comparisons_without_trainings_have_nothing_to_settle(arms) -> None:
    assert has_learned(arms["zero_shot"]) and has_learned({"training": []})
    settle(arms)
    assert arms["zero_shot/hybrid"]["versus"]["zero_shot"]["verdict"] == "better"


def test_cell_that_is_worse_than_the_untrained_search_stays_worse(arms) -> None:
    arms["bm25"]["training"] = [{"kept_untrained": True}]
    settle(arms)
    assert arms["bm25"]["versus"]["zero_shot"]["verdict"] == "worse"


def test_sentence_says_that_the_untrained_model_was_kept(arms) -> None:
    trained(arms, True)
    said = sentence(NAME, "zero_shot", {"arms": arms})
    assert said.startswith(f"{NAME} against zero_shot: {KEPT} (nDCG@10 0.")
    assert "more judged queries" not in said
    assert sentence(NAME, "bm25", {"arms": arms}).endswith("likely real.")
