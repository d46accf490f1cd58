from __future__ import annotations

from pathlib import Path

from sptar_engine.artifacts import write_jsonl
from sptar_engine.data.weak import RANKS_FILE, WEAK_FILE, read_kept, read_weak
from sptar_engine.records import WeakPair

ROWS = [
    {"weak_id": "w1", "query": "one", "doc_id": "d1", "prompt_id": "p"},
    {"weak_id": "w2", "query": "two", "doc_id": "d2", "prompt_id": "p"},
]


def test_weak_pairs_are_read_in_file_order(tmp_path: Path) -> None:
    write_jsonl(tmp_path / WEAK_FILE, ROWS)
    assert read_weak(tmp_path) == [WeakPair("w1", "one", "d1", "p"), WeakPair("w2", "two", "d2", "p")]


def test_only_kept_pairs_are_read_from_a_filter_folder_with_their_ranks(tmp_path: Path) -> None:
    kept = {**ROWS[1], "rank": 3, "kept": True, "reason": ""}
    dropped = {**ROWS[0], "rank": None, "kept": False, "reason": "beyond rank"}
    write_jsonl(tmp_path / RANKS_FILE, [dropped, kept])
    assert read_kept(tmp_path) == [WeakPair("w2", "two", "d2", "p", 3)]
