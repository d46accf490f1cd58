"""What another threshold of the BM25 filter would keep. Nothing is searched anew: every rank is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F, QuerySet
from django.db.models.functions import Left

from webapp.charts import LineChart, Series, draw_lines
from webapp.forms.feedback import MAX_K
from webapp.marks import Part, around, mark
from webapp.models import Document, Experiment, StageRun, State, WeakQuery
from webapp.selectors.artifacts import value_of
from webapp.selectors.questions import REASONS, THRESHOLD, method_of, threshold_in
from webapp.selectors.review_batches import Batch
from webapp.selectors.words import plural

CURVE_FILE = "curve.json"  # sptar_engine.stages.filter

_SIDE = 5  # questions shown on each side of the line
_READ = 6000  # characters of a document in which the best piece is looked for
_EXCERPT = 260
_TITLE = 200


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A question near the line, and the document it was written for with the words of both marked."""

    pk: int
    text: str
    rank: int | None
    verdict: str
    title: str
    excerpt: list[Part]


@dataclass(frozen=True, slots=True)
class Reason:
    """How many questions go for a reason; `share` is of all that were written, in percent."""

    words: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The filter with the threshold `k`. `current` is the one that the experiment used."""

    k: int
    current: int
    most: int
    kept: int
    kept_now: int
    filtered: int
    written: int
    reasons: list[Reason]
    above: list[Neighbour]
    below: list[Neighbour]
    chart: LineChart | None
    sentence: str

    @property
    def is_other(self) -> bool:
        """Whether it is another threshold than the experiment's."""
        return self.k != self.current

    @property
    def more(self) -> int:
        """How many more questions it keeps than the experiment's own."""
        return max(0, self.kept - self.kept_now)

    @property
    def fewer(self) -> int:
        """How many fewer."""
        return max(0, self.kept_now - self.kept)


def stages_of(batch: Batch) -> tuple[StageRun | None, StageRun | None]:
    """The steps that wrote and filtered these questions."""
    rows = batch.experiment.stages.filter(stage__in=["generate", "filter"])
    found = {row.stage: row for row in rows if batch.arm in row.arms}
    return found.get("generate"), found.get("filter")


def why_no_threshold(filtered: StageRun | None) -> str:
    """Why there is no threshold to try, where something else than keyword search decides; empty otherwise."""
    method = method_of(filtered.config) if filtered else "bm25"
    if method == "bm25":
        return ""
    kept = "a question was kept" if method == "round_trip" else "questions were kept"
    how = {
        "round_trip": "if search by meaning found its own document",
        "likelihood": "that the question writer itself found likeliest",
    }[method]
    return f"Here {kept} {how}. Keyword search decided nothing, so there is no threshold to try."


def why_not_changed(experiment: Experiment) -> str:
    """Why no experiment with another threshold can be made of one, as a sentence; empty when it can. One query.

    A threshold that somebody asks for holds for the filters of all arms, so it must be one that all of them have.
    """
    found = {
        threshold_in(config) for config in experiment.stages.filter(stage="filter").values_list("config", flat=True)
    }
    if found <= {None}:
        return (
            f"Keyword search filters no questions of experiment {experiment.number}, so it has no threshold to change."
        )
    if len(found) > 1:
        return (
            f"Not all ways of asking in experiment {experiment.number} are filtered by keyword search with the same "
            "threshold, and another one would hold for all of them. Start a new experiment with those ways of asking "
            "whose threshold you want to change."
        )
    return ""


def curve_of(experiment: Experiment, filtered: StageRun) -> list[int]:
    """How many questions each threshold from 1 on keeps; empty when the file is not there any more."""
    found = value_of(experiment.project, filtered, CURVE_FILE) or {}
    return [int(count) for count in found.get("kept_by_k", ())]


def what_if(experiment: Experiment, generated: StageRun, filtered: StageRun, k: int | None) -> WhatIf | None:
    """With the threshold `k`, or with the experiment's own; None while there is nothing to try. Five queries at most.

    A `k` out of range is the nearest one within it.
    """
    is_there = filtered.state == State.DONE and not why_no_threshold(filtered)
    kept_by_k = curve_of(experiment, filtered) if is_there else []
    if not kept_by_k:
        return None
    most = min(MAX_K, len(kept_by_k))
    current = int(filtered.config["top_k"])
    chosen = min(max(1, k if k is not None else current), most)
    kept, total = kept_by_k[chosen - 1], int(filtered.metrics.get("total", 0))
    written = total + sum(_dropped_at_once(generated).values())
    above, below = _neighbours(experiment, generated.folder, chosen)
    return WhatIf(
        k=chosen, current=current, most=most, kept=kept, kept_now=kept_by_k[min(current, len(kept_by_k)) - 1],
        filtered=total, written=written, reasons=_reasons(generated, filtered, kept, written), above=above,
        below=below, chart=_chart(filtered, kept_by_k[:most], chosen, total),
        sentence=_sentence(chosen, kept, total),
    )  # fmt: skip


def _sentence(k: int, kept: int, total: int) -> str:
    share = f" ({kept / total:.0%})" if total else ""
    return (
        f"With the threshold {k}, {kept:,} of the {total:,} {plural(total, 'question')} that clean-up left are kept"
        f"{share}: keyword search finds their own document {'first' if k == 1 else f'within the first {k}'}."
    )


def _reasons(generated: StageRun, filtered: StageRun, kept: int, written: int) -> list[Reason]:
    """Counts by reason with this threshold, the largest first."""
    counts = _dropped_at_once(generated)
    for name in ("empty", "copy", "duplicate"):
        counts[name] = counts.get(name, 0) + int(filtered.metrics.get(f"dropped_{name}", 0))
    counts["rank"] = max(0, written - sum(counts.values()) - kept)
    ordered = sorted(((name, count) for name, count in counts.items() if count), key=lambda one: -one[1])
    return [Reason(REASONS.get(name, name), count, 100 * count / written) for name, count in ordered]


def _dropped_at_once(generated: StageRun) -> dict[str, int]:
    """What clean-up dropped before the filter, by reason."""
    found = generated.metrics.get("dropped")
    return {name: int(count) for name, count in found.items()} if isinstance(found, dict) else {}


def _chart(filtered: StageRun, kept_by_k: Sequence[int], k: int, total: int) -> LineChart | None:
    if not total:
        return None
    points = [(float(at), 100 * kept / total) for at, kept in enumerate(kept_by_k, 1)]
    share = points[k - 1][1]
    return draw_lines(
        key=f"kept-{filtered.pk}",
        title="Share of questions kept by each threshold",
        description=f"With the threshold {k}, {share:.0f} % of the {total:,} questions that clean-up left are kept.",
        x_name="threshold k",
        y_name="Kept of what clean-up left, in percent",
        series=[Series("kept questions", points)],
        best=((float(k), share), f"k = {k}: {share:.0f} %"),
    )


def _neighbours(experiment: Experiment, batch: str, k: int) -> tuple[list[Neighbour], list[Neighbour]]:
    """The last questions that are kept, nearest to the line first, and the first that are not."""
    rows: QuerySet[WeakQuery] = WeakQuery.objects.filter(
        project_id=experiment.project_id, batch=batch, dropped__in=THRESHOLD
    ).only("text", "edited", "rank", "verdict", "doc_id")
    above = list(rows.filter(rank__lte=k).order_by("-rank", "-id")[:_SIDE])
    below = list(rows.filter(rank__gt=k).order_by("rank", "id")[:_SIDE])
    if len(below) < _SIDE:
        below += rows.filter(rank=None).order_by("id")[: _SIDE - len(below)]
    texts = _documents(experiment, {row.doc_id for row in [*above, *below]})
    return [_neighbour(row, texts) for row in above], [_neighbour(row, texts) for row in below]


def _documents(experiment: Experiment, doc_ids: set[str]) -> dict[str, tuple[str, str]]:
    rows = Document.objects.filter(corpus_id=experiment.corpus_id, doc_id__in=doc_ids)
    read = rows.annotate(short=Left("title", _TITLE), start=Left(F("text"), _READ))
    return {doc_id: (title, text) for doc_id, title, text in read.values_list("doc_id", "short", "start")}


def _neighbour(row: WeakQuery, texts: dict[str, tuple[str, str]]) -> Neighbour:
    title, text = texts.get(row.doc_id, ("", ""))
    return Neighbour(
        row.pk, row.text, row.rank, row.verdict, title or row.doc_id, mark(around(text, row.text, _EXCERPT), row.text)
    )
