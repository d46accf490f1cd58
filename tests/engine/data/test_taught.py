import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.taught import Taught, read_taught
from sptar_engine.errors import ArtifactError


def test_scores_come_back_by_query(tmp_path) -> None:
    write_jsonl(tmp_path / "scores.jsonl", [{"query_key": "lift", "doc_ids": ["d1", "d2"], "scores": [1.5, -0.25]}])
    assert read_taught(tmp_path) == {"lift": Taught(("d1", "d2"), (1.5, -0.25))}


def test_teacher_that_does_not_teach_leaves_nothing(tmp_path) -> None:
    write_jsonl(tmp_path / "scores.jsonl", [])
    assert read_taught(tmp_path) == {}


def test_folder_without_scores_is_an_artifact_error(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"scores\.jsonl is missing"):
        read_taught(tmp_path)
