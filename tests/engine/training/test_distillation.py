"""Losses of a student with a teacher: worked out by hand, and as sentence-transformers has them."""

import math

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss, MarginMSELoss

from sptar_engine.configs import CONFIGS
from sptar_engine.data.beir import write_dataset
from sptar_engine.data.taught import Taught
from sptar_engine.records import Document
from sptar_engine.training.distillation import distillation_loss, key_scores
from sptar_engine.training.pairs import document_key

NAN = math.nan
KINDS = CONFIGS["train"].__dataclass_fields__["teacher_loss"].metadata["choices"]


def loss_and_gradient(kind: str, student, teacher) -> tuple[float, torch.Tensor]:
    scores = torch.tensor(student, requires_grad=True)
    loss = distillation_loss(kind, scores, torch.tensor(teacher))
    loss.backward()
    return loss.item(), scores.grad


def test_kl_by_hand() -> None:
    # Teacher: odds 3 to 1, so shares 3/4 and 1/4; student: even. 3/4 ln(3/2) + 1/4 ln(1/2).
    loss, gradient = loss_and_gradient("kl", [[0.0, 0.0, 9.0]], [[math.log(3), 0.0, NAN]])
    assert loss == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    # The slope of a logit is the student's share less the teacher's; what is not known has none.
    assert gradient.tolist() == [pytest.approx([-0.25, 0.25, 0.0])]


def test_margin_mse_by_hand() -> None:
    # Margins of the student 2 - 1 = 1 and 2 - 5 = -3, of the teacher 4 - 1 = 3 and 4 - 6 = -2: (4 + 1) / 2.
    loss, gradient = loss_and_gradient("margin_mse", [[2.0, 1.0, 5.0, 7.0]], [[4.0, 1.0, 6.0, NAN]])
    assert loss == pytest.approx(2.5)
    assert gradient.tolist() == [pytest.approx([-3.0, 2.0, 1.0, 0.0])]


def test_own_document_of_row_i_stands_in_column_i() -> None:
    student, teacher = [[1.0, 5.0, 0.0], [9.0, 2.0, 1.0]], [[1.0, NAN, 0.0], [NAN, 4.0, 1.0]]
    # Row 0: 1 against 1. Row 1: 2 - 1 = 1 against 4 - 1 = 3.
    assert loss_and_gradient("margin_mse", student, teacher)[0] == pytest.approx((0 + 4) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_mean_is_over_the_queries_that_are_taught(kind) -> None:
    one = ([[1.0, 2.0, 4.0]], [[3.0, 1.0, NAN]])
    two = ([[1.0, 2.0, 4.0], [8.0, 8.0, 3.0], [5.0, 1.0, 6.0]], [[3.0, 1.0, NAN], [NAN] * 3, [NAN, NAN, 2.0]])
    loss, gradient = loss_and_gradient(kind, *two)
    assert loss == pytest.approx(loss_and_gradient(kind, *one)[0])
    assert gradient[1:].abs().sum() == 0


def test_margin_needs_the_own_document_and_kl_does_not() -> None:
    student, teacher = [[1.0, 2.0, 3.0]], [[NAN, 1.0, 4.0]]
    assert loss_and_gradient("margin_mse", student, teacher)[0] == 0
    assert loss_and_gradient("kl", student, teacher)[0] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("teacher", [[[NAN, NAN]], [[1.0, NAN]]])
def test_nothing_taught_is_zero_with_a_gradient_of_zero(kind, teacher) -> None:
    loss, gradient = loss_and_gradient(kind, [[1.0, 2.0]], teacher)
    assert loss == 0 and gradient.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_that_agrees_has_nothing_to_learn(kind) -> None:
    # Up to a constant: neither loss asks for the height of the scores.
    loss, gradient = loss_and_gradient(kind, [[11.0, 13.0, 10.0]], [[1.0, 3.0, NAN]])
    assert loss == pytest.approx(0, abs=1e-6) and gradient.abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_huge_scores_give_finite_losses_and_gradients(kind) -> None:
    loss, gradient = loss_and_gradient(kind, [[-1e4, 1e4, 0.0]], [[1e4, -1e4, NAN]])
    assert math.isfinite(loss) and gradient.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_scores_are_compared_in_float32(kind) -> None:
    student = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16, requires_grad=True)
    loss = distillation_loss(kind, student, torch.tensor([[2.0, 1.0]]))
    assert loss.dtype == torch.float32
    loss.backward()
    assert student.grad.dtype == torch.bfloat16


@pytest.fixture
def embedded() -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Vectors of 4 queries, their documents and 2 negatives each; the student's and a teacher's scores of these.

    Columns: the 4 own documents, then the negatives of all.
    """
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(4, 8, generator=generator) for _ in range(4)]
    queries, documents = parts[0], torch.cat(parts[1:])
    known = torch.eye(4).repeat(1, 3).bool()
    teacher = torch.randn(4, 12, generator=generator).masked_fill(~known, torch.nan)
    return parts, queries @ documents.T, teacher


def test_kl_is_that_of_sentence_transformers(embedded) -> None:
    parts, student, teacher = embedded
    labels = teacher[~teacher.isnan()].view(4, 3)
    theirs = DistillKLDivLoss(None).compute_loss_from_embeddings(parts, labels)
    assert distillation_loss("kl", student, teacher).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_margin_mse_is_that_of_sentence_transformers(embedded) -> None:
    parts, student, teacher = embedded
    labels = teacher[~teacher.isnan()].view(4, 3)
    theirs = MarginMSELoss(None).compute_loss_from_embeddings(parts, labels)
    assert distillation_loss("margin_mse", student, teacher).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_scores_are_found_by_the_key_of_a_document(tmp_path) -> None:
    documents = [Document("d1", "wings"), Document("d2", "heat"), Document("d3", "waves")]
    write_dataset(tmp_path, documents, [], {})
    taught = {"lift": Taught(("d2", "d1"), (0.5, -1.0)), "shock": Taught(("d3", "d1"), (2.0, 0.0))}
    keys = {document.doc_id: document_key(document.text) for document in documents}
    assert key_scores(tmp_path, taught, 20.0) == {
        "lift": {keys["d2"]: 0.5, keys["d1"]: -1.0},
        "shock": {keys["d3"]: 2.0, keys["d1"]: 0.0},
    }


def test_cosines_become_logits_as_the_students_do(tmp_path) -> None:
    write_dataset(tmp_path, [Document("d1", "wings"), Document("d2", "heat")], [], {})
    taught = {"lift": Taught(("d2", "d1"), (0.5, -0.25), "cosine")}
    assert list(key_scores(tmp_path, taught, 20.0)["lift"].values()) == [10.0, -5.0]
