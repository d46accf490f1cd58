from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sptar_engine.data.pairs import find_pairs, read_pairs
from sptar_engine.errors import InputError

ROWS = [("how to sort", "d1", 2, "train"), ("what, exactly, is a list", "d2", 1, "dev")]


@pytest.fixture(autouse=True)
def usual_cell_limit() -> Iterator[None]:
    """The csv module's own limit, which another package of the process may have raised."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


def _write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pairs.csv", 'query,doc_id,grade,split\nhow to sort,d1,2,train\n"what, exactly, is a list",d2,1,dev\n'),
        (
            "pairs.csv",
            "\ufeffQuery; doc_id;grade;split;note\r\nhow to  sort;d1;2;train;\r\nwhat, exactly, is a list;d2;1;dev;x",
        ),
        (
            "pairs.tsv",
            "doc_id\tsplit\tgrade\tquery\nd1\ttrain\t2\thow to sort\n\nd2\tdev\t1\t what, exactly, is a list\n",
        ),
        (
            "pairs.jsonl",
            "".join(
                json.dumps({"query": query, "doc_id": doc_id, "grade": grade, "split": split}) + "\n"
                for query, doc_id, grade, split in ROWS
            ),
        ),
    ],
)
def test_every_format_gives_the_same_pairs(tmp_path: Path, name: str, text: str) -> None:
    path = _write(tmp_path, name, text)
    pairs = read_pairs(path)
    assert [(p.query.text, p.judgement.doc_id, p.judgement.grade, p.split) for p in pairs] == ROWS
    assert find_pairs(tmp_path) == path
    assert all(pair.query.query_id == pair.judgement.query_id for pair in pairs)


def test_rows_of_one_query_share_the_id_made_from_its_text(tmp_path: Path) -> None:
    pairs = read_pairs(_write(tmp_path, "pairs.csv", "query,doc_id\nhow to sort,d1\nHow to  sort?,d2\nother,d1\n"))
    ids = [pair.query.query_id for pair in pairs]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 17
    assert [pair.judgement.grade for pair in pairs] == [1, 1, 1]


def test_given_query_ids_are_kept_and_missing_ones_made(tmp_path: Path) -> None:
    pairs = read_pairs(_write(tmp_path, "pairs.csv", "query_id,query,doc_id,grade\n7,a,d1,0\n,b,d2,\n"))
    assert pairs[0].query.query_id == "7"
    assert pairs[1].query.query_id.startswith("q")
    assert [pair.judgement.grade for pair in pairs] == [0, 1]


def test_a_quoted_cell_may_go_over_lines_and_errors_name_the_first(tmp_path: Path) -> None:
    text = 'query,doc_id\n"how to\nsort",d1\n"and\nthen",\n'
    with pytest.raises(InputError, match=r"pairs\.csv, line 4: doc_id is missing"):
        read_pairs(_write(tmp_path, "pairs.csv", text))
    pairs = read_pairs(_write(tmp_path, "pairs.csv", text.replace('",\n', '",d2\n')))
    assert [pair.query.text for pair in pairs] == ["how to sort", "and then"]


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        (
            "pairs.csv",
            "question,doc_id\na,d1\n",
            1,
            "one column must be named query; the columns are query, doc_id and",
        ),
        ("pairs.csv", "query,document\na,d1\n", 1, "one column must be named doc_id"),
        ("pairs.csv", "query,doc_id,query\na,d1,b\n", 1, "one column must be named query"),
        ("pairs.csv", "", 1, "one column must be named query"),
        ("pairs.csv", "query,doc_id\na,d1,1\n", 2, "3 cells where the header has 2 columns"),
        ("pairs.csv", "query,doc_id\na\n", 2, "1 cells where"),
        ("pairs.csv", 'query,doc_id\na,d1\n"open,d2\nb,d3\n', 3, "is a quotation mark left open"),
        ("pairs.csv", 'query,doc_id\n"a"b,d1\n', 2, "not a row of the table"),
        ("pairs.csv", "query,doc_id\n" + "x" * 131_073 + ",d1\n", 2, "field larger than field limit"),
        ("pairs.csv", "query,doc_id\n ,d1\n", 2, "query is empty"),
        ("pairs.csv", "query,doc_id\na,\n", 2, "doc_id is missing"),
        ("pairs.csv", "query,doc_id,grade\na,d1,high\n", 2, "the grade 'high' is not a whole number"),
        (
            "pairs.csv",
            "query,doc_id,split\na,d1,validation\n",
            2,
            "the split 'validation' is not one of train, dev, test",
        ),
        ("pairs.csv", "query,doc_id,split\na,d1,train\nb,d1,\n", 3, "has no split where the first row has one"),
        ("pairs.csv", "query,doc_id,split\na,d1,\nb,d1,dev\n", 3, "has a split where the first row has none"),
        ("pairs.csv", "query,doc_id,query_id\na,d1,1\nb,d1,1\n", 3, "the query_id '1' has another query on line 2"),
        ("pairs.jsonl", '{"doc_id": "d"}\n', 1, "query is missing; the columns are"),
        ("pairs.jsonl", '{"query": 5, "doc_id": "d"}\n', 1, "query must be text"),
        ("pairs.jsonl", '{"query": "a", "doc_id": "d", "grade": 1.5}\n', 1, "the grade '1.5' is not"),
        ("pairs.jsonl", '{"query": "a", "doc_id": "d", "grade": true}\n', 1, "the grade 'True' is not"),
        ("pairs.jsonl", '{"query": "a", "doc_id": "d", "split": ["dev"]}\n', 1, "is not one of train, dev, test"),
        ("pairs.jsonl", '{"query": "a", "doc_id": ["d"]}\n', 1, "doc_id must be text"),
        ("pairs.jsonl", '[{"query": "a", "doc_id": "d"}]\n', 1, "must be a JSON object"),
    ],
)
def test_a_bad_table_is_named_with_file_and_line(tmp_path: Path, name: str, text: str, line: int, reason: str) -> None:
    with pytest.raises(InputError, match=rf"{name}, line {line}: .*{reason}"):
        read_pairs(_write(tmp_path, name, text))


def test_a_table_without_rows_and_two_tables_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, "pairs.csv", "query,doc_id\n")
    with pytest.raises(InputError, match=r"pairs\.csv holds no pair"):
        read_pairs(path)
    _write(tmp_path, "pairs.tsv", "query\tdoc_id\n")
    with pytest.raises(InputError, match=r"has pairs\.csv and pairs\.tsv; keep one of them"):
        find_pairs(tmp_path)
