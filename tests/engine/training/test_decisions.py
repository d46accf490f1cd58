import json
from pathlib import Path

import pytest

from sptar_engine.errors import InputError
from sptar_engine.training.decisions import Decision, read_decisions


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_verdicts_are_read_by_weak_id_and_other_keys_left_alone(tmp_path) -> None:
    path = write(
        tmp_path / "decisions.jsonl",
        {"weak_id": "w1", "verdict": "accept", "text": "", "who": "ada"},
        {"weak_id": "w2", "verdict": "edit", "text": " why  do wings\nflutter "},
        {"weak_id": 3, "verdict": "reject"},
        {"weak_id": "w4", "verdict": "unsure", "text": None},
    )
    assert read_decisions(path) == {
        "w1": Decision("accept"),
        "w2": Decision("edit", "why do wings flutter"),
        "3": Decision("reject"),
        "w4": Decision("unsure"),
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"weak_id": "w2", "verdict": "maybe"}, "accept, reject, edit, unsure, not 'maybe'"),
        ({"weak_id": "w2"}, "accept, reject, edit, unsure"),
        ({"weak_id": "w2", "verdict": ["edit"]}, "verdict must be one of"),
        ({"verdict": "accept"}, "weak_id is missing"),
        ({"weak_id": "w2", "verdict": "edit", "text": "  "}, "'w2' has no text"),
        ({"weak_id": "w2", "verdict": "edit"}, "'w2' has no text"),
        ({"weak_id": "w2", "verdict": "edit", "text": 7}, "text must be text, not a number"),
        ({"weak_id": "w1", "verdict": "reject"}, "already decided on line 1"),
        (["w2", "accept"], "must be a JSON object"),
    ],
)
def test_bad_row_is_named_by_file_and_line(tmp_path, row, reason) -> None:
    path = write(tmp_path / "decisions.jsonl", {"weak_id": "w1", "verdict": "accept"}, row)
    with pytest.raises(InputError) as error:
        read_decisions(path)
    assert str(error.value).startswith(f"{path}, line 2: ") and reason in str(error.value)


def test_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl is missing"):
        read_decisions(tmp_path / "nowhere.jsonl")
