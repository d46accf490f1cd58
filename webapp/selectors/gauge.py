"""How many examples there are, for what, and how different they are: the gauge beside the labelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.core.cache import cache
from django.db.models import Count, Q

from sptar_engine.data.splits import MIN_TRAIN
from webapp.chunks import chunks
from webapp.models import Document, Judgement, Project, Query, Split
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors.advice import LONGEST, copies, count_words, similar_pairs
from webapp.selectors.judgements import MIN_GRADE
from webapp.selectors.thresholds import (
    ENOUGH_TRAIN,
    FEW_HELDOUT,
    FEW_TEST,
    FEW_TRAIN,
    MIN_EXAMPLES,
    SMALLEST_DIFFERENCE,
)

SUGGESTED = 50
"""Examples that a first experiment should have (DESIGN section 3: 20 training, 10 held-out, 20 test)."""
ONE_TOPIC = 0.5
"""Share of the examples in one topic from which they are one-sided."""
LOOKED_AT = 2000
"""Newest examples whose texts are looked at."""

_KEPT = 3600  # seconds in the cache; the key changes with every change of examples or documents
_FEW_FOR_SHARES = 8  # examples below which a share says nothing


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence, and how bad it is: `bad` or `warn`."""

    level: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Examples by split, those without one, questions that are not finished, and all with a relevant document."""

    train: int = 0
    dev: int = 0
    test: int = 0
    unsplit: int = 0
    open: int = 0
    disputed: int = 0

    @property
    def total(self) -> int:
        """All examples."""
        return self.train + self.dev + self.test + self.unsplit


@dataclass(frozen=True, slots=True)
class Topics:
    """How many of the documents' topics have an example; `missing` names some without. `problem` says why not known."""

    covered: int = 0
    total: int = 0
    missing: Sequence[str] = ()
    largest: str = ""
    largest_share: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What the gauge shows."""

    counts: Counts
    topics: Topics
    warnings: list[Remark] = field(default_factory=list)

    suggested = SUGGESTED

    @property
    def share(self) -> int:
        """How full the bar is, in percent."""
        return min(100, round(100 * self.counts.total / SUGGESTED))


def gauge_of(project: Project) -> Gauge:
    """The gauge. Computed once for each state of examples and documents, unless the topics were not to be had.

    Open and disputed questions are counted each time: no experiment reads these, so they have no number of their own.
    """
    key = f"gauge:{project.pk}:{project.labels_version}:{project.corpus_id}"
    found = cache.get(key)
    if isinstance(found, Gauge):
        return replace(found, counts=counts_of(project))
    found = _compute(project)
    if not found.topics.problem:
        cache.set(key, found, _KEPT)
    return found


def counts_of(project: Project) -> Counts:
    """The numbers alone, from one statement."""
    example = Q(relevant__gte=1) & ~Q(status=Query.Status.SKIPPED)
    row = Query.objects.filter(project=project).aggregate(
        **{split: Count("pk", filter=example & Q(split=split)) for split in Split.values},
        unsplit=Count("pk", filter=example & Q(split="")),
        open=Count("pk", filter=Q(status=Query.Status.OPEN)),
        disputed=Count("pk", filter=Q(disputed=True)),
    )
    return Counts(**row)


def warnings_about(counts: Counts) -> list[Remark]:
    """What is missing or thin, worst first (PAGES, warnings about seeds)."""
    if not counts.total:
        return []
    if not (counts.train or counts.dev or counts.test):
        missing = MIN_EXAMPLES - counts.total
        return [
            Remark(
                "bad",
                f"{_times(missing, 'more example')} and the app can split them into training, held-out and test: "
                f"{MIN_TRAIN} for training are the least.",
            )
        ]
    return [*_about_train(counts.train), *_about_dev(counts.dev), *_about_test(counts.test)]


def _about_train(train: int) -> list[Remark]:
    if train < MIN_TRAIN:
        sentence = (
            f"{_times(train, 'training example is', 'training examples are')} too few to learn from: an experiment "
            f"needs {MIN_TRAIN}."
        )
        return [Remark("bad", sentence)]
    if train < FEW_TRAIN:
        sentence = (
            f"{train} training examples: results will vary a lot; repeat each training 3 times, or write {FEW_TRAIN} "
            "examples and more."
        )
        return [Remark("bad", sentence)]
    if train < ENOUGH_TRAIN:
        return [Remark("warn", f"{train} training examples will do; {ENOUGH_TRAIN} make results steadier.")]
    return []


def _about_dev(dev: int) -> list[Remark]:
    if dev >= FEW_HELDOUT:
        return []
    examples = _times(dev, "held-out example is", "held-out examples are")
    return [Remark("warn", f"{examples} too few to choose the best step well; {FEW_HELDOUT} are better.")]


def _about_test(test: int) -> list[Remark]:
    if test >= FEW_TEST:
        return []
    sentence = (
        f"{_times(test, 'test example')}: with {FEW_TEST} test questions only differences above about "
        f"{SMALLEST_DIFFERENCE} can be seen, with fewer still less. The verdict will often be “cannot tell”."
    )
    return [Remark("warn", sentence)]


def _compute(project: Project) -> Gauge:
    counts = counts_of(project)
    rows = list(
        Query.objects.filter(project=project, relevant__gte=1)
        .exclude(status=Query.Status.SKIPPED)
        .order_by("-pk")
        .values_list("pk", "text", "split")[:LOOKED_AT]
    )
    answers = _answers([pk for pk, _, _ in rows])
    topics = _topics(project, answers)
    texts = {pk: text for pk, text, _ in rows}
    warnings = [
        *warnings_about(counts), *_about_topics(topics, len(answers)),
        *_about_texts(texts, {pk: split for pk, _, split in rows}), *_about_titles(project, texts, answers),
    ]  # fmt: skip
    return Gauge(counts, topics, warnings)


def _answers(queries: Sequence[int]) -> dict[int, str]:
    """A relevant document of each question: the first that was judged so."""
    found: dict[int, str] = {}
    for some in chunks(queries):
        rows = Judgement.objects.filter(query_id__in=some, grade__gte=MIN_GRADE).order_by("-pk")
        found.update(rows.values_list("query_id", "doc_id"))
    return found


def _topics(project: Project, answers: Mapping[int, str]) -> Topics:
    if project.corpus is None:
        return Topics()
    try:
        topics = {topic.id: topic.label for topic in client.topics(project.corpus)}
        of = client.topics_of(project.corpus, sorted(set(answers.values()))) if answers else {}
    except SearchUnavailable as error:
        return Topics(problem=str(error))
    seen = Counter(of[doc_id] for doc_id in answers.values() if doc_id in of)
    largest, most = seen.most_common(1)[0] if seen else (None, 0)
    return Topics(
        covered=len(seen.keys() & topics.keys()),
        total=len(topics),
        missing=[label for topic, label in topics.items() if topic not in seen][:8],
        largest=topics.get(largest, "") if largest is not None else "",
        largest_share=most / seen.total() if seen else 0.0,
    )


def _about_topics(topics: Topics, answered: int) -> list[Remark]:
    if answered < _FEW_FOR_SHARES or topics.largest_share <= ONE_TOPIC or topics.total < 2:
        return []
    sentence = f"{topics.largest_share:.0%} of the examples are about one topic, “{topics.largest}”. Ask about others."
    return [Remark("warn", sentence)]


def _about_texts(texts: Mapping[int, str], splits: Mapping[int, str]) -> list[Remark]:
    found = []
    pairs = list(similar_pairs(texts))
    if pairs:
        one, other = pairs[0]
        found.append(
            f"{_times(len(pairs), 'pair')} of examples nearly the same, such as “{texts[one][:60]}” and "
            f"“{texts[other][:60]}”."
        )
    leaks = [(one, other) for one, other in pairs if splits[one] and splits[other] and splits[one] != splits[other]]
    if leaks:
        found.append(
            f"{_times(len(leaks), 'of these pairs stands', 'of these pairs stand')} in different splits: the test "
            "then asks what was learnt by heart. Put both into one split, or delete one."
        )
    if long := sum(count_words(text) > LONGEST for text in texts.values()):
        found.append(f"{_times(long, 'question')} longer than {LONGEST} words; people type less.")
    return [Remark("warn", sentence) for sentence in found]


def _about_titles(project: Project, texts: Mapping[int, str], answers: Mapping[int, str]) -> list[Remark]:
    titles: dict[str, str] = {}
    for some in chunks(set(answers.values())):
        rows = Document.objects.filter(corpus=project.corpus_id, doc_id__in=some)
        titles.update(rows.values_list("doc_id", "title"))
    copied = [pk for pk, doc_id in answers.items() if pk in texts and copies(texts[pk], titles.get(doc_id, ""))]
    if not copied:
        return []
    sentence = (
        f"{_times(len(copied), 'question')} repeating most of a title, such as “{texts[copied[0]][:60]}”. Word search "
        "finds these without any training."
    )
    return [Remark("warn", sentence)]


def _times(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
