import torch

from sptar_engine.training.candidates import gather_candidates
from sptar_engine.training.distillation import distillation_loss
from sptar_engine.training.pairs import TrainingPair, TrainingSet

NAN = float("nan")


def make_pairs(*rows: tuple[str, int]) -> tuple[TrainingPair, ...]:
    return tuple(TrainingPair(f"{query} {key}", "seed", query, f"d{key}", query, key) for query, key in rows)


def make_set(pairs, negatives=None, known=None) -> TrainingSet:
    positives = {pair.query_key: set((known or {}).get(pair.query_key, ())) for pair in pairs}
    for pair in pairs:
        positives[pair.query_key].add(pair.document_key)
    return TrainingSet(pairs, {}, positives, negatives=negatives or {})


def same(table: torch.Tensor, rows: list[list[float]]) -> bool:
    return torch.equal(table.nan_to_num(-1), torch.tensor(rows).nan_to_num(-1))


def test_documents_are_the_pairs_own_then_hard_negatives_then_what_is_taught_alone() -> None:
    pairs = make_pairs(("a", 1), ("b", 2))
    training_set = make_set(pairs, {"a": (3, 2), "b": (3, 4)})
    taught = {"a": {1: 2.0, 3: 1.0, 5: 0.0}, "c": {6: 1.0}}
    found = gather_candidates(pairs, training_set, taught)
    assert (found.queries, found.documents) == (("a", "b"), (1, 2, 3, 4, 5))
    assert found.answers.tolist() == [[True, False, False, False, False], [False, True, False, False, False]]
    # Document 5 is there for the teacher alone.
    assert found.hidden.tolist() == [[False] * 4 + [True]] * 2
    assert found.columns.tolist() == [0, 1, 2, 3, 4] and found.rows.tolist() == [0, 1]
    assert same(found.taught, [[2.0, NAN, 1.0, NAN, 0.0], [NAN] * 5])
    assert found.is_taught


def test_known_answer_is_hidden_or_with_many_positives_shares_the_loss() -> None:
    pairs = make_pairs(("a", 1), ("b", 2))
    training_set = make_set(pairs, {"b": (3,)}, {"a": {3}})
    found = gather_candidates(pairs, training_set, {})
    assert found.hidden.tolist() == [[False, False, True], [False, False, False]]
    assert found.answers[0].tolist() == [True, False, False]
    found = gather_candidates(pairs, training_set, {}, multi_positive=True)
    assert not found.hidden.any() and found.answers[0].tolist() == [True, False, True]
    assert not found.is_taught


def test_pairs_of_one_query_or_one_document_share_them() -> None:
    pairs = make_pairs(("a", 1), ("a", 2), ("b", 2))
    found = gather_candidates(pairs, make_set(pairs), {}, multi_positive=True)
    assert (found.queries, found.documents) == (("a", "b"), (1, 2))
    assert found.rows.tolist() == [0, 0, 1] and found.columns.tolist() == [0, 1, 1]
    assert found.answers.tolist() == [[True, True], [True, True], [False, True]]


def test_document_of_several_pairs_is_taught_once_a_row_and_at_its_own_place() -> None:
    pairs = make_pairs(("a", 1), ("b", 1), ("c", 2))
    taught = {name: {1: 1.0, 2: 0.5} for name in "abc"}
    found = gather_candidates(pairs, make_set(pairs), taught, multi_positive=True)
    assert found.columns.tolist() == [0, 0, 1]
    assert same(found.taught, [[1.0, NAN, 0.5], [NAN, 1.0, 0.5], [1.0, NAN, 0.5]])
    # So the loss is that of three queries with two documents each.
    scores = torch.tensor([[0.3, 0.1], [0.2, 0.4], [0.0, 0.7]])
    alone = [
        distillation_loss("margin_mse", scores[[row]][:, order], torch.tensor([[taught["a"][1 + order[0]], 0.0]]))
        for row, order in enumerate(([0, 1], [0, 1], [1, 0]))
    ]
    wanted = [(0.5 - (row[own] - row[1 - own])) for row, own in zip(scores.tolist(), (0, 0, 1), strict=True)]
    wanted[2] = -0.5 - (0.7 - 0.0)
    expected = sum(value**2 for value in wanted) / 3
    loss = distillation_loss("margin_mse", scores[found.rows][:, found.columns], found.taught)
    assert loss.item() == torch.tensor(expected).item() or abs(loss.item() - expected) < 1e-6
    assert len(alone) == 3
