"""Every kind of teacher scores many pairs as it scores one at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Normalize
from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder

from sptar_engine.errors import Cancelled, InputError
from sptar_engine.prompting.scoring import query_losses
from sptar_engine.prompting.soft_prompt import load_language_model, prefix
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, Query, SeedPair
from sptar_engine.training import teachers
from sptar_engine.training.teachers import LikelihoodTeacher, Pair, Teacher, open_retriever

DOCUMENTS = [
    Document("d1", "The heron waits beside the water for a fish, and waits, and waits.", "The heron"),
    Document("d2", "A drill turns."),
    Document("d3", "Cheese is rare in winter, and every other food is compared with it. " * 3),
    Document("d4", "A drill turns."),
]
ASKED = [("d1", "which bird waits"), ("d1", "rare in winter"), ("d2", "which bird waits"), ("d3", "drill"),
         ("d3", "rare in winter"), ("d3", "which bird waits"), ("d4", "drill")]  # fmt: skip
PAIRS = [Pair(query, next(one for one in DOCUMENTS if one.doc_id == doc_id)) for doc_id, query in ASKED]
WIDTH = 32


def dense_head(width: int, name: str) -> Dense:
    weight = torch.randn(width, WIDTH, generator=torch.Generator().manual_seed(1))
    return Dense(
        WIDTH, width, activation_function=torch.nn.Identity(), init_weight=weight, init_bias=torch.zeros(width),
        module_output_name=name,
    )  # fmt: skip


@pytest.fixture
def make_retriever(tiny_encoder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A folder with an untrained model of the kind."""

    def make(kind: str) -> Path:
        base = SentenceTransformer(str(tiny_encoder), device="cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = {
                "SentenceTransformer": lambda: base,
                "CrossEncoder": lambda: CrossEncoder(modules=[base[0], base[1], dense_head(1, "scores")], device="cpu"),
                "MultiVectorEncoder": lambda: MultiVectorEncoder(
                    modules=[base[0], MultiVectorMask(), Normalize(module_input_name="token_embeddings")], device="cpu"
                ),
                "SparseEncoder": lambda: SparseEncoder(
                    modules=[*base, SparseAutoEncoder(WIDTH, 4 * WIDTH, k=8), Normalize()], device="cpu"
                ),
            }[kind]()
        model.save_pretrained(str(tmp_path / kind), create_model_card=False)
        return tmp_path / kind

    return make


@pytest.fixture
def likelihood(tiny_llm: Path) -> LikelihoodTeacher:
    language_model = load_language_model(tiny_llm, "float32", "cpu")
    tokens = PromptTokens(language_model.tokenizer, 64, 16)
    example = SeedPair(Query("q", "what turns"), Document("d", "a wheel turns in the stream"))
    before = prefix(language_model, None, tokens.examples([example]))
    return LikelihoodTeacher(language_model, {"": before}, tokens)


def check(teacher: Teacher, monkeypatch) -> list[float]:
    """One at a time and all together, in batches of any size, give the same; every pair is told of."""
    told: list[int] = []
    scores = teacher.score(PAIRS, told.append)
    assert sum(told) == len(PAIRS) and all(told)
    alone = [teacher.score([pair], lambda pairs: None)[0] for pair in PAIRS]
    assert scores == pytest.approx(alone, abs=1e-5)
    assert len(set(np.round(scores, 6))) == len(PAIRS)  # the model tells them apart
    for size in (1, 2):
        monkeypatch.setattr(teachers, "_BATCH", size)
        assert teacher.score(PAIRS, lambda pairs: None) == pytest.approx(alone, abs=1e-5)
    return scores


def test_cross_encoder_gives_its_logits(make_retriever, monkeypatch) -> None:
    folder = make_retriever("CrossEncoder")
    scores = check(open_retriever(folder, 64, "cpu"), monkeypatch)
    model = CrossEncoder(str(folder), device="cpu")
    texts = [(pair.query, pair.document.content) for pair in PAIRS]
    assert scores == pytest.approx(model.predict(texts, activation_fn=torch.nn.Identity()).tolist(), abs=1e-5)


def test_bi_encoder_gives_cosines(make_retriever, monkeypatch) -> None:
    folder = make_retriever("SentenceTransformer")
    scores = check(open_retriever(folder, 64, "cpu"), monkeypatch)
    model = SentenceTransformer(str(folder), device="cpu")
    sides = [
        model.encode(texts) for texts in zip(*((pair.query, pair.document.content) for pair in PAIRS), strict=True)
    ]
    assert scores == pytest.approx(model.similarity_pairwise(*sides).tolist(), abs=1e-5)


def test_late_interaction_gives_the_mean_of_the_best_cosines(make_retriever, monkeypatch) -> None:
    folder = make_retriever("MultiVectorEncoder")
    scores = check(open_retriever(folder, 64, "cpu"), monkeypatch)
    model = MultiVectorEncoder(str(folder), device="cpu")
    for pair, score in zip(PAIRS, scores, strict=True):
        query, document = model.encode_query(pair.query), model.encode_document(pair.document.content)
        best = (torch.as_tensor(query) @ torch.as_tensor(document).T).amax(dim=1)
        assert score == pytest.approx(best.mean().item(), abs=1e-5)


def test_sparse_encoder_gives_dot_products(make_retriever, monkeypatch) -> None:
    folder = make_retriever("SparseEncoder")
    scores = check(open_retriever(folder, 64, "cpu"), monkeypatch)
    model = SparseEncoder(str(folder), device="cpu")
    for pair, score in zip(PAIRS, scores, strict=True):
        query, document = model.encode_query(pair.query), model.encode_document(pair.document.content)
        assert score == pytest.approx((query.to_dense() @ document.to_dense()).item(), abs=1e-5)


def test_likelihood_is_the_mean_of_the_query_tokens(likelihood, monkeypatch) -> None:
    scores = check(likelihood, monkeypatch)
    language_model, tokens, (before,) = likelihood._language_model, likelihood._tokens, likelihood._prefixes.values()
    items = [(tokens.document(pair.document), tokens.query(pair.query)) for pair in PAIRS]
    losses = query_losses(language_model, before, items, 4096)
    assert scores == pytest.approx([-loss.mean for loss in losses], abs=1e-5)
    assert all(score < 0 for score in scores)


def test_likelihood_is_behind_the_prompt_of_the_querys_style(likelihood) -> None:
    language_model, tokens, (one,) = likelihood._language_model, likelihood._tokens, likelihood._prefixes.values()
    example = SeedPair(Query("q", "drill"), Document("d", "a drill makes holes in walls of stone"))
    other = prefix(language_model, None, tokens.examples([example]))
    alone = [LikelihoodTeacher(language_model, {"": before}, tokens) for before in (one, other)]
    asked, scores = [], [teacher.score(PAIRS, lambda pairs: None) for teacher in alone]
    # "which bird waits" asks; no prompt is for keywords, as "drill" and "rare in winter" are, so the first serves them
    both = LikelihoodTeacher(language_model, {"claim": one, "question": other}, tokens).score(PAIRS, asked.append)
    expected = [scores[pair.query == "which bird waits"][place] for place, pair in enumerate(PAIRS)]
    assert both == pytest.approx(expected, abs=1e-5) and sum(asked) == len(PAIRS)
    assert both != pytest.approx(scores[0], abs=1e-3) and both != pytest.approx(scores[1], abs=1e-3)


def test_teacher_stops_after_the_batch_in_which_it_is_asked_to(likelihood) -> None:
    told: list[int] = []

    def stop(pairs: int) -> None:
        told.append(pairs)
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        likelihood.score(PAIRS, stop)
    assert told == [2]  # the two queries of the first document


def test_folder_that_is_no_retriever_is_refused(tiny_llm: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        open_retriever(tmp_path, 64, "cpu")
