"""What a retriever learns from: queries with a relevant document, and what must never count against a query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_jsonl
from sptar_engine.data.beir import find_documents, read_qrels
from sptar_engine.data.fingerprints import fingerprint
from sptar_engine.data.query_text import normalised
from sptar_engine.data.seeds import read_seeds
from sptar_engine.data.weak import RANKS_FILE, read_kept
from sptar_engine.errors import ArtifactError, InputError
from sptar_engine.records import Qrels, SeedPair, WeakPair
from sptar_engine.training.decisions import ACCEPT, EDIT, REJECT, Decision, read_decisions

SEED, WEAK, ACCEPTED, EDITED = "seed", "weak", "accepted", "edited"
WRITTEN = (WEAK, ACCEPTED, EDITED)
"""The kinds of pairs whose query a language model wrote; of the last two a person has seen it."""

Positives = Mapping[str, AbstractSet[int]]
"""By query key, the keys of all documents known to be relevant."""


def count_pairs(metrics: Mapping[str, Any], kinds: Iterable[str]) -> int:
    """Pairs of these kinds among those that a training learned from, by its numbers."""
    return sum(int(metrics.get(f"{kind}_pairs", 0)) for kind in kinds)


def query_key(text: str) -> str:
    """Two queries of the same key ask the same."""
    return normalised(text)


def document_key(content: str) -> int:
    """Two documents of the same key say the same, whatever their ids."""
    return fingerprint(" ".join(content.casefold().split()))


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query and a document to bring together. `kind` is seed, weak, accepted or edited.

    `pair_id` is for people: the weak id, or the ids of query and document.
    """

    pair_id: str
    kind: str
    query: str
    doc_id: str
    query_key: str
    document_key: int


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """All pairs, each (query, document) once.

    `documents` are texts by document key. `positives` holds for every query of a pair all of its relevant documents,
    the pairs' own included. `rejected` holds by query key the ids of documents that a person found not to answer it:
    the first choice for hard negatives. `negatives` are these by query key, as document keys, best choice first.
    `counts` is what came in.
    """

    pairs: tuple[TrainingPair, ...]
    documents: Mapping[int, str]
    positives: Positives
    rejected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    negatives: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def queries(self) -> dict[str, str]:
        """The texts of the queries by key, in the order of their first pairs, as these have them."""
        texts: dict[str, str] = {}
        for pair in self.pairs:
            texts.setdefault(pair.query_key, pair.query)
        return texts


@dataclass(frozen=True, slots=True)
class Review:
    """Weak pairs after a person looked at some: those to use with their kind, those rejected, and ids not found."""

    used: tuple[tuple[WeakPair, str], ...]
    rejected: tuple[WeakPair, ...] = ()
    unknown: int = 0


def read_training_set(prepare: Path, filtered: Path | None, decisions: Path | None, weak_limit: int) -> TrainingSet:
    """Read seeds, kept weak pairs and verdicts from stage folders. See `review` and `build_training_set`.

    Raises InputError for a bad decisions file and when there is no pair at all.
    """
    verdicts = read_decisions(decisions) if decisions else {}
    kept = read_kept(filtered) if filtered else []
    decided = [pair for pair in _read_ranked(filtered) if pair.weak_id in verdicts] if filtered and verdicts else []
    reviewed = review(kept, decided, verdicts, weak_limit)
    seeds, judged = read_seeds(prepare, "train"), read_qrels(prepare, "train")
    if not seeds and not reviewed.used:
        raise InputError(f"{prepare} has no relevant training pair and no weak pair was kept; training needs some.")
    return build_training_set(seeds, judged, reviewed, _contents(prepare, judged, reviewed))


def check_negatives(training_set: TrainingSet) -> None:
    """Raise InputError when every document answers every query: a training then has nothing to push away."""
    documents = training_set.documents.keys()
    if all(documents <= training_set.positives[key] for key in training_set.queries):
        raise InputError(
            f"Each of the {len(documents)} training documents answers each of the {len(training_set.queries)} training "
            "questions, so there is nothing to tell an answer from; label other questions and documents."
        )


def review(
    kept: Sequence[WeakPair], decided: Sequence[WeakPair], decisions: Mapping[str, Decision], limit: int = 0
) -> Review:
    """Apply verdicts to the pairs that the filter kept.

    `decided` are the pairs that verdicts name, kept or not: what a person accepted or edited is used although the
    filter dropped it. With a `limit` above 0 these come first, then the others in their random order.
    """
    used = [_apply(pair, decisions[pair.weak_id]) for pair in decided if _is_wanted(decisions[pair.weak_id])]
    wanted = {pair.weak_id for pair, _ in used}
    rejected = [pair for pair in decided if decisions[pair.weak_id].verdict == REJECT]
    out = wanted | {pair.weak_id for pair in rejected}
    others = [(pair, WEAK) for pair in kept if pair.weak_id not in out]
    unknown = len(decisions.keys() - {pair.weak_id for pair in decided})
    return Review((*used, *others)[: limit or None], tuple(rejected), unknown)


def build_training_set(
    seeds: Mapping[str, Sequence[SeedPair]], judged: Qrels, reviewed: Review, contents: Mapping[str, str]
) -> TrainingSet:
    """Join one pair per seed and the weak pairs. `contents` are the texts of documents by id.

    A document judged above grade 0 never counts against its query, even when its grade is too low for a seed.
    """
    rows = [_seed_row(pair) for pairs in seeds.values() for pair in pairs]
    rows += [(pair.weak_id, kind, pair.query, pair.doc_id) for pair, kind in reviewed.used]
    pairs = _distinct(rows, contents)
    texts = {query_id: seeds[query_id][0].query.text for query_id in seeds}
    known = [(texts[query], doc_id) for query in texts for doc_id in judged.relevant(query) if doc_id in contents]
    kinds = Counter(pair.kind for pair in pairs)
    counts = {f"{kind}_pairs": kinds[kind] for kind in (SEED, WEAK, ACCEPTED, EDITED)} | {
        "rejected_pairs": len(reviewed.rejected),
        "duplicate_pairs": len(rows) - len(pairs),
        "unknown_decisions": reviewed.unknown,
    }
    documents = {pair.document_key: contents[pair.doc_id] for pair in pairs}
    rejected = _by_query(reviewed.rejected)
    return TrainingSet(pairs, documents, _positives(pairs, known, contents), rejected, counts=counts)


def _is_wanted(decision: Decision) -> bool:
    return decision.verdict in (ACCEPT, EDIT)


def _apply(pair: WeakPair, decision: Decision) -> tuple[WeakPair, str]:
    return (replace(pair, query=decision.text), EDITED) if decision.verdict == EDIT else (pair, ACCEPTED)


def _read_ranked(filtered: Path) -> Iterable[WeakPair]:
    rows = read_jsonl(filtered / RANKS_FILE)
    return (WeakPair(row["weak_id"], row["query"], row["doc_id"], row["prompt_id"], row["rank"]) for row in rows)


def _contents(prepare: Path, judged: Qrels, reviewed: Review) -> dict[str, str]:
    """Texts of the documents that take part. A judged one may be missing: empty documents are not in the corpus."""
    doc_ids = {doc_id for grades in judged.grades.values() for doc_id in grades}
    needed = {pair.doc_id for pair, _ in reviewed.used}
    contents = {doc_id: document.content for doc_id, document in find_documents(prepare, doc_ids | needed).items()}
    if missing := needed - contents.keys():
        raise ArtifactError(f"{prepare / 'corpus.jsonl'} lacks the document {min(missing)!r}")
    return contents


def _seed_row(pair: SeedPair) -> tuple[str, str, str, str]:
    return f"{pair.query.query_id} {pair.document.doc_id}", SEED, pair.query.text, pair.document.doc_id


def _distinct(rows: Iterable[tuple[str, str, str, str]], contents: Mapping[str, str]) -> tuple[TrainingPair, ...]:
    """The first pair of each (query, document text)."""
    pairs: dict[tuple[str, int], TrainingPair] = {}
    for pair_id, kind, query, doc_id in rows:
        keys = query_key(query), document_key(contents[doc_id])
        pairs.setdefault(keys, TrainingPair(pair_id, kind, query, doc_id, *keys))
    return tuple(pairs.values())


def _positives(
    pairs: Iterable[TrainingPair], known: Iterable[tuple[str, str]], contents: Mapping[str, str]
) -> dict[str, set[int]]:
    positives: dict[str, set[int]] = {}
    for pair in pairs:
        positives.setdefault(pair.query_key, set()).add(pair.document_key)
    for text, doc_id in known:
        positives.setdefault(query_key(text), set()).add(document_key(contents[doc_id]))
    return positives


def _by_query(rejected: Iterable[WeakPair]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for pair in rejected:
        key = query_key(pair.query)
        found[key] = (*found.get(key, ()), pair.doc_id)
    return found
