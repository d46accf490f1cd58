"""Examples from files: what is left out and why, what is written, and back out again."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from sptar_engine.errors import InputError
from webapp.models import Corpus, Decision, Document, Errand, Judgement, Project, Query, Upload, User
from webapp.places import upload_folder
from webapp.reading.sources import Budget
from webapp.services import pair_checks, pair_writing, pairs
from webapp.services.pair_checks import among_themselves
from webapp.services.queries import new_ids
from webapp.services.undo import undo
from webapp.uploads import ReceivedFile

Write = Callable[..., Query]


def send(client: Client, project: Project, content: bytes, name: str = "pairs.csv", **more: object) -> Upload:
    data = {"file": SimpleUploadedFile(name, content), **more}
    response = client.post(f"/p/{project.slug}/examples/import/", data)
    assert response.status_code == 302, response.content.decode()
    return Upload.objects.latest("pk")


def accept(client: Client, upload: Upload) -> Upload:
    client.post(f"/p/{upload.project.slug}/examples/import/{upload.pk}/accept/")
    upload.refresh_from_db()
    return upload


def rows() -> set[tuple[str, str, int]]:
    return set(Judgement.objects.values_list("query__text", "doc_id", "grade"))


def test_every_reason_is_counted_and_the_rest_imported(
    client: Client, project: Project, corpus: Corpus, write: Write
) -> None:
    write("known question", d1=3, d2=0)
    Document.objects.create(corpus=corpus, doc_id="short", text="Closed on Mondays")
    table = """query,doc_id,grade,split,query_id
new question,d1,2,train,
new question,d1,2,train,
new question,d1,3,train,
new question,d2,1,test,
other question,nowhere,1,,
,d1,1,,
third question,d1,two,,
fourth question,d1,1,validate,
known question,d1,3,,
known question,d2,3,,
Closed on mondays?,short,2,,
fifth question,d5,,,a1
sixth question,d5,,,a1
"seventh question",d4
only a question,,,,
"""
    upload = send(client, project, table.encode())
    assert (upload.stage, upload.rows_good, upload.rows_bad) == ("question", 3, 12)
    assert upload.counts == Counter({
        "Same row twice": 1, "Grade differs from another one for the same pair": 2, "Question in two splits": 1,
        "Document that is not in this project": 1, "Question empty or too long": 1, "Grade that is no whole number": 1,
        "Unknown split": 1, "Judged so already": 1, "Question that is the text of its document": 1,
        "Question id with two texts": 1, "Not a row that can be read": 1,
    })  # fmt: skip
    assert len(upload.problems) == 10
    assert upload.problems[0]["line"] == 3
    accept(client, upload)
    assert upload.stage == "done"
    assert rows() == {
        ("known question", "d1", 3), ("known question", "d2", 0), ("new question", "d1", 2),
        ("fifth question", "d5", 1),
    }  # fmt: skip
    only = Query.objects.get(text="only a question")
    assert (only.status, only.origin) == ("open", "imported")
    assert Query.objects.values_list("split", "split_fixed").get(text="new question") == ("train", True)
    assert Query.objects.get(text="fifth question").query_id == "a1"


def test_an_import_is_one_step_that_is_undone_as_a_whole(
    client: Client, project: Project, corpus: Corpus, write: Write, owner: User
) -> None:
    known = write("known question", d1=3)
    before = rows()
    lines = "".join(f"question {number},d{number % 5 + 1},2,\n" for number in range(40))
    upload = send(client, project, f"query,doc_id,grade,split\n{lines}known question,d2,1,test\n".encode())
    accept(client, upload)
    known.refresh_from_db()
    assert (len(rows()), known.split, known.split_fixed) == (42, "test", True)
    decision = Decision.objects.latest("pk")
    assert decision.label == "Imported pairs.csv"
    undo(project=project, decision=decision, actor=owner)
    known.refresh_from_db()
    assert (rows(), Query.objects.count(), known.split_fixed) == (before, 1, False)


def test_a_file_without_a_usable_row_is_refused_with_reasons(client: Client, project: Project, corpus: Corpus) -> None:
    upload = send(client, project, b"query,doc_id\nsomething,nowhere\n")
    assert (upload.stage, upload.rows_good) == ("refused", 0)
    assert "No row can be imported" in upload.error


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,b\n1,2\n", b"\x00\x01\x02"])
def test_a_file_without_a_query_column_says_what_is_needed(
    client: Client, project: Project, corpus: Corpus, content: bytes
) -> None:
    if not content:
        response = client.post(
            f"/p/{project.slug}/examples/import/", {"file": SimpleUploadedFile("pairs.csv", content)}
        )
        assert response.status_code == 422
        return
    upload = send(client, project, content)
    assert (upload.stage, "named query" in upload.error) == ("refused", True)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("query\tdoc_id\nü one\td1\n".encode(), "x.tsv"),
        ("\ufeffquery;doc_id\r\nü one;d1\r\n".encode(), "x.csv"),
        ("query,doc_id\nü one,d1\n".encode("cp1252"), "x.csv"),
        ("query,doc_id\rü one,d1".encode(), "x.csv"),
        ("query\tdoc_id\nü one\td1\n".encode("utf-16"), "x.txt"),
        ('{"query": "ü one", "doc_id": "d1"}\n\n'.encode(), "x.jsonl"),
    ],
)
def test_delimiters_encodings_and_line_ends(
    client: Client, project: Project, corpus: Corpus, content: bytes, name: str
) -> None:
    accept(client, send(client, project, content, name))
    assert rows() == {("ü one", "d1", 1)}


@pytest.mark.parametrize(
    "line",
    ['{"query": "x", "doc_id"', '["x", "d1"]', '{"query": 3, "doc_id": "d1"}', '{"query": "x", "query": "y"}',
     '{"query": "x", "doc_id": "d1", "grade": NaN}', "[" * 100_000, '{"query": "x", "doc_id": "a\\tb"}'],
)  # fmt: skip
def test_a_broken_line_is_left_out_and_the_others_stay(
    client: Client, project: Project, corpus: Corpus, line: str
) -> None:
    upload = send(client, project, f'{line}\n{{"query": "fine", "doc_id": "d1"}}\n'.encode(), "x.jsonl")
    assert (upload.rows_good, upload.rows_bad, upload.problems[0]["line"]) == (1, 1, 1)


@pytest.mark.parametrize("qrels", [b"query-id\tcorpus-id\tscore\nq1\td1\t2\nq9\td1\t1\n", b"q1 0 d1 2\nq9 0 d1 1\n"])
def test_qrels_come_with_their_questions(client: Client, project: Project, corpus: Corpus, qrels: bytes) -> None:
    questions = SimpleUploadedFile("queries.jsonl", b'{"_id": "q1", "text": "first"}\n')
    upload = send(client, project, qrels, "test.tsv", queries=questions, split="test")
    assert upload.counts == {"Question that is not in the file of questions": 1}
    accept(client, upload)
    assert rows() == {("first", "d1", 2)}
    assert Query.objects.values_list("query_id", "split", "split_fixed").get() == ("q1", "test", True)


def test_qrels_alone_mean_the_projects_questions(
    client: Client, project: Project, corpus: Corpus, write: Write
) -> None:
    query = write("first")
    accept(client, send(client, project, f"{query.query_id} 0 d1 2\n".encode(), "qrels.txt"))
    assert rows() == {("first", "d1", 2)}


def test_all_pairs_in_the_test_split_is_said(client: Client, project: Project, corpus: Corpus) -> None:
    upload = send(client, project, b"query,doc_id,split\na question,d1,test\n")
    page = client.get(f"/p/{project.slug}/examples/import/{upload.pk}/").content.decode()
    assert "nothing to learn from" in page


def test_discarding_imports_nothing(client: Client, project: Project, corpus: Corpus) -> None:
    upload = send(client, project, b"query,doc_id\na question,d1\n")
    client.post(f"/p/{project.slug}/examples/import/{upload.pk}/discard/")
    response = client.post(f"/p/{project.slug}/examples/import/{upload.pk}/accept/", follow=True)
    assert "has gone on meanwhile" in response.content.decode()
    assert not Query.objects.exists()


def test_a_large_file_is_an_errand(
    client: Client, project: Project, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "IN_REQUEST", 10)
    upload = send(client, project, b"query,doc_id\na question,d1\n")
    assert upload.stage == "checking"
    assert Errand.objects.get().kind == "pairs.import"
    page = client.get(f"/p/{project.slug}/examples/import/{upload.pk}/").content.decode()
    assert "data-poll" in page


def test_a_large_import_is_written_in_pieces_and_again_without_doubling(
    project: Project, corpus: Corpus, owner: User, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    monkeypatch.setattr(pair_writing, "_UNDOABLE", 10)
    monkeypatch.setattr(pair_writing, "_BATCH", 7)
    beir(files, train=25)
    made = pairs.import_beir(project=project, folder=files, actor=owner)
    assert (made["questions"], made["pairs"], made["undoable"]) == (25, 25, False)
    assert not Decision.objects.exists()
    again = pairs.import_beir(project=project, folder=files, actor=owner)
    assert (again["questions"], again["pairs"], again["left_out"]) == (0, 0, {"Judged so already": 25})
    assert Judgement.objects.count() == 25
    assert Query.objects.filter(relevant=1, judged=1).count() == 25


def test_a_large_import_counts_for_questions_that_were_there(
    project: Project, corpus: Corpus, write: Write, owner: User, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    monkeypatch.setattr(pair_writing, "_UNDOABLE", 2)
    monkeypatch.setattr(pair_writing, "_BATCH", 2)
    known = write("question train0")
    beir(files, train=5)
    pairs.import_beir(project=project, folder=files, actor=owner)
    known.refresh_from_db()
    assert (known.relevant, known.judged, known.split) == (1, 1, "train")


def test_two_ids_of_one_question_of_which_the_project_has_one(
    client: Client, project: Project, corpus: Corpus, write: Write
) -> None:
    taken = [write("first of the project"), write("second of the project")]
    table = "".join(f"one text,d{at + 1},1,{row.query_id}\n" for at, row in enumerate(taken))
    upload = send(client, project, f"query,doc_id,grade,query_id\n{table}fine,d1,1,\n".encode())
    assert upload.counts == {"Question id with two texts": 2}
    assert accept(client, upload).stage == "done"


def test_an_id_of_the_file_is_not_made_for_another_question(client: Client, project: Project, corpus: Corpus) -> None:
    [made] = new_ids(project, ["second"])
    accept(client, send(client, project, f"query,doc_id,query_id\nsecond,d1,\nfirst,d1,{made}\n".encode()))
    assert dict(Query.objects.values_list("text", "query_id")) == {"first": made, "second": f"{made}-2"}


def test_a_file_of_too_many_rows_is_refused(
    client: Client, project: Project, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_checks, "MAX_ROWS", 3)
    upload = send(client, project, b"query,doc_id\n" + b"a question,d1\n" * 4)
    assert (upload.stage, upload.error) == ("refused", "The file has more than 3 rows. Split it into several files.")


def test_the_report_has_all_and_the_page_the_first_by_line(client: Client, project: Project, corpus: Corpus) -> None:
    lines = "".join(f"question {at},{'nowhere' if at % 2 else 'd1'},{'' if at % 2 else 'two'}\n" for at in range(30))
    upload = send(client, project, f"query,doc_id,grade\n{lines}fine,d1,1\n".encode())
    assert (upload.rows_good, upload.rows_bad) == (1, 30)
    assert [problem["line"] for problem in upload.problems] == list(range(2, 12))
    report = (upload_folder(upload) / "problems.csv").read_text(encoding="utf-8-sig")
    assert len(list(csv.reader(io.StringIO(report)))) == 31


def test_nothing_is_parsed_while_a_transaction_keeps_others_from_writing(
    project: Project, corpus: Corpus, owner: User, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = len(connection.savepoint_ids)
    open_then = []

    def spy(*given: object, **named: object) -> object:
        open_then.append(len(connection.savepoint_ids) - depth)
        return among_themselves(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(pairs, "among_themselves", spy)
    monkeypatch.setattr(ReceivedFile, "sync", lambda file: open_then.append(len(connection.savepoint_ids) - depth))
    (files / "in").write_bytes(b"query,doc_id\na question,d1\n")
    file = ReceivedFile(files / "in", name="pairs.csv", size=27)
    upload = pairs.receive(project=project, file=file, queries=None, split="", actor=owner)
    pairs.accept(upload=upload, actor=owner)
    assert (upload.stage, open_then) == ("done", [0, 0, 0])


def test_a_gzip_file_is_not_unpacked_to_see_what_it_is(
    client: Client, project: Project, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(Budget, "spend", lambda budget, count: read.append(count))
    assert send(client, project, gzip.compress(b"\n" * (8 << 20)), "x.tsv.gz").stage == "checking"
    assert sum(read) <= 1 << 20


def beir(folder: Path, **splits: int) -> None:
    (folder / "qrels").mkdir()
    names = {split: [f"{split}{number}" for number in range(count)] for split, count in splits.items()}
    queries = [{"_id": name, "text": f"question {name}"} for some in names.values() for name in some]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries), encoding="utf-8")
    for split, some in names.items():
        lines = "".join(f"{name}\td{number % 5 + 1}\t1\n" for number, name in enumerate(some))
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}", encoding="utf-8")


def test_the_splits_of_a_beir_dataset_are_kept(project: Project, corpus: Corpus, owner: User, files: Path) -> None:
    beir(files, train=3, dev=2, test=4)
    made = pairs.import_beir(project=project, folder=files, actor=owner)
    assert (made["questions"], made["pairs"], made["left_out"]) == (9, 9, {})
    found = Counter(Query.objects.filter(split_fixed=True).values_list("split", flat=True))
    assert found == {"train": 3, "dev": 2, "test": 4}


def test_a_question_in_two_splits_of_a_beir_dataset_leaks_nowhere(
    project: Project, corpus: Corpus, owner: User, files: Path
) -> None:
    beir(files, train=1, test=1)
    text = '{"_id": "train0", "text": "Same text"}\n{"_id": "test0", "text": "same  text?"}\n'
    (files / "queries.jsonl").write_text(text, encoding="utf-8")
    made = pairs.import_beir(project=project, folder=files, actor=owner)
    assert made["left_out"] == {"Question in two splits": 1}
    assert Query.objects.get().split == "train"


def test_a_beir_dataset_without_questions_is_an_input_error(project: Project, owner: User, files: Path) -> None:
    with pytest.raises(InputError, match=r"queries\.jsonl is missing"):
        pairs.import_beir(project=project, folder=files, actor=owner)


TRICKY = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "'=already quoted", "''twice", "'tis the season",
    'a "quoted", word; and more', "\uff1dfull width", "1,5 plain", "it's",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_comes_back_as_it_was(
    client: Client, project: Project, corpus: Corpus, write: Write, kind: str
) -> None:
    Document.objects.create(corpus=corpus, doc_id="=1+2", text="x")
    Document.objects.create(corpus=corpus, doc_id="-7", text="y")
    for text in TRICKY:
        write(text, **{"=1+2": 3, "-7": 0})
    write("nothing judged")
    before = rows(), set(Query.objects.values_list("query_id", "text"))
    response = client.get(f"/p/{project.slug}/examples/export/{kind}/")
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert response.headers["Content-Disposition"].startswith("attachment")
    if kind == "csv":
        cells = [cell for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\uff1d"))]
    Query.objects.all().delete()
    accept(client, send(client, project, content, f"back.{kind}"))
    assert (rows(), set(Query.objects.values_list("query_id", "text"))) == before


def test_the_report_of_what_is_left_out_runs_no_formula(client: Client, project: Project, corpus: Corpus) -> None:
    upload = send(client, project, b"query,doc_id\n=cmd(),nowhere\nfine,d1\n")
    response = client.get(f"/p/{project.slug}/examples/import/{upload.pk}/problems/")
    content = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert "'=cmd()" in content
