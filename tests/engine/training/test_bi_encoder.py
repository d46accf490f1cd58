import math
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from sptar_engine.records import Qrels
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.bi_encoder import BiEncoder, contrastive_loss
from sptar_engine.training.development import DevelopmentSet
from sptar_engine.training.learner import Meter
from sptar_engine.training.pairs import TrainingPair, TrainingSet

DOCUMENTS = {
    1: "The sparrow is a bird that people know from the harbour.",
    2: "The hammer is a tool, easy to carry.",
    3: "The copper is a metal of the old library, covered in dust, long and narrow.",
    4: "The pulsar is a star.",
}
QUERIES = {1: "where is the sparrow", 2: "easy tool hammer", 3: "which metal is covered in dust"}
PAIRS = tuple(TrainingPair(f"p{n}", "seed", text, f"d{n}", text, n) for n, text in QUERIES.items())
DEVELOPMENT = DevelopmentSet(
    {f"q{n}": text for n, text in QUERIES.items()},
    Qrels({f"q{n}": {f"d{n}": 1} for n in QUERIES}),
    {f"d{n}": text for n, text in DOCUMENTS.items()} | {"twin": DOCUMENTS[4]},
)


def make_set(negatives: dict[str, tuple[int, ...]] | None = None, **more: set[int]) -> TrainingSet:
    positives = {pair.query_key: {pair.document_key} | more.get(pair.pair_id, set()) for pair in PAIRS}
    return TrainingSet(PAIRS, DOCUMENTS, positives, negatives=negatives or {})


@pytest.fixture
def model(tiny_encoder) -> SentenceTransformer:
    return load_bi_encoder(tiny_encoder, 64, "cpu")


def make(model: SentenceTransformer, training_set: TrainingSet | None = None) -> BiEncoder:
    return BiEncoder(model, training_set or make_set(), DEVELOPMENT, scale=20.0)


def vectors(model: SentenceTransformer, texts: list[str]) -> torch.Tensor:
    return model.encode(texts, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False).clone()


def test_loss_of_a_worked_example() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]])  # the third is a hard negative
    none = torch.zeros(2, 3, dtype=torch.bool)
    first = -math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(0.0) + math.exp(2.0)))
    second = -math.log(math.exp(2.0) / (math.exp(1.6) + math.exp(2.0) + math.exp(0.0)))
    assert contrastive_loss(queries, documents, 2.0, none).item() == pytest.approx((first + second) / 2)
    hidden = none.clone()
    hidden[0, 2] = True  # … but it answers the first query
    first = -math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(0.0)))
    assert contrastive_loss(queries, documents, 2.0, hidden).item() == pytest.approx((first + second) / 2)


def test_loss_of_a_pair_alone_is_zero() -> None:
    one = torch.tensor([[1.0, 0.0]])
    assert contrastive_loss(one, one, 20.0, torch.zeros(1, 1, dtype=torch.bool)).item() == 0


def test_loss_is_that_of_sentence_transformers(model) -> None:
    columns = [[pair.query for pair in PAIRS], [DOCUMENTS[pair.document_key] for pair in PAIRS]]
    theirs = MultipleNegativesRankingLoss(model, scale=20.0)([model.preprocess(c) for c in columns], torch.tensor(0))
    assert make(model).loss(PAIRS).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_hard_negative_stands_against_the_whole_batch_but_not_against_a_query_it_answers(model) -> None:
    queries = vectors(model, [pair.query for pair in PAIRS])
    documents = vectors(model, [DOCUMENTS[key] for key in (1, 2, 3, 4)])
    hidden = torch.zeros(3, 4, dtype=torch.bool)
    negatives = {PAIRS[0].query_key: (4,)}
    everywhere = make(model, make_set(negatives)).loss(PAIRS).item()
    assert everywhere == pytest.approx(contrastive_loss(queries, documents, 20.0, hidden).item(), rel=1e-5)
    hidden[1, 3] = True
    masked = make(model, make_set(negatives, p2={4})).loss(PAIRS).item()
    assert masked == pytest.approx(contrastive_loss(queries, documents, 20.0, hidden).item(), rel=1e-5)
    assert masked < everywhere


def test_score_is_the_measure_of_an_exact_search_and_counts_each_text_once(model) -> None:
    learner = make(model)
    done: list[int] = []
    score = learner.score(Meter(lambda place, total, message: done.append(place), 100))
    assert done[-1] == learner.evaluation_size == 4  # the twin is not encoded again
    similarity = vectors(model, list(DEVELOPMENT.queries.values())) @ vectors(model, list(DOCUMENTS.values())).T
    places = []
    for row, own in zip(similarity, range(3), strict=True):
        above = [other for other in range(4) if row[other] > row[own]]
        places.append(1 + sum(2 if other == 3 else 1 for other in above))
    assert score == pytest.approx(sum(1 / math.log2(1 + place) for place in places) / 3)


def test_score_leaves_no_gradient_and_the_weights_as_they_were(model) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make(model).score(Meter(lambda *_: None, 100))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_few_steps_lower_the_loss(model) -> None:
    learner = make(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        loss = learner.loss(PAIRS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_saved_model_loads_gives_the_same_vectors_and_names_no_place(model, tmp_path, tiny_encoder) -> None:
    learner = make(model)
    learner.save(tmp_path / "model")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert loaded.max_seq_length == 64
    texts = list(DOCUMENTS.values())
    assert torch.equal(vectors(loaded, texts), vectors(model, texts))
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert not (tmp_path / "model" / "README.md").exists()
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    for path in files:
        content = path.read_bytes()
        for secret in (tiny_encoder, tiny_encoder.parent, tmp_path, Path.home()):
            assert str(secret).encode() not in content, path
        assert DOCUMENTS[1].encode() not in content


def test_saving_twice_gives_the_same_bytes(model, tmp_path) -> None:
    learner = make(model)
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
    learner = make(model)
    learner.save(tmp_path / "model")
    texts = list(DOCUMENTS.values())
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert torch.equal(vectors(loaded, texts), vectors(load_bi_encoder(tiny_encoder, 64, "cpu"), texts))
