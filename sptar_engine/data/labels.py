"""A person's labels, from whichever files the dataset folder has them in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.data.beir import QUERIES_FILE, SPLITS, qrels_path, read_queries
from sptar_engine.data.judgements import Judgement, read_judgements, unique_judgements
from sptar_engine.data.lines import quoted
from sptar_engine.data.pairs import PAIRS_FILES, LabelledPair, find_pairs, read_pairs
from sptar_engine.errors import InputError
from sptar_engine.records import Query

UNSPLIT = "unsplit"


@dataclass(frozen=True, slots=True)
class Labels:
    """Queries by id in file order, and judgements by split; all under UNSPLIT where the splits are left to us."""

    queries: Mapping[str, Query]
    judgements: Mapping[str, tuple[Judgement, ...]]

    @property
    def is_split(self) -> bool:
        """Whether the dataset itself says which query is for what."""
        return UNSPLIT not in self.judgements

    def __iter__(self) -> Iterator[Judgement]:
        return (judgement for judgements in self.judgements.values() for judgement in judgements)

    def without(self, doc_ids: Collection[str]) -> Labels:
        """The labels less the judgements of some documents."""
        kept = {
            split: tuple(judgement for judgement in judgements if judgement.doc_id not in doc_ids)
            for split, judgements in self.judgements.items()
        }
        return Labels(self.queries, kept)


def has_labels(folder: Path) -> bool:
    """Whether a dataset folder has a file with judgements. Queries alone are no labels."""
    judgements = (qrels_path(folder, split) for split in SPLITS)
    return find_pairs(folder) is not None or any(path.exists() for path in judgements)


def read_labels(folder: Path) -> Labels:
    """Read queries.jsonl with qrels/, or pairs.csv, pairs.tsv or pairs.jsonl.

    A single qrels file, and pairs without a split, are labels that we have to split. Raises InputError when a file
    is missing or bad, when both kinds are there, and for a judged query that is not in queries.jsonl.
    """
    pairs = find_pairs(folder)
    if pairs is None:
        return _read_qrels(folder)
    if (folder / QUERIES_FILE).exists() or (folder / "qrels").exists():
        raise InputError(f"{folder} has {pairs.name} and also {QUERIES_FILE} or qrels; keep one kind of labels")
    return _from_pairs(read_pairs(pairs))


def check_documents(labels: Iterable[Judgement], unknown: Collection[str]) -> None:
    """Raise InputError, naming the line, for the first judgement of a document that is not in the corpus."""
    for judgement in labels:
        if judgement.doc_id in unknown:
            raise judgement.error(f"the document {quoted(judgement.doc_id)} is not in corpus.jsonl")


def _read_qrels(folder: Path) -> Labels:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; a dataset is a folder with corpus.jsonl")
    found = [split for split in SPLITS if qrels_path(folder, split).exists()]
    if not found:
        wanted = f"{QUERIES_FILE} with qrels/{{{','.join(SPLITS)}}}.tsv, or one of {', '.join(PAIRS_FILES)}"
        raise InputError(f"{folder} has no labels; it needs {wanted}")
    queries = read_queries(folder)
    judgements = {split: tuple(read_judgements(qrels_path(folder, split))) for split in found}
    for judgement in (judgement for rows in judgements.values() for judgement in rows):
        if judgement.query_id not in queries:
            raise judgement.error(f"the query {quoted(judgement.query_id)} is not in {QUERIES_FILE}")
    return Labels(queries, judgements if len(found) > 1 else {UNSPLIT: judgements[found[0]]})


def _from_pairs(pairs: list[LabelledPair]) -> Labels:
    queries: dict[str, Query] = {}
    rows: dict[str, list[Judgement]] = {}
    for pair in pairs:
        queries.setdefault(pair.query.query_id, pair.query)
        rows.setdefault(pair.split or UNSPLIT, []).append(pair.judgement)
    return Labels(queries, {split: tuple(unique_judgements(rows[split])) for split in rows})
