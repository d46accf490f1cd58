"""T46: everything comes back, on another machine, on the other database, and across a migration; nothing by halves."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.webapp.operations.machines import ROOT, Machine

MakeMachine = Callable[..., Machine]

_LATER = """
from django.db import migrations, models


def shout(apps, schema_editor):
    for query in apps.get_model("webapp", "Query").objects.all():
        query.note = query.note.upper()
        query.save()


class Migration(migrations.Migration):
    dependencies = [("webapp", "{before}")]
    operations = [
        migrations.AddField("project", "colour", models.CharField(default="green", max_length=10)),
        migrations.RunPython(shout, migrations.RunPython.noop),
    ]
"""


@pytest.fixture
def later_code(tmp_path: Path) -> dict[str, str]:
    """Variables under which the code has one migration more than it has today."""
    folder = tmp_path / "later"
    shutil.copytree(ROOT / "webapp" / "migrations", folder / "later_migrations")
    last = sorted(path.stem for path in (folder / "later_migrations").glob("0*.py"))[-1]
    (folder / "later_migrations" / "9999_later.py").write_text(_LATER.replace("{before}", last))
    (folder / "later_settings.py").write_text(
        "from webapp.settings import *\nMIGRATION_MODULES = {'webapp': 'later_migrations'}\n"
    )
    return {"DJANGO_SETTINGS_MODULE": "later_settings", "PYTHONPATH": str(folder)}


@pytest.fixture
def full(machine: MakeMachine) -> Machine:
    """A machine with rows in every table and files of every kind."""
    made = machine("full")
    made.fill()
    return made


def test_everything_is_back_on_an_empty_machine(machine: MakeMachine, full: Machine, tmp_path: Path) -> None:
    before = full.rows()
    empty_tables = [name for name, rows in before.items() if not rows]
    assert empty_tables == [], "the test must put a row into every table"
    assert full.manage("backup", str(tmp_path / "b.zip")).returncode == 0

    other = machine("other")
    done = other.manage("restore", str(tmp_path / "b.zip"))
    assert done.returncode == 0, done.stderr
    assert other.rows() == before
    kept = {"uploads/1/original", "corpora/1/corpus.jsonl", "datasets/abc/corpus.jsonl",
            "store/stages/tune-1/result.json", "store/stages/tune-1/adapter.safetensors"}  # fmt: skip
    assert _files(other.data / "projects" / "slug1") == kept
    for name in kept:
        here, there = (one.data / "projects" / "slug1" / name for one in (full, other))
        assert here.read_bytes() == there.read_bytes()
    corpus, snapshot = (other.data / "projects/slug1" / name / "corpus.jsonl" for name in ("corpora/1", "datasets/abc"))
    assert corpus.samefile(snapshot), "a hard link stays one"
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0


def test_results_can_be_left_out(machine: MakeMachine, full: Machine, tmp_path: Path) -> None:
    assert full.manage("backup", "--without-results", str(tmp_path / "b.zip")).returncode == 0
    other = machine("other")
    assert other.manage("restore", str(tmp_path / "b.zip")).returncode == 0
    assert _files(other.data / "projects" / "slug1") == {
        "uploads/1/original", "corpora/1/corpus.jsonl", "datasets/abc/corpus.jsonl",
    }  # fmt: skip
    assert other.rows() == full.rows()


def test_an_older_backup_is_migrated(
    machine: MakeMachine, full: Machine, later_code: dict[str, str], tmp_path: Path
) -> None:
    assert full.manage("backup", str(tmp_path / "b.zip")).returncode == 0
    later = machine("later-machine", **later_code)
    done = later.manage("restore", str(tmp_path / "b.zip"))
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(later.data / "sptar.sqlite3") as database:
        colours = database.execute("SELECT colour FROM webapp_project").fetchall()
        notes = [note for (note,) in database.execute("SELECT note FROM webapp_query")]
    assert colours == [("green",), ("green",)]
    assert notes
    assert all("TAB" in note for note in notes)


def test_a_backup_works_before_the_migration_of_newer_code(
    machine: MakeMachine, full: Machine, later_code: dict[str, str], tmp_path: Path
) -> None:
    before = full.rows()
    newer_code = Machine(full.data, later_code)
    assert newer_code.manage("backup", str(tmp_path / "b.zip")).returncode == 0
    other = machine("other")
    assert other.manage("restore", str(tmp_path / "b.zip")).returncode == 0
    assert other.rows() == before


def test_a_backup_of_newer_code_is_refused(machine: MakeMachine, later_code: dict[str, str], tmp_path: Path) -> None:
    later = machine("later-machine", **later_code)
    later.migrate()
    assert later.manage("backup", str(tmp_path / "b.zip")).returncode == 0
    other = machine("other")
    done = other.manage("restore", str(tmp_path / "b.zip"))
    assert done.returncode == 1
    assert "made by a newer version of SPTAR, with the migration webapp.9999_later" in done.stderr
    assert not (other.data / "projects").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.999])
def test_half_a_file_is_refused(machine: MakeMachine, full: Machine, tmp_path: Path, share: float) -> None:
    whole = tmp_path / "b.zip"
    assert full.manage("backup", str(whole)).returncode == 0
    half = tmp_path / "half.zip"
    half.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    other = machine("other")
    done = other.manage("restore", str(half))
    assert done.returncode == 1
    assert "only a part of one" in done.stderr or "is not whole" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_member_is_refused(machine: MakeMachine, full: Machine, tmp_path: Path) -> None:
    assert full.manage("backup", str(tmp_path / "b.zip")).returncode == 0
    with (
        zipfile.ZipFile(tmp_path / "b.zip") as source,
        zipfile.ZipFile(tmp_path / "changed.zip", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            text = source.read(entry)
            target.writestr(entry, text.replace(b"weights", b"weighed") if "adapter" in entry.filename else text)
        target.comment = source.comment
    other = machine("other")
    done = other.manage("restore", str(tmp_path / "changed.zip"))
    assert done.returncode == 1
    assert "is damaged: the checksum of" in done.stderr
    assert not (other.data / "projects").exists()


def test_a_changed_manifest_is_refused(machine: MakeMachine, full: Machine, tmp_path: Path) -> None:
    assert full.manage("backup", str(tmp_path / "b.zip")).returncode == 0
    text = (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.comment = b"0" * 64
    assert text != (tmp_path / "b.zip").read_bytes()
    done = machine("other").manage("restore", str(tmp_path / "b.zip"))
    assert done.returncode == 1
    assert "was changed after the backup was made" in done.stderr


def test_nothing_is_restored_over_something(full: Machine, tmp_path: Path) -> None:
    before = full.rows()
    assert full.manage("backup", str(tmp_path / "b.zip")).returncode == 0
    done = full.manage("restore", str(tmp_path / "b.zip"))
    assert done.returncode == 1
    assert "already" in done.stderr
    assert full.rows() == before


def test_a_backup_never_replaces_a_file(full: Machine, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("mine")
    done = full.manage("backup", str(tmp_path / "mine.zip"))
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert (tmp_path / "mine.zip").read_text() == "mine"


def test_others_write_while_a_backup_is_made_and_it_shows_one_moment(full: Machine, tmp_path: Path) -> None:
    """A writer keeps two tables equal in one transaction; a backup in between must never see them differ."""
    stop, errors, written = threading.Event(), [], 0

    def write() -> None:
        nonlocal written
        database = sqlite3.connect(full.data / "sptar.sqlite3", timeout=10, isolation_level=None)
        try:
            while not stop.is_set():
                database.execute("BEGIN IMMEDIATE")
                for table, column in (("webapp_user", "name"), ("webapp_weakquery", "reason")):
                    database.execute(f"UPDATE {table} SET {column} = ?", (f"n{written}",))  # noqa: S608 fixed names
                database.execute("COMMIT")
                written += 1
        except sqlite3.Error as error:
            errors.append(error)
        finally:
            database.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = full.manage("backup", str(tmp_path / "b.zip"))
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert errors == []
    assert written > 10
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        tables = {one["model"]: one["columns"] for one in json.loads(archive.read("manifest.json"))["tables"]}
        seen = set()
        for table, column in (("webapp.user", "name"), ("webapp.weakquery", "reason")):
            rows = map(json.loads, archive.read(f"rows/{table}.jsonl").splitlines())
            seen |= {row[tables[table].index(column)] for row in rows}
    assert len(seen) == 1


@pytest.mark.postgres
def test_rows_move_between_the_two_databases(
    machine: MakeMachine, full: Machine, postgres_database: str, tmp_path: Path
) -> None:
    before = full.rows()
    assert full.manage("backup", str(tmp_path / "first.zip")).returncode == 0
    server = machine("server", DATABASE_URL=postgres_database)
    done = server.manage("restore", str(tmp_path / "first.zip"))
    assert done.returncode == 0, done.stderr
    assert server.rows() == before
    assert "created" in server.manage("shell", "-c", _MAKE_A_ROW).stdout, "new keys begin behind the restored ones"

    again = server.rows()
    assert server.manage("backup", str(tmp_path / "second.zip")).returncode == 0
    back = machine("back")
    assert back.manage("restore", str(tmp_path / "second.zip")).returncode == 0
    assert back.rows() == again


_MAKE_A_ROW = "from webapp.models import Project; p = Project.objects.create(name='new'); print('created', p.pk > 702)"


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
