"""PDF and Word files, read by a child that is held short (RELIABILITY T45)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sptar_engine.errors import InputError
from tests.webapp.documents.samples import pdf, word, word_with, zipped
from webapp.reading import extraction
from webapp.reading.extraction import Extracted, Extractor

DOCUMENT = "word/document.xml"


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    with Extractor() as made:
        yield made


def read(extractor: Extractor, folder: Path, raw: bytes, kind: str) -> Extracted:
    path = folder / "file"
    path.write_bytes(raw)
    return extractor.extract(path, kind)


def test_a_pdf_gives_its_title_and_its_pages_as_paragraphs(extractor: Extractor, tmp_path: Path) -> None:
    found = read(extractor, tmp_path, pdf("The library opens at nine.", "Lost cards cost five.", title="Rules"), "pdf")

    assert found == Extracted("Rules", "The library opens at nine.\n\nLost cards cost five.")


def test_a_word_that_a_line_end_divides_is_whole_again(extractor: Extractor, tmp_path: Path) -> None:
    assert "opening hours" in read(extractor, tmp_path, pdf("the open-\ning hours"), "pdf").text


def test_a_word_file_gives_paragraphs_and_tables(extractor: Extractor, tmp_path: Path) -> None:
    found = read(extractor, tmp_path, word("One.", "Two.", title="Rules"), "docx")

    assert found == Extracted("Rules", "One.\n\nTwo.\n\nleft | right")


def test_a_protected_pdf_is_refused(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^it is protected by a password; remove the protection and upload it again$"):
        read(extractor, tmp_path, pdf("x", password="secret"), "pdf")


def test_a_protected_word_file_is_refused(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="protected by a password"):
        read(extractor, tmp_path, b"\xd0\xcf\x11\xe0" + b"x" * 100, "docx")


def test_a_scan_is_refused_with_what_to_do(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it holds no text; it is probably a scan, so run text recognition"):
        read(extractor, tmp_path, pdf(""), "pdf")


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_a_damaged_file_is_refused(extractor: Extractor, tmp_path: Path, kind: str) -> None:
    raw = (pdf("x") if kind == "pdf" else word("x"))[:200]

    with pytest.raises(InputError, match=r"^it is damaged, or not what its name says; save it again$"):
        read(extractor, tmp_path, raw, kind)


def test_pages_that_hold_each_other_are_refused(extractor: Extractor, tmp_path: Path) -> None:
    raw = pdf("x").replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")

    with pytest.raises(InputError, match=r"it (is damaged|is nested too deeply|holds no text)"):
        read(extractor, tmp_path, raw, "pdf")


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY x SYSTEM "file:///etc/hostname">',
        '<!ENTITY x SYSTEM "http://127.0.0.1:9/x">',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY x "&a;&a;&a;&a;&a;&a;&a;&a;">',
    ],
    ids=["file", "network", "laughs"],
)
def test_xml_entities_are_refused_and_not_followed(extractor: Extractor, tmp_path: Path, declared: str) -> None:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "<w:p><w:r><w:t>&x;</w:t></w:r></w:p>"
    xml = f'<!DOCTYPE d [{declared}]><w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'

    with pytest.raises(InputError, match=r"names external or repeated parts \(XML entities\)"):
        read(extractor, tmp_path, word_with(DOCUMENT, xml.encode()), "docx")


def test_a_word_file_that_is_a_bomb_is_refused(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unpacks to more than 256 MB"):
        read(extractor, tmp_path, zipped(word___media___x__bin=b"\0" * (257 << 20)), "docx")


def test_too_many_pages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_PAGES", 2)

    with Extractor() as extractor, pytest.raises(InputError, match="it has 3 pages; at most 2 are read, so split it"):
        read(extractor, tmp_path, pdf("a", "b", "c"), "pdf")


def test_too_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_CHARACTERS", 1 << 20)

    with Extractor() as extractor, pytest.raises(InputError, match="more than 1 million characters; split it"):
        read(extractor, tmp_path, word("x" * (1 << 20)), "docx")


def test_too_little_memory_is_one_sentence_and_the_next_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "MEMORY_MB", 160)
    huge = word_with(DOCUMENT, b"<a>" + b"<b/>" * (1 << 20) + b"</a>")

    with Extractor() as extractor:
        with pytest.raises(InputError, match="it needs more than 160 MB of memory"):
            read(extractor, tmp_path, huge, "docx")
        assert read(extractor, tmp_path, pdf("next"), "pdf").text == "next"


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "SECONDS", 0)

    with Extractor() as extractor, pytest.raises(InputError, match="takes more than 0 seconds to read"):
        read(extractor, tmp_path, pdf(*["word " * 50] * 400), "pdf")


def test_the_child_reaches_no_network_and_has_no_secrets() -> None:
    from webapp.reading.extraction_child import Refused, _refuse_the_outside

    with pytest.raises(Refused):
        _refuse_the_outside("socket.connect", (socket.AF_INET,))
    _refuse_the_outside("open", ("file",))
