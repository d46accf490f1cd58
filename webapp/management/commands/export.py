"""`manage.py export WHAT --project SLUG --as E-MAIL --out FILE`."""

from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.http import Http404

from webapp.access import find_membership, require
from webapp.archive_kinds import KINDS
from webapp.management.headless import HeadlessCommand, failed, wait
from webapp.models import Experiment, Project, Role, User
from webapp.selectors import archives as found
from webapp.selectors.example_files import FORMATS, lines_of
from webapp.selectors.examples import Filter, pairs
from webapp.services import archives

EXAMPLES = {f"examples.{kind}": kind for kind in FORMATS}


class Command(HeadlessCommand):
    """Write what a project has into a file."""

    help = "Write examples, or what an experiment has to give, into a file. Archives need a running worker."
    waits: ClassVar[bool] = True

    def declare(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("what", choices=[*EXAMPLES, *KINDS])
        parser.add_argument("--out", type=Path, required=True, help="the file to write; one that is there is replaced")
        parser.add_argument("--experiment", type=int, help="its number; the newest with a packed model by default")
        parser.add_argument("--box", action="append", help="what goes in; as ticked on the page Download by default")
        parser.add_argument("--format", default="", help="of generated questions: csv, jsonl or beir")

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Write it."""
        assert project is not None
        out: Path = options["out"]
        if (kind := EXAMPLES.get(options["what"])) is not None:
            with _replacing(out).open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(lines_of(pairs(project, Filter()), kind))
            details: dict[str, Any] = {}
        else:
            details = self._archive(person, project, options)
        os.replace(_replacing(out), out)
        self.say(f"{out}: {out.stat().st_size:,} bytes")
        return {"file": str(out), "bytes": out.stat().st_size, **details}

    def _archive(self, person: User, project: Project, options: Mapping[str, Any]) -> dict[str, Any]:
        require(Role(find_membership(project.slug, person.pk).role), Role.EDITOR)
        kind = KINDS[options["what"]]
        ticked = [box.key for box in kind.boxes if box.ticked]
        archive, _ = archives.ask(
            experiment=_experiment(project, options["experiment"]), kind=kind.key, actor=person,
            boxes=options["box"] if options["box"] is not None else ticked, chosen=options["format"],
        )  # fmt: skip

        def look() -> found.Shown:
            archive.refresh_from_db()
            return found.shown(archive)

        shown = wait(look, is_over=lambda one: not one.is_open, seconds=options["timeout"])
        file = found.file_of(archive)
        if file is None:
            raise failed(shown.errand.error if shown.errand and shown.errand.error else f"{shown.label}.")
        shutil.copyfile(file, _replacing(options["out"]))
        return {"sha256": archive.sha256, "name": archive.name}


def _experiment(project: Project, number: int | None) -> Experiment:
    experiment = found.shelf_of(project, number).experiment
    if experiment is None:
        raise Http404
    return experiment


def _replacing(out: Path) -> Path:
    """Where it is written before it takes the place of `out`, so that half a file is never found there."""
    return out.with_name(f".{out.name}.part")
