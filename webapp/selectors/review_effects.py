"""What people's verdicts change: before a training, by counting rows, and after one, by what it said itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import BooleanField, Case, Count, Exists, OuterRef, QuerySet, Value, When

from sptar_engine.steps import DECISIONS
from sptar_engine.training.pairs import SEED, WRITTEN, count_pairs
from webapp.models import Change, Document, Experiment, Project, StageRun, State, Verdict, WeakQuery
from webapp.selectors.questions import USABLE, kept_by
from webapp.selectors.review_batches import Batch
from webapp.selectors.verdict_counts import BOUND
from webapp.selectors.words import arm_name, plural

WANTED = (Verdict.ACCEPT, Verdict.EDIT)
"""Verdicts by which a question is good enough to be an example."""

DECIDED = (Verdict.ACCEPT, Verdict.REJECT, Verdict.EDIT)
"""Verdicts that change a training."""

_RETRAINED = 5  # experiments with verdicts that are listed


@dataclass(frozen=True, slots=True)
class Effect:
    """The verdicts on a batch as they are now, against a training without any.

    `before` and `after` are questions and examples in the training set; the other numbers are of verdicts. What is
    kept is by the threshold of the batch's own experiment. `promotable` is counted up to BOUND.
    """

    before: int
    after: int
    removed: int
    replaced: int
    added: int
    confirmed: int
    pointless: int
    flagged: int
    promotable: int

    @property
    def decided(self) -> int:
        """Verdicts that were given, flags apart."""
        return self.removed + self.replaced + self.added + self.confirmed + self.pointless

    @property
    def sentence(self) -> str:
        """The effect in one sentence."""
        if not self.decided:
            return "There is no verdict yet, so nothing changes."
        done = [words for words in (self._removed(), self._replaced(), self._added()) if words]
        verdicts = f"Your {self.decided:,} {plural(self.decided, 'verdict')}"
        if not done:
            return f"{verdicts} {self._does('confirm')} the training set as it is."
        last = f" and {done[-1]}" if len(done) > 1 else done[-1]
        return f"{verdicts} {', '.join(done[:-1])}{last}."

    def _removed(self) -> str:
        if not self.removed:
            return ""
        share = f"{self.removed / self.before:.0%}" if self.removed / self.before >= 0.005 else "less than 1%"
        share = share.replace("%", " %")
        return (
            f"{self._does('remove')} {share} of the training set ({self.removed:,} {plural(self.removed, 'question')})"
        )

    def _replaced(self) -> str:
        if not self.replaced:
            return ""
        return f"{self._does('edit')} {self.replaced:,} {plural(self.replaced, 'question')}"

    def _added(self) -> str:
        return f"{self._does('bring')} back {self.added:,} that the filter had dropped" if self.added else ""

    def _does(self, verb: str) -> str:
        """The verb as it follows the number of verdicts."""
        return f"{verb}s" if self.decided == 1 else verb


@dataclass(frozen=True, slots=True)
class Retrained:
    """An experiment trained with verdicts, and the one it is based on. `sentence` is there once it is trained."""

    experiment: Experiment
    base: Experiment
    sentence: str
    is_measured: bool
    is_current: bool
    """Its verdicts are the ones there are now, as far as their numbers tell."""


def effect_of(batch: Batch) -> Effect | None:
    """None before the filter has run: nobody knows yet what is in the training. Three queries.

    They count the rows of the batch that have a verdict. One on a question that clean-up dropped changes nothing.
    """
    if not batch.is_filtered:
        return None
    counts = _counts(batch)
    kept = {verdict: counts[verdict, True] for verdict in Verdict.values}
    dropped = {verdict: counts[verdict, False] for verdict in Verdict.values}
    filters = batch.experiment.stages.filter(stage="filter", state=State.DONE)
    filtered = next((stage for stage in filters if batch.arm in stage.arms), None)
    kept_now = int(filtered.metrics.get("kept", 0)) if filtered else 0
    before = kept_now + int(batch.experiment.counts.get("train_pairs", 0))
    removed, added = kept["reject"], dropped["accept"] + dropped["edit"]
    return Effect(
        before=before, after=before - removed + added, removed=removed, replaced=kept["edit"], added=added,
        confirmed=kept["accept"], pointless=dropped["reject"], flagged=kept["unsure"] + dropped["unsure"],
        promotable=promotable(batch.project, batch.folder)[:BOUND].count(),
    )  # fmt: skip


def promotable(project: Project, batch: str) -> QuerySet[WeakQuery]:
    """Questions of a batch that may become examples: wanted, uncontested, no examples yet, with a document in use."""
    rows = WeakQuery.objects.filter(project=project, batch=batch, verdict__in=WANTED, dropped__in=USABLE)
    rows = rows.filter(disputed=False, promoted=None)
    return rows.filter(Exists(Document.objects.filter(corpus=project.corpus_id, doc_id=OuterRef("doc_id"))))


def least_risky(project: Project, batch: str, limit: int) -> list[WeakQuery]:
    """The first of those that may become examples. An index answers for each pair of values, however many there are."""
    rows = promotable(project, batch).order_by("risk", "-id")
    found = [row for why in USABLE for verdict in WANTED for row in rows.filter(dropped=why, verdict=verdict)[:limit]]
    return sorted(found, key=lambda row: (row.risk, -row.pk))[:limit]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An arm with verdicts on its questions, by kind."""

    arm: str
    name: str
    accepted: int
    rejected: int
    edited: int


def reviewed_arms(experiment: Experiment, batches: Mapping[str, str]) -> list[Reviewed]:
    """The arms whose questions (`batches` by arm) somebody has accepted, rejected or edited. One query."""
    rows = WeakQuery.objects.filter(
        project_id=experiment.project_id, batch__in=batches.values(), verdict__in=DECIDED
    ).order_by()
    counts = {
        (batch, verdict): count for batch, verdict, count in rows.values_list("batch", "verdict").annotate(Count("pk"))
    }
    found = [
        Reviewed(arm, arm_name(arm), *(counts.get((batch, verdict), 0) for verdict in DECIDED))
        for arm, batch in batches.items()
    ]
    return [one for one in found if one.accepted or one.rejected or one.edited]


def retrained(batch: Batch) -> list[Retrained]:
    """The newest experiments that were trained with verdicts on these questions, newest first."""
    rows = (
        Experiment.objects.filter(project=batch.project, change=Change.REVIEW, based_on__isnull=False)
        .filter(stages__stage="generate", stages__folder=batch.folder)
        .select_related("based_on")
        .defer("comparison", "settings", "based_on__comparison", "based_on__settings")
        .order_by("-number")[:_RETRAINED]
    )
    now = _now(batch)
    return [_retrained(row, batch, now) for row in rows]


def _retrained(experiment: Experiment, batch: Batch, now: Mapping[str, int]) -> Retrained:
    assert experiment.based_on is not None
    stages = list(experiment.stages.order_by("position"))
    train = _training(batch.arm, stages)
    base = _training(batch.arm, experiment.based_on.stages.filter(stage="train", state=State.DONE).order_by("position"))
    read = {arm for stage in stages if stage.stage == "train" and DECISIONS in stage.inputs for arm in stage.arms}
    sharing = {arm for stage in stages if stage.folder == batch.folder for arm in stage.arms}
    return Retrained(
        experiment=experiment,
        base=experiment.based_on,
        sentence=_trained(train, base) if train and train.state == State.DONE else "",
        is_measured=any(_measures(stage, batch.arm) for stage in stages),
        is_current=bool(read)
        and read <= sharing
        and all(experiment.decision_counts.get(name, 0) == count for name, count in now.items()),
    )


def _measures(stage: StageRun, arm: str) -> bool:
    """Whether a search model of an arm is measured by this step; one that only teaches never is."""
    return stage.stage == "evaluate" and stage.state == State.DONE and arm in stage.arms and not stage.variant


def _training(arm: str, stages: Iterable[StageRun]) -> StageRun | None:
    """An arm's first training: whichever the search model, all learn from the same pairs."""
    return next((stage for stage in stages if stage.stage == "train" and arm in stage.arms), None)


def _trained(train: StageRun, base: StageRun | None) -> str:
    """What the training itself counted."""
    after, rejected = _pairs(train), int(train.metrics.get("rejected_pairs", 0))
    before = _pairs(base) if base else 0
    against = f" instead of {before:,}" if before else ""
    negatives = int(train.metrics.get("rejected_negatives", 0))
    hard = f" ({negatives:,} as hard {plural(negatives, 'negative')})" if negatives else ""
    edited, accepted = (int(train.metrics.get(f"{kind}_pairs", 0)) for kind in ("edited", "accepted"))
    return (
        f"Trained on {after:,} pairs{against}: {rejected:,} rejected{hard}, {edited:,} edited, {accepted:,} accepted."
    )


def _pairs(train: StageRun) -> int:
    return count_pairs(train.metrics, (SEED, *WRITTEN))


def _counts(batch: Batch) -> Counter[tuple[str, bool]]:
    """Verdicts by whether the experiment's own filter has kept the question."""
    is_kept = Case(When(kept_by(batch.top_k), then=True), default=Value(False), output_field=BooleanField())
    rows = batch.questions.filter(verdict__in=Verdict.values).filter(dropped__in=USABLE).order_by()
    counted = rows.annotate(is_kept=is_kept).values_list("verdict", "is_kept").annotate(Count("pk"))
    return Counter({(verdict, kept): count for verdict, kept, count in counted})


def _now(batch: Batch) -> dict[str, int]:
    rows = batch.questions.filter(verdict__in=DECIDED).order_by()
    found = dict(rows.values_list("verdict").annotate(Count("pk")))
    return {verdict: found.get(verdict, 0) for verdict in DECIDED}
