import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch.nn import functional

from sptar_engine.errors import ConfigError
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.adapter import FrozenTexts, build_adapter
from sptar_engine.training.bi_encoder import build_bi_encoder
from sptar_engine.training.learner import Meter
from tests.engine.training.lessons import DOCUMENTS, PAIRS, QUERIES, learn, make_lesson, silent


@pytest.fixture
def make(tiny_encoder):
    def make(*arguments, **settings):
        torch.manual_seed(0)
        return build_adapter(make_lesson(tiny_encoder, *arguments, **({"adapter_rank": 4} | settings)))

    return make


def vectors(model: SentenceTransformer) -> torch.Tensor:
    texts = list(DOCUMENTS.values())
    return model.encode(texts, convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False).clone()


def train(learner) -> list[float]:
    optimizer = torch.optim.AdamW(learner.module.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        losses.append(learn(learner)[0])
        optimizer.step()
    return losses


def test_it_starts_as_the_untrained_bi_encoder(make, tiny_encoder) -> None:
    negatives = {QUERIES[1]: (4,)}
    plain = build_bi_encoder(make_lesson(tiny_encoder, negatives))
    assert make(negatives).learn(PAIRS) == pytest.approx(plain.learn(PAIRS), rel=1e-5)
    assert make().score(silent()) == plain.score(silent())


def test_the_layer_alone_is_trained(make) -> None:
    learner = make()
    frozen = {name: value.clone() for name, value in learner._model.state_dict().items()}
    losses = train(learner)
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(value, frozen[name]) for name, value in learner._model.state_dict().items())
    assert {name for name, value in learner.module.named_parameters() if value.requires_grad} == {
        "linear.lora_A.default.weight", "linear.lora_B.default.weight",
    }  # fmt: skip


def test_saved_model_is_the_base_with_one_layer_of_low_rank_change(make, tmp_path, tiny_encoder) -> None:
    learner = make()
    train(learner)
    with torch.no_grad():
        base = vectors(load_bi_encoder(tiny_encoder, 64, "cpu"))
        expected = functional.normalize(learner.module({"sentence_embedding": base})["sentence_embedding"], dim=-1)
    learner.save(tmp_path / "model")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    torch.testing.assert_close(vectors(loaded), expected, rtol=0, atol=1e-5)
    change = loaded[-2].linear.weight - torch.eye(32)
    assert torch.linalg.matrix_rank(change, rtol=1e-4) == 4 and change.abs().sum() > 0
    assert load_bi_encoder(tmp_path / "model", 64, "cpu").get_embedding_dimension() == 32


def test_rank_above_the_dimensions_is_refused(make) -> None:
    with pytest.raises(ConfigError, match=r"train\.adapter_rank: 33 is more than the 32 dimensions of the base"):
        make(adapter_rank=33)


def test_each_text_passes_once_in_the_same_group_whatever_is_asked_first(tiny_encoder, monkeypatch) -> None:
    monkeypatch.setattr("sptar_engine.training.tokens._CHUNK_TOKENS", {"cpu": 30})
    model = load_bi_encoder(tiny_encoder, 64, "cpu")
    passes: list[int] = []
    model.register_forward_hook(lambda *_: passes.append(1))
    one, other = FrozenTexts(model, DOCUMENTS), FrozenTexts(model, DOCUMENTS)
    done: list[int] = []
    meter = Meter(lambda place, total, message: done.append(place), 100)
    first = one.vectors([1, 2, 3, 4], meter)
    assert done[-1] == len(one) == 4
    count = len(passes)
    assert torch.equal(one.vectors([4, 4, 1]), first[[3, 3, 0]]) and len(passes) == count > 1
    assert torch.equal(other.vectors([3]), first[[2]]) and torch.equal(other.vectors([1, 2, 3, 4]), first)


def test_meter_counts_texts_that_are_known_already(make) -> None:
    learner = make()
    for _ in range(2):
        done: list[int] = []
        meter = Meter(lambda place, total, message, done=done: done.append(place), 100)
        learner.score(meter)
        meter.advance(0, "done")
        assert done[-1] == learner.evaluation_size == 4
