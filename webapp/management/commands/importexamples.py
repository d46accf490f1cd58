"""`manage.py importexamples FILE --project SLUG --as E-MAIL`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from webapp.management.headless import HeadlessCommand, failed, is_stuck, wait
from webapp.models import Errand, Project, Role, Split, Upload, User
from webapp.selectors.readiness import readiness_of
from webapp.services import pairs
from webapp.uploads import copied

Stage = Upload.Stage


class Command(HeadlessCommand):
    """Import examples and wait for it."""

    help = "Import questions with judged documents: CSV, TSV, JSON lines, or qrels. Large files need a running worker."
    role: ClassVar[Role] = Role.EDITOR
    waits: ClassVar[bool] = True

    def declare(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("file", type=Path, help="the examples")
        parser.add_argument("--queries", type=Path, help="of qrels: the file with the questions")
        parser.add_argument(
            "--split", choices=Split.values, default="", help="of examples for which the file names none"
        )
        parser.add_argument("--accept", action="store_true", help="import the good rows although there are bad ones")

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Receive, check, decide, import."""
        assert project is not None
        with ExitStack() as stack:
            file = stack.enter_context(copied(options["file"]))
            queries = stack.enter_context(copied(options["queries"])) if options["queries"] else None
            upload = pairs.receive(project=project, file=file, queries=queries, split=options["split"], actor=person)
        self._follow(upload, options["timeout"])
        if upload.stage == Stage.QUESTION:
            self._decide(upload, person, options)
        if upload.stage != Stage.DONE:
            raise failed(upload.error or "The import was stopped.")
        made = upload.options.get("made", {})
        counts = dict(readiness_of(project).counts)
        self.say(
            f"Imported {made.get('questions', 0):,} new questions and {made.get('pairs', 0):,} grades; "
            f"{upload.rows_bad:,} rows left out."
        )
        self.say(f"Now: {counts['train']} training, {counts['dev']} held-out and {counts['test']} test examples.")
        return {"upload": upload.pk, "made": made, "left_out": upload.rows_bad, "counts": counts}

    def _follow(self, upload: Upload, seconds: float) -> None:
        def look() -> str:
            upload.refresh_from_db()
            if upload.stage not in (Stage.CHECKING, Stage.IMPORTING):
                return "over"
            errand = Errand.objects.filter(kind=pairs.KIND, subject=upload.pk).order_by("-pk").first()
            return "stuck" if errand and is_stuck(errand.state) else ""

        if wait(look, is_over=bool, seconds=seconds) == "stuck":
            raise failed("The work on this file failed or was stopped. The page Jobs says why.")

    def _decide(self, upload: Upload, person: User, options: Mapping[str, Any]) -> None:
        for problem in upload.problems[:10]:
            self.say(f"  line {problem['line']}: {problem['sentence']}")
        if upload.rows_bad and not options["accept"]:
            pairs.discard(upload=upload, actor=person)
            raise failed(
                f"{upload.rows_bad:,} rows cannot be used and {upload.rows_good:,} can. Nothing was imported; do it "
                "again with --accept to leave the bad ones out."
            )
        pairs.accept(upload=upload, actor=person)
        self._follow(upload, options["timeout"])
