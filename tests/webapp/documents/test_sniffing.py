"""What an upload is, by its content."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sptar_engine.errors import InputError
from tests.webapp.documents.samples import pdf, word, zipped
from webapp.reading.sniffing import Sniffed, sniff

KINDS = "JSON lines, CSV or TSV, PDF, Word (.docx), and zip archives of them"
LINE = b'{"_id": "1", "text": "x"}\n'
TABLE = b"id,title,text\n1,T,A longer text.\n2,U,Another one.\n"


def sniffed(folder: Path, raw: bytes, name: str = "upload") -> Sniffed:
    path = folder / "original"
    path.write_bytes(raw)
    return sniff(path, name, 1 << 30)


@pytest.mark.parametrize(
    ("raw", "name", "kind"),
    [
        (LINE, "corpus.csv", "jsonl"),
        (gzip.compress(LINE, mtime=0), "corpus.jsonl.gz", "jsonl"),
        (b"[1, 2]\n", "x.json", "jsonl"),
        (TABLE, "x.txt.csv", "table"),
        (TABLE.replace(b",", b"\t"), "x", "table"),
        (TABLE.decode().encode("utf-16"), "excel.csv", "table"),
        (b"Just a text.\nOf two lines.", "notes.txt", "texts"),
        (pdf("x"), "x.bin", "pdf"),
        (word("x"), "x.zip", "docx"),
        (zipped(a__txt="x", b__pdf="y"), "x", "texts"),
        (zipped(corpus__jsonl=LINE, queries__jsonl="x"), "x", "beir"),
        (zipped(data___corpus__jsonl=LINE), "x", "beir"),
    ],
)
def test_the_kind_is_told_by_the_content(tmp_path: Path, raw: bytes, name: str, kind: str) -> None:
    assert sniffed(tmp_path, raw, name).kind == kind


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "The file is empty. Choose the file that holds your documents."),
        (b"\xd0\xcf\x11\xe0" * 9, "This is an old Word or Excel file. Save it as .docx or as CSV and upload that."),
        (b"{\\rtf1 x}", "This is an RTF file. Save it as .docx or as plain text and upload that."),
        (
            zipped(xl___workbook__xml="x"),
            "This is an Excel workbook. In Excel, save it as “CSV UTF-8” and upload that.",
        ),
        (zipped(ppt___presentation__xml="x"), "This is a PowerPoint file. Save it as PDF and upload that."),
        (b"PK\x05\x06" + bytes(18), "The zip archive holds no files."),
        (b"PK\x03\x04 and then nothing", "The zip archive is damaged or cut short. Pack it again."),
        (gzip.compress(b"x" * 99, mtime=0)[:20], "The gzip file is damaged or cut short. Pack it again."),
        (b"7z\xbc\xaf\x27\x1c", "This is a 7z archive. Unpack it and upload the files, or pack them as a zip."),
        (b"PAR1xxxx", "This is a Parquet file. Export it as CSV or JSON lines and upload that."),
        (
            b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
            f"This file is of a kind that is not read. What is read: {KINDS}.",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path, raw: bytes, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        sniffed(tmp_path, raw)

    assert str(refused.value) == sentence


def test_long_files_are_offered_to_be_cut_and_tables_are_not(tmp_path: Path) -> None:
    assert sniffed(tmp_path, pdf("x")).options == {"chunking": "paragraphs"}
    assert sniffed(tmp_path, TABLE).options == {
        "encoding": "utf-8", "delimiter": ",", "header": True, "roles": ["id", "title", "text"],
    }  # fmt: skip


def test_a_table_that_is_not_utf8_begins_with_latin1(tmp_path: Path) -> None:
    assert sniffed(tmp_path, "id;text\n1;Grüße aus Köln\n".encode("latin-1")).options["encoding"] == "latin-1"
