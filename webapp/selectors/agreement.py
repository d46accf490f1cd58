"""How far two people agree: Cohen's kappa in numbers and words, what waits for a second opinion, and disagreements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from webapp.models import Document, Judgement, Project, Query, User
from webapp.selectors.judgements import MIN_GRADE, judgements_of, state_of

FEW = 20
"""Documents judged twice below which kappa is too uncertain to mean much."""

# Landis and Koch (1977), The measurement of observer agreement for categorical data: upper ends.
_WORDS = (
    (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"),
    (1.0, "almost perfect"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two people on the documents that both judged: `same` of `n` alike, and kappa (None where it is undefined)."""

    n: int
    same: int
    kappa: float | None

    @property
    def raw(self) -> float:
        """The share of documents with the same answer."""
        return self.same / self.n if self.n else 0.0

    @property
    def words(self) -> str:
        """Kappa in words."""
        if self.kappa is None:
            return "cannot be told: everybody gave the same answer throughout"
        if self.kappa < 0:
            return "worse than chance"
        return next(words for end, words in _WORDS if self.kappa <= end + 1e-9)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two people: agreement on relevant or not, and on the exact grade."""

    one: str
    other: str
    relevant: Agreement
    grades: Agreement

    @property
    def is_few(self) -> bool:
        """Whether it is measured on too few documents to lean on."""
        return self.grades.n < FEW


@dataclass(frozen=True, slots=True)
class Opinion:
    """One person's grade."""

    who: str
    grade: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A document on which people gave different grades. `seen` names the state that was shown."""

    doc_id: str
    opinions: list[Opinion]
    seen: str


def cohens_kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Cohen (1960): (p_o - p_e) / (1 - p_e) over unordered classes; None without pairs and where p_e is 1."""
    n = len(pairs)
    if not n:
        return None
    observed = sum(one == other for one, other in pairs) / n
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    expected = sum(first[answer] * second[answer] for answer in first) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def measure(pairs: Sequence[tuple[int, int]]) -> Agreement:
    """Agreement on pairs of answers."""
    return Agreement(len(pairs), sum(one == other for one, other in pairs), cohens_kappa(pairs))


def pairings(project: Project) -> list[Pairing]:
    """Each two people who judged the same documents, those with most in common first."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for grades in _judged_twice(project).values():
        for one, other in combinations(sorted(grades), 2):
            found[one, other].append((grades[one], grades[other]))
    names = {user.pk: str(user) for user in User.objects.filter(pk__in={pk for pair in found for pk in pair})}
    made = [
        Pairing(
            names[one], names[other], measure([(int(a >= MIN_GRADE), int(b >= MIN_GRADE)) for a, b in pairs]),
            measure(pairs),
        )
        for (one, other), pairs in found.items()
    ]  # fmt: skip
    return sorted(made, key=lambda pairing: (-pairing.grades.n, pairing.one, pairing.other))


def people(project: Project) -> list[dict[str, object]]:
    """How many documents each person judged, and how many of these as a second opinion or to settle."""
    rows = (
        Judgement.objects.filter(query__project=project, judge__isnull=False)
        .values("judge_id", "judge__name", "judge__email")
        .annotate(
            judged=Count("pk", filter=Q(settled=False)),
            second=Count("pk", filter=Q(source="second")),
            settled=Count("pk", filter=Q(settled=True)),
        )
        .order_by("-judged")
    )
    return [{**row, "who": row["judge__name"] or row["judge__email"]} for row in rows]


def next_second(project: Project, user: User, after: int = 0) -> Query | None:
    """The next finished question with a document that others judged and this person has not."""
    return waiting_second(project, user).filter(pk__gt=after).order_by("pk").first()


def waiting_second(project: Project, user: User) -> QuerySet[Query]:
    """Finished questions that wait for this person's opinion."""
    own = Judgement.objects.filter(query=OuterRef("query"), doc_id=OuterRef("doc_id"), judge=user)
    there = Document.objects.filter(corpus=project.corpus_id, doc_id=OuterRef("doc_id"))
    others = Judgement.objects.filter(query=OuterRef("pk"), settled=False).exclude(judge=user)
    todo = others.filter(Exists(there), ~Exists(own))
    return Query.objects.filter(Exists(todo), project=project, status=Query.Status.DONE)


def disagreements(query: Query) -> list[Disagreement]:
    """The documents of a question on which people differ and that nobody has settled."""
    found = []
    for doc_id, rows in judgements_of([query.pk])[query.pk].items():
        if not any(row.settled for row in rows) and len({row.grade for row in rows}) > 1:
            opinions = [Opinion(str(row.judge or "Somebody"), row.grade) for row in rows]
            found.append(Disagreement(doc_id, opinions, state_of(rows)))
    return found


def _judged_twice(project: Project) -> Mapping[tuple[int, str], dict[int, int]]:
    """Grades by person for each question and document that has a second opinion."""
    queries = Judgement.objects.filter(query__project=project, source="second").values("query_id")
    rows = Judgement.objects.filter(query_id__in=queries, settled=False, judge__isnull=False)
    found: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
    for query, doc_id, judge, grade in rows.values_list("query_id", "doc_id", "judge_id", "grade").iterator():
        found[query, doc_id][judge] = grade
    return found
