from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.errors import ArtifactError
from sptar_engine.prompting.shards import Draft, Shard, ShardFolder, split_shards, weak_id

DRAFTS = [Draft("w1", "d1", " a query\n", "a query", "", 0.5), Draft("w2", "d2", "\n", "", "empty", 2.25)]


def test_documents_keep_their_order_and_the_last_shard_is_smaller() -> None:
    shards = split_shards(["e", "d", "c", "b", "a"], 2)
    assert shards == [Shard(0, ("e", "d")), Shard(1, ("c", "b")), Shard(2, ("a",))]


def test_a_finished_shard_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder, shard = ShardFolder(tmp_path, "key"), Shard(0, ("d1", "d2"))
    assert not folder.has(shard)
    folder.write(shard, DRAFTS)
    assert folder.has(shard)
    assert list(folder.read(shard)) == DRAFTS


@pytest.mark.parametrize(
    ("key", "shard"),
    [("other settings", Shard(0, ("d1", "d2"))), ("key", Shard(0, ("d1", "d3"))), ("key", Shard(1, ("d1", "d2")))],
)
def test_a_shard_of_other_settings_or_documents_is_not_taken_over(tmp_path: Path, key: str, shard: Shard) -> None:
    ShardFolder(tmp_path, "key").write(Shard(0, ("d1", "d2")), DRAFTS)
    assert not ShardFolder(tmp_path, key).has(shard)


def test_a_broken_shard_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    folder, shard = ShardFolder(tmp_path, "key"), Shard(0, ("d1", "d2"))
    folder.write(shard, DRAFTS)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match="line 2"):
        list(folder.read(shard))


def test_an_id_tells_prompt_document_and_sample_apart_and_never_changes() -> None:
    ids = [
        weak_id("p", "d", 0, "x"),
        weak_id("p", "d", 1, "x"),
        weak_id("p", "e", 0, "x"),
        weak_id("q", "d", 0, "x"),
        weak_id("p", "d", 0, "y"),
    ]
    assert len(set(ids)) == 5
    # The first 20 digits of: printf '["p","d",0,"x"]' | sha256sum
    assert ids[0] == "1ecec57a5dc7a187399f"
