import math
from functools import partial

import numpy as np
import pytest
import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.losses import MultiVectorMultipleNegativesRankingLoss
from sentence_transformers.multi_vector_encoder.scoring import colbert_scores

from sptar_engine.errors import ConfigError
from sptar_engine.training.late_interaction import build_late_interaction
from sptar_engine.training.learner import Meter
from tests.engine.training.lessons import DEVELOPMENT, DOCUMENTS, PAIRS, QUERIES, learn, make_lesson, silent


@pytest.fixture
def make(tiny_encoder):
    return lambda *arguments, **settings: build_late_interaction(make_lesson(tiny_encoder, *arguments, **settings))


def matrices(model: MultiVectorEncoder, texts: list[str], side: str) -> list[torch.Tensor]:
    encode = model.encode_query if side == "query" else model.encode_document
    return encode(texts, show_progress_bar=False)


def best_matches(query: torch.Tensor, document: torch.Tensor) -> float:
    return sum(max(float(word @ other) for other in document) for word in query)


@pytest.mark.parametrize("dimensions", [32, 8])
def test_loss_is_that_of_sentence_transformers_by_the_mean_match(make, dimensions) -> None:
    learner = make(token_dimensions=dimensions)
    model = learner.module
    columns = [
        model.preprocess([pair.query for pair in PAIRS], task="query"),
        model.preprocess([DOCUMENTS[pair.document_key] for pair in PAIRS], task="document"),
    ]
    mean = partial(colbert_scores, length_normalize=True)
    theirs = MultiVectorMultipleNegativesRankingLoss(model, scale=20.0, similarity_fct=mean)(columns)
    assert learner.learn(PAIRS) == pytest.approx(theirs.item(), rel=1e-5)


def test_all_dimensions_start_as_the_base_itself_and_fewer_keep_most_of_it(make, tiny_encoder) -> None:
    whole, half = make(), make(token_dimensions=16)
    assert [type(module).__name__ for module in whole.module] == ["Transformer", "MultiVectorMask", "Normalize"]
    assert [type(module).__name__ for module in half.module][1] == "Dense"
    weight = half.module[1].linear.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-5, rtol=0)
    texts = list(DOCUMENTS.values())
    kept, full = (matrices(learner.module, texts, "document") for learner in (half, whole))
    products = [(one @ one.T - other @ other.T).abs().mean() for one, other in zip(kept, full, strict=True)]
    generator = torch.Generator().manual_seed(0)
    half.module[1].linear.weight.data = torch.nn.init.orthogonal_(torch.empty(16, 32), generator=generator)
    at_random = matrices(half.module, texts, "document")
    others = [(one @ one.T - other @ other.T).abs().mean() for one, other in zip(at_random, full, strict=True)]
    assert sum(products) < 0.8 * sum(others)


def test_start_does_not_depend_on_the_seed(make) -> None:
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        weights.append(make(token_dimensions=8).module[1].linear.weight)
    assert torch.equal(*weights)


def test_more_dimensions_than_the_base_has_are_refused(make) -> None:
    with pytest.raises(ConfigError, match=r"train\.token_dimensions: 33 is more than the 32 dimensions of the base"):
        make(token_dimensions=33)


def test_score_is_the_measure_of_maxsim_over_all_documents(make) -> None:
    learner = make(token_dimensions=8)
    done: list[int] = []
    score = learner.score(Meter(lambda place, total, message: done.append(place), 100))
    assert done[-1] == learner.evaluation_size == 4  # the twin is not encoded again
    queries = matrices(learner.module, list(DEVELOPMENT.queries.values()), "query")
    documents = matrices(learner.module, list(DOCUMENTS.values()), "document")
    gains = []
    for own, query in enumerate(queries):
        scores = [best_matches(query, document) for document in documents]
        above = sum(2 if other == 3 else 1 for other in range(4) if scores[other] > scores[own])
        gains.append(1 / math.log2(2 + above))
    assert score == pytest.approx(sum(gains) / 3)


def test_punctuation_of_documents_has_no_vector(make) -> None:
    learner = make()
    row = learner._texts["document"][2]  # "The hammer is a tool, easy to carry.": a comma and a full stop
    assert learner.count("document", row) == len(row) - 2
    assert learner.count("query", row) == len(row)
    assert len(matrices(learner.module, [DOCUMENTS[2]], "document")[0]) == len(row) - 2


def test_mark_that_the_tokenizer_does_not_know_is_read_as_unknown_and_counts(make, monkeypatch) -> None:
    known = make()
    tokenizer = type(known.module.tokenizer)
    plainly = tokenizer.convert_tokens_to_ids

    def lacking(self, words):
        found = plainly(self, words)
        return [self.unk_token_id if word == "," else one for word, one in zip(words, found, strict=True)]

    monkeypatch.setattr(tokenizer, "convert_tokens_to_ids", lambda self, words: (
        lacking(self, words) if isinstance(words, list) else plainly(self, words)
    ))  # fmt: skip
    learner = make()
    row = [learner.module.tokenizer.unk_token_id]
    assert learner.count("document", np.array(row)) == 1


def test_a_few_steps_lower_the_loss(make) -> None:
    learner = make({QUERIES[1]: (4,)}, token_dimensions=8)
    optimizer = torch.optim.AdamW(learner.module.parameters(), lr=1e-2)
    losses = []
    for step in range(8):
        losses.append(learn(learner, seed=step)[0])
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("dimensions", [32, 8])
def test_saved_model_loads_and_gives_the_same_vectors(make, tmp_path, dimensions) -> None:
    learner = make(token_dimensions=dimensions)
    learner.score(silent())
    learner.save(tmp_path / "model")
    loaded = MultiVectorEncoder(str(tmp_path / "model"), device="cpu", local_files_only=True)
    assert loaded.max_seq_length == 64
    texts = list(DOCUMENTS.values())
    for one, other in zip(*(matrices(model, texts, "document") for model in (loaded, learner.module)), strict=True):
        assert torch.equal(one, other)
    assert not (tmp_path / "model" / "README.md").exists()
