from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sptar_engine.artifacts import checksums
from sptar_engine.data.beir import SPLITS, read_corpus, read_qrels, read_queries
from sptar_engine.data.sample import builder, documents
from sptar_engine.data.sample.builder import SampleReport, collect_documents, read_questions, write_sample
from sptar_engine.errors import InputError
from sptar_engine.records import Document

ROOT = Path(builder.__file__).parents[3]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleReport]:
    out = tmp_path_factory.mktemp("sample") / "stdlib"
    return out, write_sample(out)


@pytest.fixture(scope="module")
def collected() -> list[Document]:
    return collect_documents()[0]


@pytest.fixture(scope="module")
def corpus(collected: list[Document]) -> dict[str, Document]:
    return {document.doc_id: document for document in collected}


def test_documents_are_neither_few_nor_many_and_never_short(corpus: dict[str, Document]) -> None:
    assert 1_500 <= len(corpus) <= 3_000
    assert min(len(document.text.split()) for document in corpus.values()) >= documents.MIN_WORDS


@pytest.mark.parametrize("field", ["doc_id", "title", "text"])
def test_no_two_documents_share_an_id_a_title_or_a_text(collected: list[Document], field: str) -> None:
    counts = Counter(getattr(document, field) for document in collected)
    assert [value for value, count in counts.items() if count > 1] == []


def test_documents_name_no_place_in_memory_or_on_this_machine(corpus: dict[str, Document]) -> None:
    machine = re.compile(r"\bat 0x[0-9a-f]+|" + re.escape(sys.prefix) + "|" + re.escape(str(Path.home())))
    assert [doc_id for doc_id, document in corpus.items() if machine.search(document.text)] == []


@pytest.mark.parametrize(
    ("doc_id", "title"),
    [
        ("csv", "csv"),
        ("_csv.reader", "csv.reader"),
        ("posix.listdir", "os.listdir"),
        ("asyncio.tasks.gather", "asyncio.gather"),
        ("builtins.str.split", "str.split"),
        ("unittest.case.TestCase.assertRaises", "unittest.TestCase.assertRaises"),
        ("xml.etree.ElementTree.ElementTree.find", "xml.etree.ElementTree.ElementTree.find"),
    ],
)
def test_title_is_the_name_people_import(corpus: dict[str, Document], doc_id: str, title: str) -> None:
    assert corpus[doc_id].title == title


def test_inherited_and_private_methods_and_aliases_are_no_documents(corpus: dict[str, Document]) -> None:
    assert "collections.OrderedDict.move_to_end" in corpus
    assert not {"collections.Counter.setdefault", "os.listdir", "unittest.TestCase"} & corpus.keys()
    listed = sorted(documents.MODULES, key=len)
    for doc_id in corpus:
        module = next(name for name in reversed(listed) if f"{doc_id}.".startswith(f"{name}."))
        assert not re.search(r"(^|\.)_", doc_id[len(module) + 1 :])


def test_written_files_read_back_as_a_dataset(sample: tuple[Path, SampleReport]) -> None:
    out, report = sample
    corpus, queries = read_corpus(out), read_queries(out)
    qrels = {split: read_qrels(out, split) for split in SPLITS}

    assert list(corpus) == sorted(corpus)
    assert len(corpus) == report.documents
    assert {split: len(judged.grades) for split, judged in qrels.items()} == report.queries
    assert sum(judged.pairs for judged in qrels.values()) == report.pairs
    assert {doc_id for judged in qrels.values() for grades in judged.grades.values() for doc_id in grades} <= set(
        corpus
    )
    assert sorted(query_id for judged in qrels.values() for query_id in judged.grades) == sorted(queries)
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name]


def test_this_interpreter_answers_every_question(sample: tuple[Path, SampleReport]) -> None:
    _, report = sample
    assert (report.dropped_queries, report.skipped_modules) == ((), ())
    assert len(report.dropped_ids) <= 5  # none on 3.11.7; 3.11.2 lacks four
    assert report.queries["train"] == 50
    assert report.queries["dev"] == 40
    assert report.queries["test"] >= 70


def test_no_question_comes_twice_and_every_grade_is_one_or_two() -> None:
    questions = read_questions()
    texts = Counter(" ".join(re.findall(r"\w+", question.query.text.casefold())) for question in questions)
    assert [text for text, count in texts.items() if count > 1] == []
    assert len({question.query.query_id for question in questions}) == len(questions)
    assert {grade for question in questions for grade in question.relevant.values()} == {1, 2}
    assert all(2 in question.relevant.values() for question in questions)


def test_every_split_has_every_voice_and_many_modules() -> None:
    lines = Path(builder.__file__).with_name("questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        assert {row["voice"] for row in chosen} == {"beginner", "error", "keywords", "task"}
        assert len({doc_id.split(".")[0] for row in chosen for doc_id in row["relevant"]}) >= 30


def test_another_process_with_another_hash_seed_writes_the_same_bytes_and_says_nothing(
    sample: tuple[Path, SampleReport], tmp_path: Path
) -> None:
    (tmp_path / "csv.py").write_text("raise SystemExit('a file beside the user stood in for a module')")
    code = "import sys; sys.path.append(sys.argv[1]); from pathlib import Path\n"
    code += "from sptar_engine.data.sample.builder import write_sample; write_sample(Path(sys.argv[2]))"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "HOME": str(tmp_path), "LC_ALL": "C"}
    command = [sys.executable, "-P", "-W", "error", "-c", code, str(ROOT), "again"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert checksums(tmp_path / "again") == checksums(sample[0])


def test_a_patched_library_in_this_process_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, collected: list[Document]
) -> None:
    monkeypatch.setattr("textwrap.shorten", lambda text, width: text)
    assert "textwrap.shorten" not in {entry.doc_id for entry in documents.collect(["textwrap"])[0]}
    assert collect_documents()[0] == collected


def test_answers_and_modules_that_are_missing_here_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entries, skipped = documents.collect(["csv", "no_such_module", "_csv", "glob"])
    few = [Document(entry.doc_id, entry.text, entry.title) for entry in entries]
    monkeypatch.setattr(builder, "collect_documents", lambda: (few, tuple(skipped)))
    report = write_sample(tmp_path / "small")

    assert report.skipped_modules == ("no_such_module",)
    assert {"builtins.str.split", "posix.stat"} <= set(report.dropped_ids)
    assert not {"csv", "_csv.reader", "glob.glob"} & set(report.dropped_ids)
    assert len(report.dropped_queries) + sum(report.queries.values()) == len(read_questions())
    assert sum(report.queries.values()) == len(read_queries(tmp_path / "small"))
    judged = [read_qrels(tmp_path / "small", split) for split in SPLITS]
    assert sum(qrels.pairs for qrels in judged) == report.pairs


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        write_sample(tmp_path)
    with pytest.raises(InputError, match=r"mine\.txt"):
        write_sample(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    write_sample(out)
    assert sorted(path.name for path in out.iterdir()) == ["corpus.jsonl", "qrels", "queries.jsonl"]


def test_a_failed_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(builder, "write_dataset", fail)
    with pytest.raises(OSError, match="disk full"):
        write_sample(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
