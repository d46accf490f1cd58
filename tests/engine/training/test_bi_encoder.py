import math
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
from torch.nn import functional

from sptar_engine.errors import ConfigError
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.bi_encoder import BiEncoder
from sptar_engine.training.distillation import distillation_loss
from sptar_engine.training.learner import Meter
from sptar_engine.training.losses import contrastive_loss
from sptar_engine.training.pairs import TrainingPair
from tests.engine.training.lessons import DEVELOPMENT, DOCUMENTS, PAIRS, QUERIES, learn, make_lesson, silent


@pytest.fixture
def model(tiny_encoder) -> SentenceTransformer:
    return load_bi_encoder(tiny_encoder, 64, "cpu")


@pytest.fixture
def make(model, tiny_encoder):
    """Make a learner of the model in evaluation mode, so that nothing is dropped out and losses can be told."""

    def make(*arguments, **settings) -> BiEncoder:
        return BiEncoder(model, make_lesson(tiny_encoder, *arguments, **settings))

    return make


def vectors(model: SentenceTransformer, texts: list[str]) -> torch.Tensor:
    return model.encode(texts, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False).clone()


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Not to the last bit: where weights lie in memory may change how a processor adds up."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def columns(model: SentenceTransformer) -> list[dict[str, torch.Tensor]]:
    texts = [pair.query for pair in PAIRS], [DOCUMENTS[pair.document_key] for pair in PAIRS]
    return [model.preprocess(column) for column in texts]


def expected_loss(model, hidden: torch.Tensor) -> float:
    queries = vectors(model, [pair.query for pair in PAIRS])
    documents = vectors(model, list(DOCUMENTS.values()))
    return contrastive_loss(20 * queries @ documents.T, functional.one_hot(torch.arange(3), 4).bool(), hidden).item()


def test_loss_and_gradient_are_those_of_sentence_transformers(model, make) -> None:
    theirs = MultipleNegativesRankingLoss(model, scale=20.0)(columns(model), torch.tensor(0))
    theirs.backward()
    gradient = model[0].auto_model.embeddings.word_embeddings.weight.grad.clone()
    model.zero_grad()
    assert make().learn(PAIRS) == pytest.approx(theirs.item(), rel=1e-5)
    torch.testing.assert_close(
        model[0].auto_model.embeddings.word_embeddings.weight.grad, gradient, rtol=1e-3, atol=1e-6
    )


def test_shorter_vectors_add_their_losses_as_in_sentence_transformers(model, make) -> None:
    plain = MultipleNegativesRankingLoss(model, scale=20.0)
    theirs = MatryoshkaLoss(model, plain, matryoshka_dims=[32, 16, 4])(columns(model), torch.tensor(0))
    assert make(matryoshka="16,4").learn(PAIRS) == pytest.approx(theirs.item(), rel=1e-5)


def test_shorter_vectors_are_shorter_than_the_models(make) -> None:
    with pytest.raises(ConfigError, match=r"train\.matryoshka: 40 is not less than the 32 dimensions of the base"):
        make(matryoshka="8,40")


def test_hard_negative_stands_against_the_whole_batch_but_not_against_a_query_it_answers(model, make) -> None:
    hidden = torch.zeros(3, 4, dtype=torch.bool)
    negatives = {QUERIES[1]: (4,)}
    everywhere = make(negatives).learn(PAIRS)
    assert everywhere == pytest.approx(expected_loss(model, hidden), rel=1e-5)
    hidden[1, 3] = True
    masked = make(negatives, known={QUERIES[2]: {4}}).learn(PAIRS)
    assert masked == pytest.approx(expected_loss(model, hidden), rel=1e-5)
    assert masked < everywhere


def test_several_answers_share_the_loss(model, make) -> None:
    pairs = (*PAIRS, TrainingPair("p4", "seed", QUERIES[1], "d4", QUERIES[1], 4))
    scores = 20 * vectors(model, [pair.query for pair in pairs]) @ vectors(model, list(DOCUMENTS.values())).T
    answers = torch.zeros(4, 4, dtype=torch.bool)
    answers[[0, 0, 1, 2, 3, 3], [0, 3, 1, 2, 0, 3]] = True
    expected = contrastive_loss(scores, answers, torch.zeros(4, 4, dtype=torch.bool)).item()
    assert make(pairs=pairs, multi_positive=True).learn(pairs) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["kl", "margin_mse"])
def test_teacher_has_its_share_of_the_loss(kind, model, make) -> None:
    taught = {QUERIES[1]: {1: 3.0, 4: 1.0}}
    scores = 20 * vectors(model, [pair.query for pair in PAIRS]) @ vectors(model, list(DOCUMENTS.values())).T
    teacher = torch.full((3, 4), torch.nan)
    teacher[0, 0], teacher[0, 3] = 3.0, 1.0
    alone = make().learn(PAIRS)
    following = distillation_loss(kind, scores, teacher).item()
    loss = make(taught=taught, teacher_loss=kind, teacher_weight=0.25).learn(PAIRS)
    assert loss == pytest.approx(0.75 * alone + 0.25 * following, rel=1e-4)


def test_score_is_the_measure_of_an_exact_search_and_counts_each_text_once(model, make) -> None:
    learner = make()
    done: list[int] = []
    score = learner.score(Meter(lambda place, total, message: done.append(place), 100))
    assert done[-1] == learner.evaluation_size == 4  # the twin is not encoded again
    similarity = vectors(model, list(DEVELOPMENT.queries.values())) @ vectors(model, list(DOCUMENTS.values())).T
    places = []
    for row, own in zip(similarity, range(3), strict=True):
        above = [other for other in range(4) if row[other] > row[own]]
        places.append(1 + sum(2 if other == 3 else 1 for other in above))
    assert score == pytest.approx(sum(1 / math.log2(1 + place) for place in places) / 3)


def test_score_leaves_no_gradient_and_the_weights_as_they_were(model, make) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make().score(silent())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_few_steps_lower_the_loss(model, make) -> None:
    learner = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for step in range(8):
        loss, _ = learn(learner, seed=step)
        optimizer.step()
        losses.append(loss)
    assert losses[-1] < 0.5 * losses[0]


def test_saved_model_loads_gives_the_same_vectors_and_names_no_place(model, make, tmp_path, tiny_encoder) -> None:
    learner = make()
    learner.save(tmp_path / "model")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert loaded.max_seq_length == 64
    texts = list(DOCUMENTS.values())
    assert_same(vectors(loaded, texts), vectors(model, texts))
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert not (tmp_path / "model" / "README.md").exists()
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    for path in files:
        content = path.read_bytes()
        for secret in (tiny_encoder, tiny_encoder.parent, tmp_path, Path.home()):
            assert str(secret).encode() not in content, path
        assert DOCUMENTS[1].encode() not in content


def test_saving_twice_gives_the_same_bytes(make, tmp_path) -> None:
    learner = make()
    for name in ("one", "two"):
        learner.save(tmp_path / name)
    ours = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*.*")}
    assert ours == {path.relative_to(tmp_path / "two"): path.read_bytes() for path in (tmp_path / "two").rglob("*.*")}


def test_plain_encoder_gets_mean_pooling(tiny_encoder, tmp_path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (plain / name).write_bytes((tiny_encoder / name).read_bytes())
    model = load_bi_encoder(plain, 64, "cpu")
    assert model[1].pooling_mode == "mean"
    BiEncoder(model, make_lesson(plain)).save(tmp_path / "model")
    texts = list(DOCUMENTS.values())
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert_same(vectors(loaded, texts), vectors(load_bi_encoder(tiny_encoder, 64, "cpu"), texts))
