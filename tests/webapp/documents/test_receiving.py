"""Files on their way in: limits by what really arrives, and nothing left behind (RELIABILITY T24)."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from webapp import uploads
from webapp.models import Project, Upload, User

pytestmark = pytest.mark.django_db

LINE = b'{"_id": "1", "text": "x"}\n'


class Zeros(io.RawIOBase):
    """A multipart body of a file of any size that is never whole in memory."""

    def __init__(self, size: int) -> None:
        self.head = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\nContent-Type: text/csv\r\n\r\n'
        )
        self.tail = b"\r\n--b--\r\n"
        self.length = len(self.head) + size + len(self.tail)
        self.place = 0

    def read(self, size: int = -1) -> bytes:
        size = self.length - self.place if size < 0 else min(size, self.length - self.place)
        block = bytearray(b"0" * size)
        for start, part in ((0, self.head), (self.length - len(self.tail), self.tail)):
            for at, byte in enumerate(part):
                if 0 <= start + at - self.place < size:
                    block[start + at - self.place] = byte
        self.place += size
        return bytes(block)


def incoming(data_dir: Path) -> list[str]:
    folder = data_dir / "incoming"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def send(client: Client, url: str, body: Zeros) -> Any:
    return client.generic(
        "POST", url, b"",
        **{"CONTENT_TYPE": "multipart/form-data; boundary=b", "wsgi.input": body, "CONTENT_LENGTH": str(body.length)},
    )  # fmt: skip


@pytest.fixture
def url(project: Project) -> str:
    return reverse("upload_new", args=[project.slug])


def test_a_file_is_kept_with_its_hash(client: Client, url: str, data_dir: Path, project: Project) -> None:
    response = client.post(url, {"file": SimpleUploadedFile("corpus.jsonl", LINE)})

    upload = Upload.objects.get()
    assert response.headers["Location"] == reverse("upload", args=[project.slug, upload.pk])
    assert (upload.name, upload.bytes, upload.kind, upload.stage) == ("corpus.jsonl", len(LINE), "jsonl", "mapping")
    assert upload.sha256 == hashlib.sha256(LINE).hexdigest()
    stored = data_dir / "projects" / project.slug / "uploads" / str(upload.pk) / "original"
    assert stored.read_bytes() == LINE
    assert incoming(data_dir) == []


def test_a_file_over_the_limit_gets_a_sentence_and_leaves_nothing(
    client: Client, url: str, data_dir: Path, settings: Any
) -> None:
    settings.UPLOAD_LIMIT_MB = 1

    response = send(client, url, Zeros((1 << 20) + 1))

    assert response.status_code == 413
    assert "larger than 1 MB, the limit of this server. Nothing of it was kept." in response.content.decode()
    assert incoming(data_dir) == []
    assert not Upload.objects.exists()


def test_a_file_of_exactly_the_limit_is_taken(client: Client, url: str, settings: Any) -> None:
    settings.UPLOAD_LIMIT_MB = 1

    assert send(client, url, Zeros(1 << 20)).status_code == 302


def test_a_huge_file_is_dropped_with_little_memory(client: Client, url: str, settings: Any) -> None:
    settings.UPLOAD_LIMIT_MB = 8
    body = Zeros(15 << 20)

    tracemalloc.start()
    response = send(client, url, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert response.status_code == 413
    assert peak < 8 << 20
    assert body.place == body.length  # read to its end, so that the browser shows the answer


def test_a_file_that_claims_far_more_than_the_limit_is_not_even_read(client: Client, url: str, settings: Any) -> None:
    settings.UPLOAD_LIMIT_MB = 1
    body = Zeros(1 << 40)

    response = send(client, url, body)

    assert response.status_code == 413
    assert body.place < 1 << 20


def test_a_body_without_a_length_is_refused_in_words(client: Client, url: str) -> None:
    response = client.generic(
        "POST", url, b"",
        **{
            "CONTENT_TYPE": "multipart/form-data; boundary=b", "wsgi.input": Zeros(1 << 40), "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )  # fmt: skip

    assert response.status_code == 411
    assert "The file came without its length, so it was not read." in response.content.decode()


def test_a_disk_without_room_is_asked_first(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "free_bytes", lambda: 1 << 20)

    response = client.post(url, {"file": SimpleUploadedFile("corpus.jsonl", LINE)})

    assert response.status_code == 413
    assert "not enough room on the server&#x27;s disk" in response.content.decode()


def test_a_disk_that_runs_full_on_the_way_leaves_nothing(
    client: Client, url: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: uploads.ReceivedFile, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads.ReceivedFile, "write", full, raising=False)

    response = client.post(url, {"file": SimpleUploadedFile("corpus.jsonl", LINE)})

    assert response.status_code == 413
    assert incoming(data_dir) == []


def test_a_broken_connection_leaves_nothing(client: Client, url: str, data_dir: Path) -> None:
    class Broken(Zeros):
        def read(self, size: int = -1) -> bytes:
            if self.place > 200_000:
                raise ConnectionResetError
            return super().read(size)

    response = send(client, url, Broken(1 << 20))

    assert response.status_code == 422
    assert incoming(data_dir) == []


def test_what_nobody_takes_goes_when_the_request_ends(
    login: Callable[[User], Client], stranger: User, url: str, data_dir: Path
) -> None:
    response = login(stranger).post(url, {"file": SimpleUploadedFile("corpus.jsonl", LINE)})

    assert response.status_code == 404
    assert incoming(data_dir) == []


def test_nobody_uploads_without_log_in(url: str, data_dir: Path) -> None:
    body = Zeros(1 << 20)

    assert send(Client(), url, body).status_code == 302
    assert incoming(data_dir) == []


def test_what_dead_processes_left_is_swept(client: Client, url: str, data_dir: Path) -> None:
    old = data_dir / "incoming" / "old"
    old.parent.mkdir()
    old.write_bytes(b"x")
    folder = data_dir / "incoming" / "sample-of-a-killed-process"
    (folder / "dataset").mkdir(parents=True)
    young = data_dir / "incoming" / "young"
    young.write_bytes(b"x")
    for path in (old, folder):
        os.utime(path, (time.time() - 100_000,) * 2)

    assert client.post(url, {"file": SimpleUploadedFile("corpus.jsonl", LINE)}).status_code == 302

    assert (old.exists(), folder.exists(), young.exists()) == (False, False, True)


def test_what_cannot_be_swept_stops_no_upload(
    client: Client, url: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = data_dir / "incoming" / "old"
    old.mkdir(parents=True)
    os.utime(old, (time.time() - 100_000,) * 2)

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("webapp.uploads.shutil.rmtree", refuse)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: refuse(path) if path == old else None)
    assert client.post(url, {"file": SimpleUploadedFile("corpus.jsonl", LINE)}).status_code == 302
    assert old.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty. Choose the file that holds your documents."),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "This file is of a kind that is not read."),
    ],
)
def test_a_file_that_cannot_be_read_gets_a_sentence_at_the_field(
    client: Client, url: str, content: bytes, sentence: str, data_dir: Path
) -> None:
    response = client.post(url, {"file": SimpleUploadedFile("x", content)})

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert incoming(data_dir) == []
    assert not Upload.objects.exists()


def test_no_file_at_all_gets_a_sentence(client: Client, url: str) -> None:
    response = client.post(url)

    assert response.status_code == 422
    assert "No file arrived. Choose a file and press Upload." in response.content.decode()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\\b\\<img src=x onerror=alert(1)>.jsonl", "x" * 255, "naïve 図.jsonl"]
)
def test_a_name_is_shown_and_never_a_path(client: Client, url: str, name: str, data_dir: Path) -> None:
    response = client.post(url, {"file": SimpleUploadedFile("x", LINE), "unused": ""}, follow=False)
    assert response.status_code == 302
    upload = Upload.objects.get()
    Upload.objects.filter(pk=upload.pk).update(name=name)

    page = client.get(reverse("upload", args=[upload.project.slug, upload.pk])).content.decode()

    assert "<img src=x" not in page
    assert sorted(path.name for path in data_dir.iterdir()) == ["incoming", "projects"]
