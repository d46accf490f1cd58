"""What goes into an archive: for each kind its files, by their names inside.

Long tables are written into the attempt's folder first, so that no memory grows with them; weights are packed from
where they lie. Nothing here is named by a person's text, and only listed formats of weights go in.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from sptar_engine.artifacts import read_json
from sptar_engine.data.beir import CORPUS_FILE, qrels_path
from sptar_engine.errors import StageError
from sptar_engine.packaging.archive import SUMS, Content, digests, model_files, sums
from sptar_engine.retrieval.fusion import FUSION_FILE
from webapp.archive_kinds import family_in
from webapp.downloads import exact_cell
from webapp.errands import archive_words
from webapp.errands.archive_vectors import write_vectors
from webapp.places import corpus_folder, qrels_folder
from webapp.selectors import measured, model_cards
from webapp.selectors.archive_sources import Sources, packed_arm
from webapp.selectors.question_rows import COLUMNS, Row, question_rows
from webapp.selectors.report import report_html

_EVERY = 1000  # rows between two reports
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_PROMPT = "prompt.json"
# Of the packed model, beside its weights and its card; the last two where there is a hybrid of it.
_PACKED = ("requirements.txt", "load_example.py", "load_example_hybrid.py", FUSION_FILE)

Files = dict[str, Content]
Tick = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to make, of what, and where there is room for files on the way. `tick` reports and may raise to stop."""

    sources: Sources
    kind: str
    options: Mapping[str, Any]
    folder: Path
    tick: Tick


def files_of(order: Order) -> Files:
    """The files of an archive by name. Raises StageError for files that may not go in or are no longer there."""
    if missing := order.sources.missing(order.kind):
        raise StageError(f"{missing} Its files may have been removed; run the experiment exactly again.")
    return _BUILDERS[order.kind](order)


def _retriever(order: Order) -> Files:
    """The packed model with another card. Its weights are those that passed the load check, or none."""
    packed = order.sources.package(family_in(order.options))
    if packed is None:
        raise StageError("This experiment has packed no such search model, or its file is damaged.")
    if packed.model is None:
        raise StageError("The trained model's folder is gone; run the experiment exactly again.")
    files = model_files(packed.model)
    checked = {name: digest for name, digest in packed.listing["files"].items() if name not in ("README.md", SUMS)}
    beside = [name for name in _PACKED if name in checked and name not in files]
    files |= {name: archive_words.from_zip(packed.archive, name) for name in beside}
    order.tick(0, len(files), "Comparing with the files that were checked")
    if digests(files) != checked:
        raise StageError("The trained model is not the one that was checked; run the experiment exactly again.")
    files["README.md"] = model_cards.card_of(order.sources.experiment, packed.card, order.options).encode()
    files[SUMS] = sums(digests(files))
    return files


def _soft_prompt(order: Order) -> Files:
    adapter = order.sources.adapter
    assert adapter is not None
    files: Files = {name: _plain(adapter / name) for name in _ADAPTER}
    for stage in order.sources.stages if order.options.get("demonstrations") else ():
        if stage.stage == "select" and stage.inputs.get("tune"):
            files[_PROMPT] = _plain(adapter.parents[1] / stage.folder / _PROMPT)
    tuned = read_json(adapter.parent / "result.json")
    files["README.md"] = archive_words.soft_prompt_card(tuned, has_examples=_PROMPT in files).encode()
    files[SUMS] = sums(digests(files))
    return files


def _questions(order: Order) -> Files:
    chosen = order.options.get("format", "csv")
    if chosen == "beir":
        return _beir(order)
    name = f"questions.{chosen}"
    write = _write_csv if chosen == "csv" else _write_jsonl
    return {name: write(order, order.folder / name)}


def _write_csv(order: Order, path: Path) -> Path:
    """For spreadsheets: a byte order mark, and cells that none of them runs (webapp.downloads.exact_cell)."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in _rows(order):
            writer.writerow([exact_cell(_text(value)) for value in row.values()])
    return path


def _write_jsonl(order: Order, path: Path) -> Path:
    with _writing(path) as stream:
        for row in _rows(order):
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def _beir(order: Order) -> Files:
    """A dataset that training tools read: the kept questions of the arm that the packed model learned from."""
    arm, folder = packed_arm(order.sources), order.folder
    queries, judged = folder / "queries.jsonl", folder / "train.tsv"
    with _writing(queries) as texts, _writing(judged) as pairs:
        pairs.write("query-id\tcorpus-id\tscore\n")
        for row in (one for one in _rows(order, arm) if one["kept"]):
            about = {name: row[name] for name in ("verdict", "rank", "generated", "batch")}
            query = {"_id": row["weak_id"], "text": row["question"], "metadata": about}
            texts.write(json.dumps(query, ensure_ascii=False) + "\n")
            pairs.write(f"{row['weak_id']}\t{row['doc_id']}\t1\n")
    corpus = corpus_folder(order.sources.experiment.corpus) / CORPUS_FILE
    return {
        "corpus.jsonl": _plain(corpus), "queries.jsonl": queries, "qrels/train.tsv": judged,
        "README.md": archive_words.BEIR.encode(),
    }  # fmt: skip


def _runs(order: Order) -> Files:
    files: Files = {}
    for stage, folder in order.sources.measured:
        name = stage.step_id.partition(".")[2].replace("/", "-").replace(":", "-")
        files[f"{name}.trec"] = _plain(folder / "run.trec")
        files[f"{name}.metrics.json"] = _plain(folder / "metrics.json")
    if order.sources.prepared:
        files["qrels/test.tsv"] = _plain(order.sources.prepared / "qrels" / "test.tsv")
    later = measured.newest(order.sources.experiment)
    if later.number:
        experiment, number = order.sources.experiment, later.number
        folder = qrels_folder(experiment.project, later.qrels)
        files[f"qrels/test-{number}.tsv"] = _plain(qrels_path(folder, "test"))
        files[f"metrics-{number}.json"] = _plain(measured.scores_file(experiment, later.qrels))
    files["README.md"] = archive_words.runs_card(later.number).encode()
    files[SUMS] = sums(digests(files))
    return files


def _report(order: Order) -> Files:
    return {"report.html": report_html(order.sources.experiment).encode()}


def _embeddings(order: Order) -> Files:
    path = order.folder / "embeddings.npz"
    write_vectors(order.sources, order.folder, path, order.tick)
    return {path.name: path}


def _everything(order: Order) -> Files:
    files: Files = {}
    for kind, is_wanted in order.options.items():
        if not is_wanted or order.sources.missing(kind):
            continue
        for part in _orders(order, kind):
            single = len(found := files_of(part)) == 1
            prefix = "" if single else f"{_place(part)}/"
            files |= {prefix + name: content for name, content in found.items()}
    files["README.md"] = archive_words.everything_card(files).encode()
    files[SUMS] = sums(digests(files))
    return files


def _orders(order: Order, kind: str) -> Iterator[Order]:
    """The parts of everything: a search model of each kind, questions in both exact and readable form."""
    for options in order.sources.standard(kind):
        for chosen in ("csv", "jsonl") if kind == "questions" else ("",):
            given = {**options, "format": chosen} if chosen else options
            yield Order(order.sources, kind, given, order.folder, order.tick)


def _place(part: Order) -> str:
    """The folder of a part of everything."""
    is_model = part.kind == "retriever"
    return archive_words.model_place(family_in(part.options)) if is_model else part.kind.replace("_", "-")


def _rows(order: Order, only: str = "") -> Iterator[Row]:
    """The questions of each arm, or of one: arms that share the questions may each have a filter of their own."""
    done = 0
    for stage in order.sources.written:
        stage.experiment = order.sources.experiment
        for row in chain.from_iterable(question_rows(stage, arm) for arm in stage.arms if only in ("", arm)):
            if done % _EVERY == 0:
                order.tick(done, 0, f"{done:,} questions written")
            done += 1
            yield row


def _writing(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


def _plain(path: Path) -> Path:
    """A file that may go in as it is. Raises StageError for a link and for one that is gone."""
    if path.is_symlink() or not path.is_file():
        raise StageError(f"The file {path.name} of a finished step is gone; run the experiment exactly again.")
    return path


def _text(value: str | int | float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


_BUILDERS: dict[str, Callable[[Order], Files]] = {
    "retriever": _retriever, "soft_prompt": _soft_prompt, "questions": _questions, "runs": _runs, "report": _report,
    "embeddings": _embeddings, "everything": _everything,
}  # fmt: skip
