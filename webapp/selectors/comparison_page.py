"""The page of one experiment's comparison: figures, wins and losses, versions of the judgements, what is pending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from webapp.cells import in_order
from webapp.chart_deltas import Delta, DeltaPlot, draw_deltas, ordered
from webapp.chart_intervals import Intervals, Mean, draw_intervals
from webapp.models import Errand, Experiment, Judgement, Project, Rescoring, State
from webapp.selectors import comparisons, measured
from webapp.selectors.comparisons import ALL_MEASURES, JUDGED, MAIN
from webapp.selectors.grid import Duel, Grid, duels_of, grid_of
from webapp.selectors.judgements import PLAYGROUND
from webapp.selectors.measured import Scores, Version
from webapp.selectors.verdicts import Value
from webapp.selectors.words import arm_name

_SHOWN = 120  # characters of a question
_PENDING = 1000  # new grades that are counted
PAGE = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """What the address chose: the two arms that are compared question by question."""

    arm: str
    against: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The table and its sentences."""

    version: Version
    table: comparisons.Table | None
    measures: list[str]
    headlines: list[str]
    pairs: str
    chart: Intervals | None
    grid: Grid | None
    duels: list[Duel]


@dataclass(frozen=True, slots=True)
class Scoring:
    """Whether the figures are by today's judgements, and the errand that brings them up to date."""

    errand: Errand | None
    is_open: bool
    is_behind: bool
    new_grades: int

    @property
    def state(self) -> str:
        """Of the errand; empty when there is none."""
        return self.errand.state if self.errand else ""

    @property
    def has_failed(self) -> bool:
        """Whether new figures could not be made."""
        return self.state == State.FAILED


@dataclass(frozen=True, slots=True)
class Listing:
    """Experiments to choose from. `older` and `newer` are where the pages beside start; `a` and `b` are chosen."""

    rows: list[Line]
    older: int | None
    newer: int | None
    a: int | None
    b: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """An experiment with its figures."""

    experiment: Experiment
    is_pinned: bool
    version: int
    headline: str
    arm: str
    value: Value | None


def version_named(versions: Sequence[Version], text: str) -> Version:
    """The version of an address; the newest where it names none."""
    return next((one for one in versions if str(one.number) == text), versions[0])


def figures_of(experiment: Experiment, version: Version) -> Figures:
    """The figures by the judgements of a version."""
    measures = [*ALL_MEASURES, *([JUDGED] if measured.has_grade_0(experiment, version) else [])]
    stages = list(experiment.stages.filter(stage="train").order_by("position"))
    table = comparisons.table_of(experiment, version.comparison, measures)
    headlines = comparisons.headlines_of(version.comparison)
    return Figures(
        version, table, measures, headlines, comparisons.pair_words(stages), _chart(version),
        grid_of(experiment, version.comparison), duels_of(experiment, version.comparison),
    )  # fmt: skip


def choose(version: Version, arms: Sequence[str], arm: str, against: str) -> Choice | None:
    """The cells of an address, as far as they are measured; None when there are no two.

    Without one it is the search that the headline speaks of.
    """
    present = list(arms)
    if len(present) < 2:
        return None
    usual = comparisons.best_known(version.comparison)
    ours = next((one for one in (arm, usual) if one in present), present[-1])
    others = [one for one in present if one != ours]
    return Choice(ours, against if against in others else others[0])


def deltas_of(
    experiment: Experiment, scores: Scores, choice: Choice, questions: Mapping[str, str], version: Version
) -> list[Delta]:
    """Each question's values under both arms, the largest gain first."""
    ours, theirs = (scores.get(arm, {}).get(MAIN, {}) for arm in (choice.arm, choice.against))
    page = reverse("compare_question", args=[experiment.project.slug, experiment.number])
    return ordered(
        Delta(
            query_id, questions.get(query_id, query_id)[:_SHOWN], ours[query_id], theirs[query_id],
            f"{page}?{query_string(query_id, choice, version)}",
        )
        for query_id in ours
        if query_id in theirs
    )  # fmt: skip


def query_string(query_id: str, choice: Choice, version: Version) -> str:
    """What stands behind the address of a question's page; the newest judgements need no name."""
    named = {} if version.is_newest else {"judgements": version.number}
    return urlencode({"id": query_id, "arm": choice.arm, "against": choice.against, **named})


def plot_of(deltas: Sequence[Delta], choice: Choice) -> DeltaPlot | None:
    """The plot of wins and losses."""
    return draw_deltas(
        key="wins", ours=arm_name(choice.arm), theirs=arm_name(choice.against), measure=MAIN, deltas=deltas
    )


def scoring_of(experiment: Experiment, version: Version) -> Scoring:
    """Where the newest figures stand against today's judgements."""
    rows = Errand.objects.filter(project=experiment.project_id, kind="experiment.rescore", subject=experiment.pk)
    errand = rows.select_related("project").order_by("-pk").first()
    is_open = errand is not None and not State(errand.state).is_over
    is_behind = version.labels_version != experiment.project.labels_version and not is_open
    if errand and errand.state == State.DONE and errand.metrics.get("labels_version") is not None:
        is_behind = is_behind and errand.metrics["labels_version"] != experiment.project.labels_version
    return Scoring(errand, is_open, is_behind, _new_grades(experiment, version) if is_behind else 0)


def list_measured(
    project: Project, *, before: int | None = None, after: int | None = None, a: int | None = None, b: int | None = None
) -> Listing:
    """A page of the experiments with figures, the newest first. Few queries.

    The pinned one stands first on the first page; what is chosen (`a` before, `b` after) and lies on another page
    stands above the rows of this one.
    """
    rows = project.experiments.exclude(comparison={}).defer("settings", "machine").select_related("based_on")
    rows = rows.order_by("-number")
    found, older, newer = _page(rows, before, after)
    pinned, first = project.baseline_id, _first_choice(rows, project)
    chosen = [given if given is not None else preset for given, preset in zip((a, b), first, strict=True)]
    missing = {number for number in chosen if number is not None} - {one.number for one in found}
    top = list(rows.filter(Q(number__in=missing) | Q(pk=pinned if newer is None else None)))
    shown = list(dict.fromkeys([*sorted(top, key=lambda one: one.pk != pinned), *found]))
    later = _newest_versions([one.pk for one in shown])
    lines = [_line(one, project, later.get(one.pk)) for one in shown]
    return Listing(lines, older, newer, *chosen)


def _page(
    rows: QuerySet[Experiment], before: int | None, after: int | None
) -> tuple[list[Experiment], int | None, int | None]:
    """The experiments of a page, and the numbers where the older and the newer page start."""
    if after is not None:
        found = list(rows.filter(number__gt=after).order_by("number")[:PAGE])[::-1]
    else:
        found = list((rows if before is None else rows.filter(number__lt=before))[:PAGE])
    if not found or (after is not None and len(found) < PAGE):
        found = list(rows[:PAGE])
    if not found:
        return [], None, None
    older, newer = rows.filter(number__lt=found[-1].number), rows.filter(number__gt=found[0].number)
    return found, found[-1].number if older.exists() else None, found[0].number if newer.exists() else None


def _first_choice(rows: QuerySet[Experiment], project: Project) -> tuple[int | None, int | None]:
    """The newest, and what it is best compared with: the pinned one, that it is based on, or the one before it.

    Nobody means the points of a learning curve, unless there is nothing else.
    """
    others = rows.exclude(pk=project.baseline_id) if project.baseline_id else rows
    found = list(others.filter(series="")[:2]) or list(others[:2]) or list(rows[:1])
    if not found:
        return None, None
    before = project.baseline or found[0].based_on or (found[1] if found[1:] else None)
    return before.number if before else None, found[0].number


def _chart(version: Version) -> Intervals | None:
    means = [Mean(arm_name(arm), **version.arms[arm][MAIN]) for arm in in_order(version.arms)]
    return draw_intervals(
        key="means", title="How good the first ten results are (nDCG@10)",
        description="One line for each search: its mean over the test questions and the 95 % interval.", means=means,
    )  # fmt: skip


def _line(experiment: Experiment, project: Project, later: Rescoring | None) -> Line:
    comparison = later.comparison if later else experiment.comparison
    arms = comparison.get("arms", {})
    arm = comparisons.best_known(comparison) or next(iter(arms), "")
    value = Value(**arms[arm][MAIN]) if arm else None
    headline = comparisons.headlines_of(comparison)[0]
    is_pinned = experiment.pk == project.baseline_id
    return Line(experiment, is_pinned, later.number if later else 0, headline, arm_name(arm), value)


def _newest_versions(experiments: Sequence[int]) -> dict[int, Rescoring]:
    rows = Rescoring.objects.filter(experiment__in=experiments).order_by("number")
    return {row.experiment_id: row for row in rows.only("experiment_id", "number", "comparison")}


def _new_grades(experiment: Experiment, version: Version) -> int:
    """Grades of test questions given or changed since, up to a thousand."""
    rows = Judgement.objects.filter(query__project=experiment.project_id, query__split="test")
    newer = rows.filter(at__gt=version.at).exclude(source=PLAYGROUND)
    return newer.order_by().values("pk")[:_PENDING].count()
