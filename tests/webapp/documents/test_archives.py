"""Zip archives from strangers (RELIABILITY T25)."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sptar_engine.errors import InputError
from webapp.reading import archives
from webapp.reading.archives import Archive, EntryError
from webapp.reading.sources import Budget

Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    def make(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
        path = tmp_path / "upload"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                archive.writestr(name, content)
        return path

    return make


def opened(path: Path, limit: int = 1 << 30) -> Archive:
    return Archive(path, Budget(limit))


def test_files_are_listed_without_folders_and_what_systems_leave_there(pack: Pack) -> None:
    path = pack(("a/", b""), ("a/b.txt", b"x"), ("__MACOSX/a/._b.txt", b"x"), (".DS_Store", b"x"), ("Thumbs.db", b"x"))

    with opened(path) as archive:
        assert [entry.filename for entry in archive.entries] == ["a/b.txt"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a\\..\\x", "C:x", "__MACOSX/../../x"])
def test_a_name_that_points_outside_refuses_the_whole_archive(pack: Pack, name: str) -> None:
    with pytest.raises(InputError, match="whose name points outside of it"):
        opened(pack(("good.txt", b"x"), (name, b"x")))


def test_a_link_refuses_the_whole_archive(pack: Pack) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(InputError, match="holds a link"):
        opened(pack(("good.txt", b"x"), (link, b"/etc/passwd")))


def test_a_bomb_stops_at_the_limit_of_bytes_really_unpacked(pack: Pack) -> None:
    path = pack(("bomb.txt", b"\0" * (32 << 20)))
    assert path.stat().st_size < 100_000

    with opened(path, 8 << 20) as archive, pytest.raises(InputError, match="unpacks to more than 8 MB"):
        archive.read(archive.entries[0], 1 << 30)


def test_a_size_that_the_header_lies_about_is_not_believed(pack: Pack) -> None:
    path = pack(("bomb.txt", b"\0" * (4 << 20)))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<L", 4 << 20), struct.pack("<L", 10)))

    with opened(path, 1 << 20) as archive, pytest.raises(InputError):
        archive.read(archive.entries[0], 1 << 30)


def test_all_entries_share_one_limit(pack: Pack) -> None:
    path = pack(*((f"{number}.txt", b"\0" * (1 << 20)) for number in range(8)))

    with opened(path, 5 << 20) as archive:
        for entry in archive.entries[:5]:
            archive.read(entry, 2 << 20)
        with pytest.raises(InputError, match="unpacks to more than 5 MB"):
            archive.read(archive.entries[5], 2 << 20)


def test_too_many_entries_are_refused_before_they_are_listed(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    path = pack(*((f"{number}.txt", b"x") for number in range(4)))

    with pytest.raises(InputError, match="more than 3 files"):
        opened(path)


def test_a_count_in_the_long_end_record_is_read_too(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)  # beyond, zipfile writes the long record
    path = pack(*((str(number), b"") for number in range(4)))
    raw = bytearray(path.read_bytes())
    raw[-14:-10] = b"\0" * 4  # the short record claims no entries
    path.write_bytes(raw)

    with pytest.raises(InputError, match="more than 3 files"):
        opened(path)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_an_archive_that_is_cut_short_is_refused(pack: Pack, keep: float) -> None:
    path = pack(("a.txt", bytes(range(256)) * 20))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])

    with pytest.raises(InputError, match="damaged or cut short"):
        opened(path)


def test_an_archive_without_files_is_refused(pack: Pack) -> None:
    with pytest.raises(InputError, match="holds no files"):
        opened(pack(("folder/", b"")))


def test_a_damaged_entry_says_so_and_leaves_the_others_readable(pack: Pack) -> None:
    path = pack(("a.txt", bytes(range(256)) * 20), ("b.txt", b"good"))
    raw = bytearray(path.read_bytes())
    raw[60:64] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)

    with opened(path) as archive:
        first, second = archive.entries
        with pytest.raises(EntryError, match="damaged"):
            archive.read(first, 1 << 20)
        assert archive.read(second, 1 << 20) == b"good"


def test_a_protected_entry_says_so(pack: Pack) -> None:
    path = pack(("a.txt", b"x"))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)

    with opened(path) as archive, pytest.raises(EntryError, match="protected by a password"):
        archive.read(archive.entries[0], 10)


def test_a_method_that_takes_much_memory_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.txt", b"x" * 100)
    path.write_bytes(buffer.getvalue())

    with opened(path) as found, pytest.raises(EntryError, match="unusual method"):
        found.read(found.entries[0], 1000)
