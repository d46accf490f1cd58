from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.data.judgements import Judgement, build_qrels, read_judgements
from sptar_engine.errors import InputError
from sptar_engine.records import Qrels

HEADER = "query-id\tcorpus-id\tscore\n"


def _qrels(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "train.tsv"
    path.write_bytes(text.encode())
    return path


def test_beir_rows_are_read_in_order_with_their_lines(tmp_path: Path) -> None:
    path = _qrels(tmp_path, HEADER + "q1\td2\t1\n\nq2\td1\t0\nq1\td1\t-2\n")
    judgements = read_judgements(path)
    assert judgements[1] == Judgement(path, 4, "q2", "d1", 0)
    assert build_qrels(judgements) == Qrels({"q1": {"d2": 1, "d1": -2}, "q2": {"d1": 0}})


def test_trec_rows_are_read_without_a_header(tmp_path: Path) -> None:
    path = _qrels(tmp_path, "q1 0 d1 2\nq1\t0\td2\t0\r\n")
    assert build_qrels(read_judgements(path)) == Qrels({"q1": {"d1": 2, "d2": 0}})


def test_a_byte_order_mark_crlf_and_spaces_around_cells_do_no_harm(tmp_path: Path) -> None:
    path = _qrels(tmp_path, "\ufeffQuery-ID\tcorpus-id\tscore\r\nq1 \t d 1\t+1\r\n")
    assert build_qrels(read_judgements(path)) == Qrels({"q1": {"d 1": 1}})


def test_the_same_judgement_twice_counts_once(tmp_path: Path) -> None:
    assert len(read_judgements(_qrels(tmp_path, HEADER + "q1\td1\t1\nq1\td1\t1\n"))) == 1


def test_a_file_with_a_header_alone_holds_nothing(tmp_path: Path) -> None:
    assert read_judgements(_qrels(tmp_path, HEADER)) == []


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("q1\td1\t1\n", 1, "the first line must be query-id TAB corpus-id TAB score"),
        ("query\tdoc\tgrade\nq1\td1\t1\n", 1, "the first line must be"),
        (HEADER + "q1\td1\n", 2, "2 columns where 3 are needed"),
        (HEADER + "q1\td1\t1\t1\n", 2, "4 columns where 3 are needed"),
        (HEADER + "q1 d1 1\n", 2, "1 columns where 3 are needed"),
        ("q1 0 d1 1\nq1 0 d2\n", 2, "3 columns where 4 are needed: query 0 document grade"),
        (HEADER + "q1\td1\t1.0\n", 2, "the grade '1.0' is not a whole number"),
        (HEADER + "q1\td1\tNaN\n", 2, "the grade 'NaN' is not"),
        (HEADER + "q1\td1\t\N{ARABIC-INDIC DIGIT ONE}\n", 2, "is not a whole number"),
        (HEADER + "q1\td1\t\n", 2, "the grade '' is not"),
        (HEADER + "q1\td1\t101\n", 2, "the grade '101' is not a whole number from -100 to 100"),
        (HEADER + "q1\td1\t" + "9" * 5000 + "\n", 2, "is not a whole number"),
        (HEADER + "\td1\t1\n", 2, "the query id is empty"),
        (HEADER + "q1\t\t1\n", 2, "the document id is empty"),
        (HEADER + "q1\td1\t1\nq2\td1\t1\nq1\td1\t2\n", 4, "grade 2 here and 1 on line 2"),
        (HEADER + "q1\td\x011\t1\n", 2, "control character"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    with pytest.raises(InputError, match=rf"train\.tsv, line {line}: .*{reason}"):
        read_judgements(_qrels(tmp_path, text))
