"""CSV and TSV: guesses, mapping, rows that cannot be read."""

from __future__ import annotations

import pytest

from webapp.reading.rows import Found, Group, Problem, Row
from webapp.reading.table_guess import guess_table
from webapp.reading.tables import read_table

ROLES = ("id", "title", "text")


def read(text: str, roles: tuple[str, ...] = ROLES, *, header: bool = True, delimiter: str = ",") -> list[Found]:
    return list(
        read_table([text.encode()], encoding="utf-8", delimiter=delimiter, header=header, roles=roles)
    )  # fmt: skip


def test_cells_go_over_lines_and_rows_keep_the_line_they_begin_on() -> None:
    found = read('id,title,text\n1,T,"one\ntwo"\n2,U,three\n')

    assert found == [Row(2, "1", "T", "one\ntwo"), Row(4, "2", "U", "three")]


def test_several_text_columns_are_joined_and_rows_without_id_are_named_by_line() -> None:
    assert read("q,a\nwhy,so\nhow,\n", ("text", "text")) == [
        Row(2, "row-2", "", "why\n\nso"),
        Row(3, "row-3", "", "how"),
    ]


def test_blanks_round_an_id_cell_do_not_count_and_rows_of_nothing_are_skipped() -> None:
    assert read("id,title,text\n 1 ,T,x\n,,\n\n") == [Row(2, "1", "T", "x")]


def test_a_row_with_too_few_cells_is_a_problem_and_empty_cells_at_the_end_are_none() -> None:
    short, long = read("id,title,text\n1,T\n2,T,x,,\n")

    assert isinstance(short, Problem)
    assert short.reason == "2 cells where the table has 3 columns"
    assert long == Row(3, "2", "T", "x")


def test_a_quotation_mark_left_open_costs_one_row_only() -> None:
    found = read('id,title,text\n1,T,"open\n2,T,x\n3,T,y\n')

    assert [row.line for row in found] == [2, 3, 4]
    assert isinstance(found[0], Problem)
    assert found[0].group == Group.BROKEN
    assert "is a quotation mark left open?" in found[0].reason
    assert found[1:] == [Row(3, "2", "T", "x"), Row(4, "3", "T", "y")]


def test_a_line_in_another_encoding_costs_one_row_only() -> None:
    raw = b"id,title,text\n1,T,x\n2,T,\xe9\n3,T,y\n"

    found = list(read_table([raw], encoding="utf-8", delimiter=",", header=True, roles=ROLES))

    assert [type(row) for row in found] == [Row, Problem, Row]
    assert found[1].line == 3


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_itself() -> None:
    text = "x" * 200_000

    assert read(f"id,title,text\n1,T,{text}\n") == [Row(2, "1", "T", text)]


@pytest.mark.parametrize(("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_the_delimiter_is_guessed(delimiter: str, name: str) -> None:
    table = "\n".join(delimiter.join([str(row), f"Title {row}", "A longer text."]) for row in range(5))

    assert guess_table(table.encode(), "utf-8").delimiter == delimiter, name


def test_columns_are_guessed_by_their_names() -> None:
    guess = guess_table(b"Nr;Titel;Jahr;Inhalt\n1;A;1999;Ein Text\n2;B;2000;Noch einer\n", "utf-8")

    assert (guess.delimiter, guess.header) == (";", True)
    assert guess.roles == ["id", "title", "", "text"]


def test_columns_without_names_are_guessed_by_their_content() -> None:
    guess = guess_table(b"k1,The library opens at nine every day.\nk2,A lost card costs five euros.\n", "utf-8")

    assert not guess.header
    assert guess.roles == ["id", "text"]


def test_a_header_of_unknown_names_is_seen_by_its_shortness() -> None:
    guess = guess_table(b"a,b\n1,The library opens at nine every day.\n2,A lost card costs five euros.\n", "utf-8")

    assert guess.header
    assert guess.roles == ["", "text"]
