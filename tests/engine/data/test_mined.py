import pytest

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.mined import Mined, read_mined
from sptar_engine.errors import ArtifactError


def test_negatives_come_back_by_query_in_their_order(tmp_path) -> None:
    negatives = [
        {"doc_id": "d7", "source": "rejected", "score": None},
        {"doc_id": "d2", "source": "bm25", "score": 8.5},
    ]
    rows = [
        {"query_key": "lift", "query": "Lift?", "negatives": negatives, "dropped": {"margin": 3}},
        {"query_key": "heat", "query": "heat", "negatives": [], "dropped": {}},
    ]
    write_jsonl(tmp_path / "negatives.jsonl", rows)
    assert read_mined(tmp_path) == {
        "lift": (Mined("d7", "rejected", None), Mined("d2", "bm25", 8.5)),
        "heat": (),
    }


def test_folder_without_negatives_is_an_artifact_error(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"negatives\.jsonl is missing"):
        read_mined(tmp_path)
