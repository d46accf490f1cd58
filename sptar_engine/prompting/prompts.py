"""The chosen prompts as a file, `prompt.json`: written by select, read by generate."""

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


def make_prompt(examples: tuple[SeedPair, ...], adapter: Path | None, instruction: str = "", style: str = "") -> Prompt:
    """A prompt with its id: `soft-` or `hard-` and a hash of the example ids in their order and the instruction.

    The style is not in it: prompts of the same words are the same prompt.
    """
    kind = "hard" if adapter is None else "soft"
    ids = [[pair.query.query_id, pair.document.doc_id] for pair in examples]
    said = [instruction, ids] if instruction else ids
    return Prompt(f"{kind}-{sha256_json(said)[:_ID_LETTERS]}", examples, adapter, instruction, style)


def adapter_folder(inputs: Mapping[str, Path]) -> Path | None:
    """The soft prompt among a stage's inputs, where the role `tune` has it; None in an arm without one."""
    return inputs["tune"] / ADAPTER_FOLDER if "tune" in inputs else None


def write_prompt(select_folder: Path, *prompts: Prompt) -> None:
    """Write `prompt.json` with the texts of the examples; of the adapter only that there is one.

    Several prompts, one for each style of queries, are a list under `prompts`.
    """
    values = [_value(prompt) for prompt in prompts]
    write_json(select_folder / PROMPT_FILE, values[0] if len(values) == 1 else {"prompts": values})


def read_prompts(select_folder: Path, adapter: Path | None) -> tuple[Prompt, ...]:
    """Read the prompts that select chose, one unless the styles of queries take turns, each style's in its place.

    `adapter` is the folder of the soft prompt they were chosen with. Raises ArtifactError for a broken file,
    StageError when they were chosen with a soft prompt and none is given, or the other way round: the examples were
    scored for the other kind.
    """
    path = select_folder / PROMPT_FILE
    value = read_json(path)
    try:
        values = value.get("prompts") or [value]
        soft = bool(values[0]["soft"])
        prompts = tuple(_prompt(one, adapter) for one in values)
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is not a prompt: {error} is missing") from error
    if soft != (adapter is not None):
        kinds = ("with a soft prompt", "without a soft prompt")
        chosen, given = kinds if soft else kinds[::-1]
        raise StageError(f"{path} was chosen {chosen}, and this run is {given}; select again for this arm.")
    return prompts


def virtual_tokens(adapter: Path | None) -> int:
    """Positions that a soft prompt takes before everything else; 0 without one."""
    return 0 if adapter is None else int(read_json(adapter / "adapter_config.json")["num_virtual_tokens"])


def _value(prompt: Prompt) -> dict[str, Any]:
    said = {"instruction": prompt.instruction, "style": prompt.style}
    return {
        "prompt_id": prompt.prompt_id,
        "soft": prompt.adapter is not None,
        **{name: words for name, words in said.items() if words},
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


def _prompt(value: dict[str, Any], adapter: Path | None) -> Prompt:
    examples = tuple(_pair(row) for row in value["examples"])
    return Prompt(value["prompt_id"], examples, adapter, value.get("instruction", ""), value.get("style", ""))


def _pair(row: dict[str, Any]) -> SeedPair:
    return SeedPair(Query(row["query_id"], row["query"]), Document(row["doc_id"], row["text"], row["title"]))
