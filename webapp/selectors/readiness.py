"""Whether a project can carry an experiment, and what to know before: counts, what blocks, what warns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q, Sum
from django.urls import reverse

from sptar_engine.data.splits import split_sizes
from webapp.models import Project, Query, Split
from webapp.places import corpus_folder
from webapp.selectors.steps import missing_examples
from webapp.selectors.thresholds import (
    ENOUGH_TRAIN,
    FEW_HELDOUT,
    FEW_TEST,
    FEW_TRAIN,
    MIN_EXAMPLES,
    SMALLEST_DIFFERENCE,
)
from webapp.selectors.words import plural


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know before the start. `level` is bad (blocks), warn or good; `url` is where it is put right."""

    level: str
    text: str
    url: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The data of an experiment that would start now.

    `counts` is as Experiment.counts, but for `pool`: which documents stay without a training label is known once the
    examples are split, which the start does.
    """

    counts: Mapping[str, int]
    remarks: list[Remark]
    corpus_bytes: int

    @property
    def is_blocked(self) -> bool:
        """Whether an experiment cannot start."""
        return any(remark.level == "bad" for remark in self.remarks)


def readiness_of(project: Project) -> Readiness:
    """One query; the counts are those that starting now would give."""
    corpus = project.corpus
    found = _labels(project)
    counts = {"documents": corpus.documents if corpus else 0, **_as_split(found), "train_pairs": found["pairs"] or 0}
    remarks = _documents(project) + _examples(project, found, counts)
    return Readiness(counts, remarks, _size(project))


def _labels(project: Project) -> dict[str, int]:
    rows = Query.objects.filter(project=project, relevant__gte=1).exclude(status=Query.Status.SKIPPED)
    return rows.aggregate(
        **{split: Count("pk", filter=Q(split=split)) for split in Split.values},
        unsplit=Count("pk", filter=Q(split="")),
        pairs=Sum("relevant", filter=Q(split__in=["", Split.TRAIN])),
    )


def _as_split(found: Mapping[str, int]) -> dict[str, int]:
    """Examples of each split; when none has one yet, as the app will split them at the start."""
    given = {split: found[split] for split in Split.values}
    if not any(given.values()) and found["unsplit"] >= MIN_EXAMPLES:
        return split_sizes(found["unsplit"])
    return given


def _documents(project: Project) -> list[Remark]:
    url = reverse("documents", args=[project.slug])
    if project.corpus is None:
        return [Remark("bad", "There are no documents yet.", url, "Upload documents")]
    if not project.corpus.ready:
        return [Remark("bad", "The documents are still being imported.", url, "See the progress")]
    return []


def _examples(project: Project, found: Mapping[str, int], counts: Mapping[str, int]) -> list[Remark]:
    url = reverse("examples", args=[project.slug])
    missing = missing_examples({split: found[split] for split in Split.values}, found["unsplit"])
    if missing:
        return [Remark("bad", missing, url, "Add examples")]
    remarks = []
    train, dev, test = (counts[split] for split in Split.values)
    if train < FEW_TRAIN:
        text = f"{train} training {plural(train, 'example')}: results will vary a lot. Repeat each training 3 times."
        remarks.append(Remark("warn", text, url, f"Add {FEW_TRAIN - train} more"))
    elif train < ENOUGH_TRAIN:
        text = f"{train} training examples are fine; {ENOUGH_TRAIN} make results steadier."
        remarks.append(Remark("note", text))
    if dev < FEW_HELDOUT:
        text = f"{dev} held-out {plural(dev, 'example')}: too few to choose the best step well."
        remarks.append(Remark("warn", text, url, f"Add {FEW_HELDOUT - dev} more"))
    if test < FEW_TEST:
        text = (
            f"{test} test {plural(test, 'example')}: the comparison will often say “cannot tell”. With {FEW_TEST} only "
            f"differences above about {SMALLEST_DIFFERENCE} can be seen."
        )
        remarks.append(Remark("warn", text, url, f"Add {FEW_TEST - test} more"))
    return remarks


def _size(project: Project) -> int:
    if project.corpus is None:
        return 0
    path = corpus_folder(project.corpus) / "corpus.jsonl"
    return path.stat().st_size if path.exists() else 0
