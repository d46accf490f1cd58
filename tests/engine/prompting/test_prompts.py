"""The prompts as select leaves them: their ids, and the file that brings them back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sptar_engine.errors import ArtifactError, StageError
from sptar_engine.prompting.prompts import make_prompt, read_prompts, write_prompt
from sptar_engine.records import Document, Query, SeedPair

PAIR = SeedPair(Query("q1", "what waits"), Document("d1", "the heron waits", "Birds"))
OTHER = SeedPair(Query("q2", "what turns"), Document("d2", "the drill turns"))


def test_one_prompt_without_an_instruction_or_style_is_written_as_ever(tmp_path: Path) -> None:
    prompt = make_prompt((PAIR,), None)
    assert prompt.prompt_id == "hard-07746fc9e4"
    write_prompt(tmp_path, prompt)
    example = {"query_id": "q1", "query": "what waits", "doc_id": "d1", "title": "Birds", "text": "the heron waits"}
    expected = {"prompt_id": prompt.prompt_id, "soft": False, "examples": [example]}
    assert (tmp_path / "prompt.json").read_text() == json.dumps(expected, indent=2) + "\n"
    assert read_prompts(tmp_path, None) == (prompt,)


def test_id_depends_on_examples_their_order_and_the_instruction_but_not_on_the_style() -> None:
    made = [
        make_prompt((PAIR,), None),
        make_prompt((PAIR, OTHER), None),
        make_prompt((OTHER, PAIR), None),
        make_prompt((PAIR,), None, "Ask."),
        make_prompt((PAIR,), None, "Tell."),
    ]
    assert len({prompt.prompt_id for prompt in made}) == 5
    assert make_prompt((PAIR,), None, "Ask.", "claim").prompt_id == made[3].prompt_id


def test_prompts_of_several_styles_come_back_in_their_order(tmp_path: Path) -> None:
    prompts = (make_prompt((PAIR,), None, "Ask.", "question"), make_prompt((OTHER,), None, "Ask.", "claim"))
    write_prompt(tmp_path, *prompts)
    assert read_prompts(tmp_path, None) == prompts
    with pytest.raises(StageError, match="without a soft prompt"):
        read_prompts(tmp_path, tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"prompts": [{"soft": false}]}', '{"prompts": [3]}'])
def test_broken_file_is_an_artifact_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "prompt.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"prompt\.json is not a prompt"):
        read_prompts(tmp_path, None)
