"""`manage.py importdocuments FILE --project SLUG --as E-MAIL`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from webapp.management.headless import HeadlessCommand, failed, wait
from webapp.models import Chunking, Corpus, Project, Role, Upload, User
from webapp.selectors.corpus_health import health_of
from webapp.selectors.uploads import WORKING, progress
from webapp.services import upload_orders, uploads
from webapp.uploads import copied

Stage = Upload.Stage


class Command(HeadlessCommand):
    """Import documents and wait for it."""

    help = "Import a file of documents, wait until it is done, and print the health report. Needs a running worker."
    role: ClassVar[Role] = Role.EDITOR
    waits: ClassVar[bool] = True

    def declare(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument(
            "file", type=Path, help="JSON lines, CSV, TSV, text, PDF, Word, or a zip of them; also gzip"
        )
        parser.add_argument("--chunking", choices=Chunking.values, help="whether long documents are cut")
        parser.add_argument("--accept", action="store_true", help="import the good rows although there are bad ones")

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Receive, check, decide, import."""
        assert project is not None
        with copied(options["file"]) as file:
            upload = uploads.receive(project=project, file=file, actor=person)
        wishes = {"chunking": options["chunking"]} if options["chunking"] else {}
        upload_orders.check(upload=upload, actor=person, wishes=wishes)
        self.say(f"Received {upload.name}; it is being checked.")
        self._follow(upload, options["timeout"])
        if upload.stage == Stage.QUESTION:
            self._decide(upload, person, options)
        if upload.stage != Stage.DONE:
            raise failed(upload.error or "The import was cancelled.")
        corpus = Corpus.objects.select_related("upload").get(upload=upload, ready=True)
        self._report(corpus, upload)
        return {
            "upload": upload.pk, "version": corpus.number, "documents": corpus.documents, "left_out": upload.rows_bad,
            "health": corpus.health, "remarks": [_line(remark) for remark in health_of(corpus).remarks],
        }  # fmt: skip

    def _follow(self, upload: Upload, seconds: float) -> None:
        """Wait until no worker has anything to do with it."""

        def look() -> bool:
            upload.refresh_from_db()
            return upload.stage not in WORKING or progress(upload).is_over

        wait(look, is_over=bool, seconds=seconds)
        if upload.stage in WORKING:
            raise failed(progress(upload).error)

    def _decide(self, upload: Upload, person: User, options: Mapping[str, Any]) -> None:
        for problem in upload.problems[:10]:
            self.say(f"  {problem.get('place') or 'line ' + str(problem.get('line'))}: {problem['reason']}")
        if not options["accept"]:
            raise failed(
                f"{upload.rows_bad:,} rows cannot be used and {upload.rows_good:,} can. Nothing was imported; do it "
                "again with --accept to leave the bad ones out."
            )
        chunking = options["chunking"] or upload.options.get("chunking", Chunking.NONE)
        uploads.import_good(upload=upload, chunking=chunking, actor=person)
        self._follow(upload, options["timeout"])

    def _report(self, corpus: Corpus, upload: Upload) -> None:
        self.say(f"Version {corpus.number}: {corpus.documents:,} documents, {upload.rows_bad:,} rows left out.")
        for remark in health_of(corpus).remarks:
            self.say(f"  {_line(remark)}")


def _line(remark: Any) -> str:
    mark = "!" if remark.state == "warn" else " "
    return f"{mark} {remark.name}: {remark.sentence} {remark.todo}".rstrip()
