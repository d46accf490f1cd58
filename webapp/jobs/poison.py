"""Documents that crash the process whenever it comes to them: found, named, and left out (T21).

A crash says nothing about its cause, and a batch holds many documents. So after two crashes at the same place the
documents of the first unfinished shard are done one at a time, as a generate stage of their own with shards of one
document. If that crashes too, the first document without a shard is the one. A document that is alone in its shard is
the one at once when other shards are finished; before that it is done together with another. The culprit stands in the
row (`aside`), and the stage goes on with a pool that lacks it: another input, and therefore a result with a name of its
own, while the shards that are finished are taken along. Nothing of this touches a run that does not crash.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sptar_engine.artifacts import read_jsonl, sha256_json, write_jsonl
from sptar_engine.configs import StageConfig, build_config
from sptar_engine.data.seeds import POOL_FILE
from sptar_engine.errors import StageError
from sptar_engine.pipeline import RESULT, Store, input_digest, run_stage
from sptar_engine.prompting.shards import split_shards
from sptar_engine.stage import SCRATCH, Progress
from webapp.jobs.attempt import Attempt
from webapp.jobs.result_names import has_attempts, result_folder, shards_of
from webapp.models import StageRun, WeakQuery
from webapp.services import events

_SUSPICIOUS = 2  # crashes at the same place
_MOST = 20  # documents set aside; more than these, and it is not the documents

Inputs = dict[str, Path]


class Quarantine:
    """Keeps documents that crash a generate stage out of it."""

    def __init__(self, attempt: Attempt, config: StageConfig, inputs: Inputs, store: Store, device: str) -> None:
        self._attempt, self._config, self._store, self._device = attempt, config, store, device
        self._row: StageRun = attempt.row
        self._given = inputs

    def inputs(self) -> Inputs:
        """The inputs to generate from: those given, until a document has proved to crash the stage."""
        if self._row.crashes >= _SUSPICIOUS:
            inputs = self._without(self._row.aside)
            suspects = self._suspects(inputs)
            found = self._culprit(suspects)
            if found is not None:
                before = result_folder(self._config, inputs, self._store)
                self._set_aside(found, before)
                probes = [result_folder(*self._probing(order), self._store) for order in _orders(suspects)]
                for folder in (before, *probes):
                    _forget(folder)
            elif suspects:
                self._probe(suspects)
        return self._without(self._row.aside)

    def _suspects(self, inputs: Inputs) -> list[str]:
        """The documents of the first shard that was not finished.

        One that is alone in it is suspected alone when other shards are finished, since the model works then. With
        none finished another document comes along to tell; without another one nothing can be told.
        """
        size = int(self._config.as_dict()["shard_documents"])
        written = {_number(path) for path in shards_of(result_folder(self._config, inputs, self._store))}
        pool = self._pool(inputs)
        found = next((list(shard.doc_ids) for shard in split_shards(pool, size) if shard.number not in written), [])
        if len(found) > 1 or written:
            return found
        return pool[:2] if len(pool) > 1 else []

    def _culprit(self, suspects: list[str]) -> str | None:
        """The document at which an earlier probe crashed, or the only one there is to suspect."""
        if len(suspects) == 1:
            return suspects[0]
        for order in _orders(suspects):
            probe = result_folder(*self._probing(order), self._store)
            done = len(shards_of(probe))
            # Nothing written at all: it may be the first document as well as the model. The other order tells.
            if has_attempts(probe) and 0 < done < len(order):
                return order[done]
        return None

    def _probe(self, suspects: list[str]) -> None:
        """Do the suspects one at a time. When this crashes, the next attempt finds the culprit."""
        for order in _orders(suspects):
            config, inputs = self._probing(order)
            folder = result_folder(config, inputs, self._store)
            if (folder / RESULT).is_file():
                return
            if not has_attempts(folder):
                with self._attempt.transaction():
                    StageRun.objects.filter(pk=self._row.pk).update(crashes=_SUSPICIOUS - 1)
                self._do_singly(config, inputs, folder)
                return

    def _do_singly(self, config: StageConfig, inputs: Inputs, folder: Path) -> None:
        try:
            run_stage(
                config, inputs, self._store, device=self._device, report=self._report,
                should_stop=self._attempt.should_stop,
            )  # fmt: skip
        finally:
            # Whatever came here did not crash: what a probe that was called off leaves would accuse the wrong one.
            _forget(folder)

    def _probing(self, order: Sequence[str]) -> tuple[StageConfig, Inputs]:
        """Settings and inputs of a probe: these documents alone, in this order, each a shard."""
        settings = {**self._config.as_dict(), "shard_documents": 1, "documents": max(1, len(order))}
        return build_config("generate", settings), self._with_pool(order)

    def _set_aside(self, doc_id: str, before: Path) -> None:
        row = self._row
        if len(row.aside) >= _MOST:
            raise StageError(
                f"{_MOST} documents one after the other crashed the language model, so it is not the documents. "
                "Try a smaller model or smaller batches."
            )
        row.aside, row.crashes = [*row.aside, doc_id], 0
        after = result_folder(self._config, self._without(row.aside), self._store)
        _take_along(before, after)
        with self._attempt.transaction():
            StageRun.objects.filter(pk=row.pk).update(aside=row.aside, crashes=0)
            _rename_batch(row, before.name, after.name)
            project, number = row.experiment.project, row.experiment.number
            events.record("document.set_aside", project=project, actor=None, experiment=number, doc_id=doc_id)

    def _without(self, aside: Sequence[str]) -> Inputs:
        """The inputs with a pool that lacks some documents."""
        if not aside:
            return self._given
        left_out = set(aside)
        return self._with_pool([doc_id for doc_id in _read_pool(self._given["prepare"]) if doc_id not in left_out])

    def _pool(self, inputs: Inputs) -> list[str]:
        return _read_pool(inputs["prepare"])[: int(self._config.as_dict()["documents"])]

    def _with_pool(self, doc_ids: Sequence[str]) -> Inputs:
        """The inputs with another pool: a copy of prepare's folder, by hard links, that is no finished stage."""
        prepare = self._given["prepare"]
        name = sha256_json([input_digest("prepare", prepare), list(doc_ids)])[:16]
        folder = self._store.cache / "pools" / name
        if not folder.exists():
            partial = folder.with_name(f"{name}.{os.getpid()}")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(prepare, partial, copy_function=_link, ignore=shutil.ignore_patterns(RESULT, POOL_FILE))
            write_jsonl(partial / POOL_FILE, ({"doc_id": doc_id} for doc_id in doc_ids))
            os.rename(partial, folder)
        return {**self._given, "prepare": folder}

    def _report(self, progress: Progress) -> None:
        row = self._row
        message = f"looking for a document that crashes the model: {progress.done} of {progress.total}"
        self._attempt.tick(row.done, row.total, message)


def explain(aside: Sequence[str]) -> str:
    """A sentence that names the documents left out; empty when there are none."""
    if not aside:
        return ""
    named = ", ".join(repr(doc_id) for doc_id in aside)
    what = "a document was" if len(aside) == 1 else f"{len(aside)} documents were"
    return f" {what[0].upper()}{what[1:]} set aside, since the model crashed on it each time: {named}."


def _orders(suspects: list[str]) -> list[list[str]]:
    return [suspects, suspects[::-1]] if len(suspects) > 1 else []


def _number(shard: Path) -> int:
    return int(shard.name.split("-")[1])


def _read_pool(prepare: Path) -> list[str]:
    return [row["doc_id"] for row in read_jsonl(prepare / POOL_FILE)]


def _forget(folder: Path) -> None:
    for left in folder.parent.glob(f"{folder.name}.attempt-*"):
        shutil.rmtree(left, ignore_errors=True)


def _take_along(before: Path, after: Path) -> None:
    """Hand the finished shards to the result's new name, as if an earlier attempt at it had written them."""
    scratch = after.with_name(f"{after.name}.attempt-1") / SCRATCH
    if has_attempts(after) or after.exists():
        return
    scratch.mkdir(parents=True)
    for shard in shards_of(before):
        _link(str(shard), str(scratch / shard.name))


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
    return target


def _rename_batch(row: StageRun, before: str, after: str) -> None:
    """Let the rows of the shards taken along belong to the new result."""
    rows = WeakQuery.objects.filter(project=row.experiment.project)
    if rows.filter(batch=after).exists():
        rows.filter(batch=before, verdict="").delete()
    else:
        rows.filter(batch=before).update(batch=after)
