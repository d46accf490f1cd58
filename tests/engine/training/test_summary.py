from sptar_engine.training.mixing import Mixture
from sptar_engine.training.retriever_loop import Training
from sptar_engine.training.summary import summarise
from sptar_engine.training.yardstick import Yardstick

TRAINING = Training([1.0, 0.5], {0: 0.40, 1: 0.42, 2: 0.41})
UNTRAINED = "the untrained bi-encoder"


def test_training_that_helped() -> None:
    summary = summarise(TRAINING, Mixture(1.0, {0.0: 0.40, 1.0: 0.42}))
    assert summary["sentence"] == (
        "On the held-out questions training reached nDCG@10 0.420 against 0.400 of the untrained model."
    )
    assert summary["dev_nDCG@10"] == summary["dev_nDCG@10_trained"] == 0.42 and summary["best_step"] == 1
    assert "yardstick" not in summary


def test_family_with_a_start_of_its_own_names_the_yardstick_too() -> None:
    mixture = Mixture(1.0, {0.0: 0.40, 1.0: 0.42})
    summary = summarise(TRAINING, mixture, Yardstick(UNTRAINED, 0.41))
    assert summary["sentence"] == (
        "On the held-out questions training reached nDCG@10 0.420 against 0.400 of the untrained model. "
        "The untrained bi-encoder has 0.410."
    )
    assert (summary["yardstick"], summary["dev_nDCG@10_yardstick"]) == (UNTRAINED, 0.41)
    below = summarise(TRAINING, mixture, Yardstick(UNTRAINED, 0.43))["sentence"]
    assert below.endswith(
        "The untrained bi-encoder has 0.430. "
        "So this retriever is not better than the untrained bi-encoder (0.420 against 0.430)."
    )


def test_family_that_begins_at_random_is_held_against_the_yardstick_alone() -> None:
    mixture = Mixture(1.0, {1.0: 0.42})
    summary = summarise(TRAINING, mixture, Yardstick("BM25", 0.40), ["One note.", "Another."])
    assert summary["sentence"] == (
        "On the held-out questions training reached nDCG@10 0.420 against 0.400 of BM25. One note. Another."
    )
    assert not summary["kept_untrained"] and summary["mixtures"] == {"1": 0.42}
    below = summarise(TRAINING, mixture, Yardstick("BM25", 0.42))["sentence"]
    assert below.endswith("So this retriever is not better than BM25 (0.42000 against 0.42000).")
