"""The check of a whole upload: good rows here, problems there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.documents.samples import pdf, zipped
from webapp.reading.checking import Findings, check
from webapp.reading.documents import DocumentReading, preview


def checked(folder: Path, raw: bytes, kind: str = "jsonl", name: str = "upload", **options: Any) -> Findings:
    path = folder / "original"
    path.write_bytes(raw)
    with DocumentReading(path, name=name, kind=kind, options=options, scratch=folder, limit=1 << 30) as reading:
        return check(reading, folder, lambda findings: None)


def documents(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]


def report(folder: Path) -> list[list[str]]:
    with (folder / "problems.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))[1:]


def lines(*rows: dict[str, Any] | str) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def test_good_rows_are_kept_and_bad_ones_reported(tmp_path: Path) -> None:
    raw = lines({"_id": "1", "title": "T", "text": "x"}, "broken", {"_id": "2", "text": ""}, {"_id": "3", "text": "z"})

    findings = checked(tmp_path, raw)

    assert (findings.good, findings.bad) == (2, 2)
    assert documents(tmp_path) == [
        {"_id": "1", "title": "T", "text": "x"}, {"_id": "3", "title": "", "text": "z"},
    ]  # fmt: skip
    assert dict(findings.counts) == {"Not a row that can be read": 1, "No text": 1}
    assert [row[1] for row in report(tmp_path)] == ["2", "3"]
    assert [problem["line"] for problem in findings.problems] == [2, 3]


@pytest.mark.parametrize(
    "again", ["a b", "a  b", "e\u0301"], ids=["exactly", "blanks", "unicode form"]
)  # fmt: skip
def test_an_id_given_twice_is_refused(tmp_path: Path, again: str) -> None:
    raw = lines(
        {"_id": "a b", "text": "x"}, {"_id": "\u00e9", "text": "x"}, {"_id": "A b", "text": "x"},
        {"_id": again, "text": "y"},
    )  # fmt: skip

    findings = checked(tmp_path, raw)

    assert (findings.good, findings.bad) == (3, 1)
    problem = findings.problems[0]
    assert problem["line"] == 4
    assert problem["reason"].startswith("the document id ")
    assert problem["reason"].endswith(f"was already given on line {2 if again.startswith('e') else 1}")
    assert ("differs by blanks or Unicode form" in problem["reason"]) == (again != "a b")


def test_replaced_characters_are_counted_by_row(tmp_path: Path) -> None:
    findings = checked(tmp_path, b'{"_id": "1", "text": "a\\u0000\\ud800"}\n{"_id": "2", "text": "b"}')

    assert findings.changed == 1
    assert documents(tmp_path)[0]["text"] == "a\ufffd\ufffd"


def test_no_cell_of_the_report_is_a_formula(tmp_path: Path) -> None:
    checked(tmp_path, b"=1+1\n@x\n-2\n")

    rows = report(tmp_path)
    assert [row[5] for row in rows] == ["'=1+1", "'@x", "'-2"]


def test_a_file_without_a_good_row_leaves_no_documents(tmp_path: Path) -> None:
    findings = checked(tmp_path, b"nothing\nof use\n")

    assert (findings.good, findings.bad) == (0, 2)
    assert not (tmp_path / "corpus.jsonl").exists()


def test_only_the_first_problems_are_kept_for_the_page(tmp_path: Path) -> None:
    findings = checked(tmp_path, b"bad\n" * 60)

    assert len(findings.problems) == 50
    assert len(report(tmp_path)) == 60


def test_what_cutting_would_make_is_counted(tmp_path: Path) -> None:
    findings = checked(tmp_path, lines({"_id": "a#1", "text": "word " * 450}, {"_id": "b", "text": "short"}))

    assert findings.measures() == {"long": 1, "pieces": 4, "separator": "##"}


def test_a_zip_of_texts_makes_a_document_of_each_file(tmp_path: Path) -> None:
    raw = zipped(
        rules___hours__txt="We open at nine.\r\nDaily.", latin__txt="Grüße".encode("latin-1"), empty__txt="",
        cards__pdf=pdf("Lost cards."), broken__pdf=b"%PDF-nothing", picture__png=b"x", inner__zip=zipped(a__txt="x"),
    )  # fmt: skip

    findings = checked(tmp_path, raw, "texts")

    assert [(row["_id"], row["title"], row["text"]) for row in documents(tmp_path)] == [
        ("rules/hours.txt", "hours", "We open at nine.\nDaily."),
        ("latin.txt", "latin", "Grüße"),
        ("cards.pdf", "cards", "Lost cards."),
    ]
    assert [(problem["place"], problem["reason"]) for problem in findings.problems] == [
        ("empty.txt", "the file is empty"),
        ("broken.pdf", "it is damaged, or not what its name says; save it again"),
        ("picture.png", "a file of the kind .png is not read"),
        ("inner.zip", "an archive within the archive is not opened"),
    ]


def test_a_single_pdf_is_one_document_named_by_its_file(tmp_path: Path) -> None:
    checked(tmp_path, pdf("The text.", title="The title"), "pdf", "rules.pdf")

    assert documents(tmp_path) == [{"_id": "rules.pdf", "title": "The title", "text": "The text."}]


def test_a_beir_zip_gives_its_corpus(tmp_path: Path) -> None:
    raw = zipped(d___corpus__jsonl=lines({"_id": "1", "text": "x"}, "broken"), d___queries__jsonl="x")

    findings = checked(tmp_path, raw, "beir")

    assert (findings.good, findings.bad) == (1, 1)


def test_a_preview_reads_no_further_than_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "original"
    path.write_bytes(lines(*({"_id": str(number), "text": "x"} for number in range(100))))

    shown = preview(path, name="x", kind="jsonl", options={"encoding": "utf-8"}, limit=1 << 30)

    assert [row.doc_id for row in shown.rows] == [str(number) for number in range(20)]
