"""The chosen prompt as a file, `prompt.json`: written by select, read by generate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, sha256_json, write_json
from sptar_engine.errors import ArtifactError, StageError
from sptar_engine.records import Document, Prompt, Query, SeedPair

PROMPT_FILE = "prompt.json"
ADAPTER_FOLDER = "adapter"  # in the folder of tune
_ID_LETTERS = 10  # of a hex digest: 40 bits, no two of 10,000 candidate sets share one (p < 1e-4)


def make_prompt(examples: tuple[SeedPair, ...], adapter: Path | None) -> Prompt:
    """A prompt with its id: `soft-` or `hard-` and a hash of the example ids in their order."""
    kind = "hard" if adapter is None else "soft"
    ids = [[pair.query.query_id, pair.document.doc_id] for pair in examples]
    return Prompt(f"{kind}-{sha256_json(ids)[:_ID_LETTERS]}", examples, adapter)


def adapter_folder(inputs: Mapping[str, Path]) -> Path | None:
    """The soft prompt among a stage's inputs, where the role `tune` has it; None in an arm without one."""
    return inputs["tune"] / ADAPTER_FOLDER if "tune" in inputs else None


def write_prompt(select_folder: Path, prompt: Prompt) -> None:
    """Write `prompt.json` with the texts of the examples; of the adapter only that there is one."""
    value = {
        "prompt_id": prompt.prompt_id,
        "soft": prompt.adapter is not None,
        "examples": [
            {
                "query_id": pair.query.query_id,
                "query": pair.query.text,
                "doc_id": pair.document.doc_id,
                "title": pair.document.title,
                "text": pair.document.text,
            }
            for pair in prompt.examples
        ],
    }
    write_json(select_folder / PROMPT_FILE, value)


def read_prompt(select_folder: Path, adapter: Path | None) -> Prompt:
    """Read the prompt that select chose; `adapter` is the folder of the soft prompt it was chosen with.

    Raises ArtifactError for a broken file, StageError when the prompt was chosen with a soft prompt and none
    is given, or the other way round: its examples were scored for the other kind.
    """
    path = select_folder / PROMPT_FILE
    value = read_json(path)
    try:
        soft = bool(value["soft"])
        prompt = Prompt(value["prompt_id"], tuple(_pair(row) for row in value["examples"]), adapter)
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is not a prompt: {error} is missing") from error
    if soft != (adapter is not None):
        kinds = ("with a soft prompt", "without a soft prompt")
        chosen, given = kinds if soft else kinds[::-1]
        raise StageError(f"{path} was chosen {chosen}, and this run is {given}; select again for this arm.")
    return prompt


def _pair(row: dict[str, Any]) -> SeedPair:
    return SeedPair(Query(row["query_id"], row["query"]), Document(row["doc_id"], row["text"], row["title"]))
