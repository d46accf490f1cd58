"""Results that an experiment takes over from the one it changes, though the engine would make them anew today.

An update of the application may raise the version of a stage. Written anew, the questions would be others than those
that people have read, and their verdicts would be about nothing: before and after would differ in more than them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sptar_engine.artifacts import read_json
from sptar_engine.errors import ArtifactError
from sptar_engine.pipeline import RESULT, StageResult, Store, input_digest, read_result
from webapp.models import StageRun, State

_UP_TO_THE_QUESTIONS = frozenset({"prepare", "tune", "select", "generate", "filter"})


def result_of_base(row: StageRun, inputs: Mapping[str, Path], store: Store) -> StageResult | None:
    """The base experiment's result of this very step on these very inputs; None where something of it differs.

    Options that an update has added or taken away do not count: neither experiment chose them.
    """
    base = row.experiment.based_on
    if base is None or row.stage not in _UP_TO_THE_QUESTIONS:
        return None
    before = base.stages.filter(step_id=row.step_id, state=State.DONE).exclude(folder="").first()
    if before is None or any(row.config.get(name, value) != value for name, value in before.config.items()):
        return None
    folder = store.root / "stages" / before.folder
    return read_result(folder) if _has_read(folder, inputs) else None


def _has_read(folder: Path, inputs: Mapping[str, Path]) -> bool:
    try:
        known = read_json(folder / RESULT)["inputs"]
    except (OSError, ArtifactError, KeyError):
        return False
    return bool(known == {role: input_digest(role, path) for role, path in inputs.items()})
