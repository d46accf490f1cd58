"""Files are whole or absent, and their checksums do not depend on anything but content and names."""

import pytest

from sptar_engine.artifacts import (
    atomic_writer,
    checksums,
    content_hash,
    read_json,
    read_jsonl,
    sha256_json,
    write_json,
    write_jsonl,
)
from sptar_engine.errors import ArtifactError


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_writer(path) as stream:
            stream.write("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]


def test_jsonl_round_trip_keeps_unicode_line_separators(tmp_path) -> None:
    rows = [{"text": "a\u2028b\nc"}, {"text": "日本語"}]
    assert write_jsonl(tmp_path / "x.jsonl", rows) == 2
    assert list(read_jsonl(tmp_path / "x.jsonl")) == rows


def test_broken_line_is_named(tmp_path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a":')
    with pytest.raises(ArtifactError, match=r"x\.jsonl, line 2"):
        list(read_jsonl(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("read", [read_json, lambda path: list(read_jsonl(path))])
def test_missing_file_is_named(tmp_path, read) -> None:
    with pytest.raises(ArtifactError, match="is missing"):
        read(tmp_path / "none.json")


def test_nan_is_never_written(tmp_path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_checksums_know_content_and_names_and_skip_what_they_are_told(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_text("abc")
    (tmp_path / "skipped").write_text("x")
    # sha256 of "abc", FIPS 180-2
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksums(tmp_path, skip=frozenset({"skipped"})) == {"a/f": known}
    before = content_hash(tmp_path)
    (tmp_path / "a" / "f").rename(tmp_path / "a" / "g")
    assert content_hash(tmp_path) != before


def test_hash_of_json_does_not_depend_on_the_order_of_keys() -> None:
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
