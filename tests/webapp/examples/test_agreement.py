"""Cohen's kappa against numbers worked out by hand, and who is asked for a second opinion."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from webapp.models import Corpus, Project, Query, User
from webapp.selectors import agreement as selector
from webapp.services import agreement, queries

Write = Callable[..., Query]


def test_kappa_of_a_two_by_two_table() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: p_o = 35/50 = 0.7.
    # p_e = 25/50 * 30/50 + 25/50 * 20/50 = 0.5, so kappa = (0.7 - 0.5) / 0.5 = 0.4.
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert selector.cohens_kappa(pairs) == pytest.approx(0.4)
    found = selector.measure(pairs)
    assert (found.n, found.same, found.raw, found.words) == (50, 35, 0.7, "fair")


def test_kappa_of_three_grades() -> None:
    # Agreement on 2 of 4: p_o = 0.5. One says 0, 0, 1, 3; the other 0, 1, 1, 2.
    # p_e = (2 * 1 + 1 * 2 + 0 + 0) / 16 = 0.25, so kappa = 0.25 / 0.75 = 1/3.
    assert selector.cohens_kappa([(0, 0), (0, 1), (1, 1), (3, 2)]) == pytest.approx(1 / 3)


def test_kappa_at_the_ends() -> None:
    assert selector.cohens_kappa([]) is None
    assert selector.cohens_kappa([(1, 1)] * 5) is None
    assert selector.cohens_kappa([(0, 0), (1, 1)]) == 1
    # Always the opposite: p_o = 0, p_e = 0.5.
    assert selector.cohens_kappa([(0, 1), (1, 0)]) == -1


@pytest.mark.parametrize(
    ("kappa", "words"),
    [
        (-0.1, "worse than chance"), (0.0, "slight"), (0.2, "slight"), (0.21, "fair"), (0.5, "moderate"),
        (0.8, "substantial"), (0.81, "almost perfect"), (1.0, "almost perfect"),
    ],
)  # fmt: skip
def test_kappa_in_words(kappa: float, words: str) -> None:
    assert selector.Agreement(10, 5, kappa).words == words


def test_two_people_are_compared_on_what_both_judged(
    write: Write, owner: User, member: Callable[[str], User], project: Project
) -> None:
    other = member("reviewer")
    query = write("may I renew a loan", d1=3, d2=0, d3=0)
    queries.finish(query=query, actor=owner)
    for doc_id, grade in (("d1", 2), ("d2", 0), ("d3", 1)):
        agreement.give_second(query=query, doc_id=doc_id, grade=grade, actor=other)
    write("not judged twice", d4=1)
    [found] = selector.pairings(project)
    # Relevant or not: (1,1) (0,0) (0,1): p_o = 2/3, p_e = 1/3 * 2/3 + 2/3 * 1/3 = 4/9, kappa = (2/9) / (5/9) = 0.4.
    assert (found.relevant.n, found.relevant.same) == (3, 2)
    assert found.relevant.kappa == pytest.approx(0.4)
    # Grades: one of three alike; p_e = 2/3 * 1/3 = 2/9, kappa = (1/3 - 2/9) / (7/9) = 1/7.
    assert found.grades.kappa == pytest.approx(1 / 7)
    assert found.is_few
    assert [(row["judged"], row["second"]) for row in selector.people(project)] == [(4, 0), (3, 3)]


def test_only_finished_questions_of_others_wait_for_a_second_opinion(
    write: Write, owner: User, member: Callable[[str], User], project: Project, corpus: Corpus
) -> None:
    other = member("reviewer")
    write("still open", d1=3)
    done = write("finished", d1=3, d2=0)
    queries.finish(query=done, actor=owner)
    assert selector.next_second(project, owner) is None
    assert selector.next_second(project, other) == done
    agreement.give_second(query=done, doc_id="d1", grade=3, actor=other)
    assert selector.next_second(project, other) == done
    corpus.rows.filter(doc_id="d2").delete()
    assert selector.next_second(project, other) is None


def test_a_disagreement_names_everybody(write: Write, owner: User, member: Callable[[str], User]) -> None:
    other = member("reviewer")
    query = write("may I renew a loan", d1=3, d2=0)
    for doc_id, grade in (("d1", 0), ("d2", 0)):
        agreement.give_second(query=query, doc_id=doc_id, grade=grade, actor=other)
    [found] = selector.disagreements(query)
    assert found.doc_id == "d1"
    assert [(one.who, one.grade) for one in found.opinions] == [("Olga Owner", 3), (str(other), 0)]
