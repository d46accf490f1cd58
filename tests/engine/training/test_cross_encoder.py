"""The cross-encoder as a Learner: its losses against sentence-transformers' own, its head, its teachers, its memory."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss, MultipleNegativesRankingLoss

from sptar_engine.configs import TrainConfig
from sptar_engine.errors import StageError
from sptar_engine.records import Hit
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.reordering import reading_fusion
from sptar_engine.training import base_opinion
from sptar_engine.training.base_opinion import ask_base
from sptar_engine.training.cross_encoder import (
    PairReader,
    binary_loss,
    listwise_loss,
    put_head,
    queries_per_step,
)
from sptar_engine.training.first_hits import FirstHits
from sptar_engine.training.lora import load_trained_values, trained_values
from sptar_engine.training.pace import parameter_groups
from tests.engine.training.lessons import (
    DEVELOPMENT,
    DOCUMENTS,
    QUERIES,
    learn,
    make_lesson,
    no_dropout,
    silent,
)

NEGATIVES = {QUERIES[1]: (3, 4), QUERIES[2]: (4, 1), QUERIES[3]: (4, 2)}
# What each pair is read with: batch documents fill up where there are fewer than four hard negatives.
READ = {1: (1, 3, 4, 2), 2: (2, 4, 1, 3), 3: (3, 4, 2, 1)}
HITS = FirstHits(
    DEVELOPMENT,
    {
        "q1": [Hit("d4", 3.0), Hit("twin", 3.0), Hit("d1", 2.0)],
        "q2": [Hit("d2", 5.0)],
        "q3": [Hit("d1", 2.0), Hit("d3", 1.0), Hit("d2", 0.5)],
    },
)


def make(base, **settings) -> PairReader:
    settings = {"family": "cross_encoder", "teacher_weight": 0.0} | settings
    lesson = make_lesson(base, **({"negatives": NEGATIVES} | settings))
    learner = PairReader(put_head(load_bi_encoder(base, 64, "cpu"), 20.0), lesson, HITS)
    no_dropout(learner)
    return learner


def logits(learner: PairReader, number: int) -> torch.Tensor:
    texts = [DOCUMENTS[key] for key in READ[number]]
    pairs = [(QUERIES[number], text) for text in texts]
    return torch.tensor(learner.module.predict(pairs, show_progress_bar=False))


def test_its_weight_beside_bm25_is_chosen_and_kept_with_the_weights(tiny_encoder, monkeypatch, tmp_path) -> None:
    """Reading is right where BM25 has equal scores, and wrong where BM25 is sure, so half and half is best."""
    read = {"q1": {"d4": 0.0, "twin": 0.1, "d1": 0.9}, "q2": {"d2": 0.0}, "q3": {"d1": 0.9, "d3": 1.0, "d2": 0.0}}
    pairs = [read[query_id][hit.doc_id] for query_id, hits in HITS.hits.items() for hit in hits]
    monkeypatch.setattr("sptar_engine.training.cross_encoder.score_pairs", lambda *_: torch.tensor(pairs))
    scored = {}
    for weights in (0, 1, 10):
        learner = make(tiny_encoder, weights=weights)
        assert "reading_weight" in trained_values(learner.module)
        scored[weights] = learner.score(silent())
        kept = trained_values(learner.module)
        load_trained_values(learner.module, {**kept, "reading_weight": torch.tensor(0.0)})
        load_trained_values(learner.module, kept)
        learner.save(tmp_path / str(weights))
    assert scored[0] == scored[1] == HITS.score(pairs)
    assert reading_fusion(tmp_path / "0") is None
    assert reading_fusion(tmp_path / "1").weight == 1
    fusion = reading_fusion(tmp_path / "10")
    assert scored[10] == HITS.choose(pairs, [fusion])[1] >= scored[1]
    others = [HITS.choose(pairs, [replace(fusion, weight=step / 10)])[1] for step in range(1, 11)]
    assert scored[10] == max(others)
    assert CrossEncoder(str(tmp_path / "10"), device="cpu").predict([("a", "b")]).shape == (1,)


def test_losses_of_a_worked_example() -> None:
    scores = torch.tensor([2.0, 1.0, 0.0])
    expected = -math.log(math.e**2 / (math.e**2 + math.e + 1))
    assert listwise_loss(scores).item() == pytest.approx(expected)
    by_hand = 2 * math.log(1 + math.exp(-2)) + math.log(1 + math.e) + math.log(2)
    assert binary_loss(scores, 2.0).item() == pytest.approx(by_hand)


def test_listwise_loss_is_that_of_sentence_transformers(tiny_encoder) -> None:
    learner = make(tiny_encoder)
    loss = MultipleNegativesRankingLoss(learner.module, num_negatives=0, scale=1.0, activation_fn=torch.nn.Identity())
    columns = [list(QUERIES.values()), *([DOCUMENTS[READ[n][place]] for n in READ] for place in range(4))]
    # With no document of another query: theirs takes at least one column of them, so it is asked for the lists alone.
    loss.get_in_batch_negatives = lambda anchors, candidates: iter(())
    theirs = loss(columns, torch.tensor(0)).item()
    assert learn(learner)[0] == pytest.approx(theirs, rel=1e-5)


def test_binary_loss_is_that_of_sentence_transformers(tiny_encoder) -> None:
    learner = make(tiny_encoder, cross_loss="binary")
    loss = BinaryCrossEntropyLoss(learner.module, pos_weight=torch.tensor(3.0))
    queries = [QUERIES[number] for number in READ for _ in READ[number]]
    texts = [DOCUMENTS[key] for number in READ for key in READ[number]]
    labels = torch.tensor([1.0, 0.0, 0.0, 0.0] * 3)
    assert learn(learner)[0] == pytest.approx(loss([queries, texts], labels).item(), rel=1e-5)


def test_known_answers_never_stand_against_a_query(tiny_encoder) -> None:
    learner = make(tiny_encoder, known={QUERIES[1]: {2}})
    scores = logits(learner, 1)[:3]  # without the fourth, document 2, which answers it too
    others = [logits(learner, number) for number in (2, 3)]
    expected = sum(listwise_loss(one).item() for one in (scores, *others)) / 3
    assert learn(learner)[0] == pytest.approx(expected, rel=1e-4)


def test_gradients_do_not_depend_on_how_many_queries_are_held(tiny_encoder) -> None:
    taught = {QUERIES[1]: {1: 2.0, 3: 0.5}, QUERIES[3]: {3: 1.0, 4: 3.0, 2: 0.0}}
    for cross_loss in ("listwise", "binary"):
        settings = {"taught": taught, "teacher_weight": 0.5, "cross_loss": cross_loss}
        whole, by_whole = learn(make(tiny_encoder, cached_pairs=3, **settings))
        single, by_single = learn(make(tiny_encoder, cached_pairs=1, **settings))
        assert single == pytest.approx(whole, rel=1e-5)
        assert by_single.keys() == by_whole.keys()
        for name, value in by_whole.items():
            assert torch.allclose(by_single[name], value, rtol=1e-3, atol=1e-5), name


def test_teacher_is_followed_where_it_has_an_order(tiny_encoder) -> None:
    learner = make(tiny_encoder, taught={QUERIES[1]: {1: 2.0, 3: 0.5}, QUERIES[2]: {2: 1.0}}, teacher_weight=0.25)
    labels = sum(listwise_loss(logits(learner, number)).item() for number in READ) / 3
    wanted, given = torch.tensor([2.0, 0.5]).log_softmax(0), logits(learner, 1)[:2].log_softmax(0)
    followed = (wanted.exp() * (wanted - given)).sum().item()  # the second query has one score and so no order
    assert learn(learner)[0] == pytest.approx(0.75 * labels + 0.25 * followed, rel=1e-4)


def test_margins_are_those_to_the_own_document(tiny_encoder) -> None:
    taught = {QUERIES[1]: {1: 2.0, 3: 0.5, 4: -1.0}}
    learner = make(tiny_encoder, taught=taught, teacher_weight=1.0, teacher_loss="margin_mse")
    scores = logits(learner, 1)
    margins = [((scores[0] - scores[place]) - wanted).item() ** 2 for place, wanted in ((1, 1.5), (2, 3.0))]
    assert learn(learner)[0] == pytest.approx(sum(margins) / 2, rel=1e-4)


def test_document_that_a_teacher_scored_alone_counts_against_nobody(tiny_encoder) -> None:
    learner = make(tiny_encoder, taught={QUERIES[1]: {1: 2.0, 2: 0.5}}, known={QUERIES[1]: {2}}, teacher_weight=0.5)
    scores = logits(learner, 1)  # own, two negatives, and document 2, which answers too
    labels = (listwise_loss(scores[:3]) + sum(listwise_loss(logits(learner, number)) for number in (2, 3))).item() / 3
    wanted, given = torch.tensor([2.0, 0.5]).log_softmax(0), scores[[0, 3]].log_softmax(0)
    followed = (wanted.exp() * (wanted - given)).sum().item()
    assert learn(learner)[0] == pytest.approx(0.5 * labels + 0.5 * followed, rel=1e-4)


def test_out_of_memory_halves_the_queries_and_goes_on(tiny_encoder, monkeypatch) -> None:
    expected, by_whole = learn(make(tiny_encoder, cached_pairs=3))
    learner, sizes = make(tiny_encoder, cached_pairs=3), []
    read = learner._read

    def limited(pairs):
        sizes.append(len(pairs))
        if len(pairs) > 8:
            raise torch.OutOfMemoryError("out of memory")
        return read(pairs)

    monkeypatch.setattr(learner, "_read", limited)
    loss, found = learn(learner)
    assert sizes == [12, 8, 4]
    assert loss == pytest.approx(expected, rel=1e-5)
    assert all(torch.allclose(found[name], value, rtol=1e-3, atol=1e-5) for name, value in by_whole.items())


def test_one_query_that_does_not_fit_says_so(tiny_encoder, monkeypatch) -> None:
    learner = make(tiny_encoder, cached_pairs=1)

    def full(pairs):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(learner, "_read", full)
    with pytest.raises(StageError, match="not enough memory"):
        learn(learner)


def test_head_is_a_scaled_cosine_and_the_same_each_time(tiny_encoder) -> None:
    one, other = (put_head(load_bi_encoder(tiny_encoder, 64, "cpu"), 20.0) for _ in range(2))
    scores = one.predict([(QUERIES[1], text) for text in DOCUMENTS.values()], show_progress_bar=False)
    assert abs(scores).max() <= 20
    assert (scores == other.predict([(QUERIES[1], text) for text in DOCUMENTS.values()])).all()
    assert one[-1].linear.weight.norm().item() == pytest.approx(20.0)
    assert {group["pace"] for group in parameter_groups(one)} == {2.5, 50.0}


def test_score_is_that_of_the_hits_in_the_order_of_the_model(tiny_encoder) -> None:
    learner = make(tiny_encoder)
    told = []
    score = learner.score(silent())
    by_hand = []
    for query_id, own in (("q1", "d1"), ("q2", "d2"), ("q3", "d3")):
        texts = {hit.doc_id: DEVELOPMENT.documents[hit.doc_id] for hit in HITS.hits[query_id]}
        made = learner.module.predict([(DEVELOPMENT.queries[query_id], text) for text in texts.values()])
        order = sorted(zip(texts, made.tolist(), strict=True), key=lambda pair: (-round(pair[1], 4), pair[0]))
        by_hand.append(1 / math.log2(2 + [doc_id for doc_id, _ in order].index(own)))
    assert score == pytest.approx(sum(by_hand) / 3)
    assert learner.evaluation_size == 1  # six different pairs, in lists of five
    assert told == []


def test_a_few_steps_learn_the_pairs(tiny_encoder) -> None:
    learner = make(tiny_encoder)
    optimizer = torch.optim.AdamW(learner.module.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        losses.append(learn(learner)[0])
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]


def test_saved_model_loads_in_one_line_with_the_same_ranking(tiny_encoder, tmp_path) -> None:
    learner = make(tiny_encoder, lora_rank=2)
    texts = list(DOCUMENTS.values())
    before = learner.module.rank(QUERIES[1], texts)
    learner.save(tmp_path / "model")
    loaded = CrossEncoder(str(tmp_path / "model"), device="cpu")
    after = loaded.rank(QUERIES[1], texts)
    assert [row["corpus_id"] for row in after] == [row["corpus_id"] for row in before]
    assert [row["score"] for row in after] == pytest.approx([row["score"] for row in before], abs=1e-5)
    assert loaded.max_seq_length == 64
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert all(str(tiny_encoder).encode() not in path.read_bytes() for path in files)


def test_a_step_takes_a_fourth_of_the_queries() -> None:
    assert [queries_per_step(TrainConfig(batch_size=size)) for size in (2, 8, 32)] == [2, 2, 8]


def test_base_is_asked_where_it_knows_better_than_keywords(tiny_encoder, monkeypatch) -> None:
    lesson = make_lesson(tiny_encoder, NEGATIVES, family="cross_encoder")
    worst = FirstHits(DEVELOPMENT, {"q1": [Hit("d4", 3.0), Hit("d1", 2.0)], "q2": [], "q3": []})
    cosines = iter(([0.1, 0.9], [0.9, 0.1]))
    monkeypatch.setattr(base_opinion.np, "einsum", lambda *_: torch.tensor(next(cosines)).numpy())
    opinion = ask_base(lesson, worst)
    assert opinion is not None
    assert ask_base(lesson, worst) is None
    model = load_bi_encoder(tiny_encoder, 64, "cpu")
    one, other = model.encode([QUERIES[1], DOCUMENTS[3]], normalize_embeddings=True)
    assert opinion.score(QUERIES[1], 3) == pytest.approx(20 * float(one @ other), abs=1e-4)


def test_without_a_teacher_the_base_is_followed_and_with_one_it_is_not_asked(tiny_encoder, monkeypatch) -> None:
    asked = []

    class Opinion:
        def score(self, query: str, key: int) -> float:
            return {1: 2.0, 2: 1.0, 3: 0.5, 4: 0.0}[key]

    monkeypatch.setattr(
        "sptar_engine.training.cross_encoder.ask_base", lambda lesson, hits: (asked.append(hits), Opinion())[1]
    )
    learner = make(tiny_encoder, teacher_weight=1.0)
    total = 0.0
    for number in READ:
        wanted = torch.tensor([Opinion().score("", key) for key in READ[number]]).log_softmax(0)
        given = logits(learner, number).log_softmax(0)
        total += (wanted.exp() * (wanted - given)).sum().item()
    assert learn(learner)[0] == pytest.approx(total / 3, rel=1e-4)
    assert len(asked) == 1
    learn(make(tiny_encoder, teacher_weight=0.0))
    learn(make(tiny_encoder, teacher_weight=0.5, taught={QUERIES[1]: {1: 1.0, 3: 0.0}}))
    assert len(asked) == 1


def test_first_hits_measure_their_own_order_and_another() -> None:
    own = [1 / math.log2(4), 1.0, 1 / math.log2(3)]
    assert HITS.own_score == pytest.approx(sum(own) / 3)
    pairs = HITS.pairs()
    assert pairs[2] == (DEVELOPMENT.queries["q1"], DOCUMENTS[1])
    assert HITS.score([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]) == pytest.approx((1 + 1 + 1 / math.log2(4)) / 3)
    none = replace(HITS, hits={query_id: [] for query_id in HITS.hits})
    assert (none.pairs(), none.own_score, none.score([])) == ([], 0.0, 0.0)
