"""Files of a comparison: figures as CSV, run files and judgements for TREC tools, charts as SVG, and the report."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from sptar_engine.arms import BM25, read_cell
from sptar_engine.errors import SptarError
from sptar_engine.evaluation.run_lines import encode_id
from webapp.access import project_view
from webapp.cells import in_order
from webapp.downloads import EchoFile, attachment, exact_cell
from webapp.models import Experiment, Project, Role
from webapp.selectors import comparison_page as page
from webapp.selectors import measured
from webapp.selectors.comparisons import ALL_MEASURES, JUDGED, baselines_of
from webapp.selectors.measured import Version
from webapp.selectors.report import picture, report_html
from webapp.selectors.words import arm_name
from webapp.views.compare import find

Row = list[str | int | float]


@project_view(Role.VIEWER)
@require_GET
def export(request: HttpRequest, project: Project, number: int, kind: str) -> HttpResponseBase:
    """One file, by the judgements that the address names (the newest else)."""
    experiment = find(project, number)
    version = page.version_named(measured.versions_of(experiment), request.GET.get("judgements", ""))
    make = _KINDS.get(kind)
    if make is None or not version.arms:
        raise Http404("There is no such file.")
    response, ending = make(request, experiment, version)
    words = f" judgements {version.number}" if version.number else ""
    return attachment(response, f"{project.name} experiment {number}{words} {ending}")


@project_view(Role.VIEWER)
@require_GET
def run_file(request: HttpRequest, project: Project, number: int, arm: str, repeat: int) -> HttpResponseBase:
    """What one search found for all test questions, as trec_eval reads it."""
    del request
    runs = measured.runs_of(find(project, number)).get(arm, [])
    path = runs[repeat - 1] if 1 <= repeat <= len(runs) else None
    if path is None or not path.is_file():
        raise Http404("There is no such run.")
    return attachment(_file(path), f"{project.name} experiment {number} {arm} {repeat}.trec")


def _table(request: HttpRequest, experiment: Experiment, version: Version) -> tuple[HttpResponseBase, str]:
    del request
    return _csv(_table_rows(experiment, version)), "figures.csv"


def _questions(request: HttpRequest, experiment: Experiment, version: Version) -> tuple[HttpResponseBase, str]:
    del request
    return _csv(_question_rows(experiment, version)), "questions.csv"


def _qrels(request: HttpRequest, experiment: Experiment, version: Version) -> tuple[HttpResponseBase, str]:
    del request
    try:
        qrels = measured.qrels_of(experiment, version)
    except SptarError:
        raise Http404("The judgements are not on disk any more.") from None
    lines = (
        f"{encode_id(query_id)} 0 {encode_id(doc_id)} {grade}\n"
        for query_id, grades in qrels.grades.items()
        for doc_id, grade in grades.items()
    )
    return StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8"), "qrels.txt"


def _svg_means(request: HttpRequest, experiment: Experiment, version: Version) -> tuple[HttpResponseBase, str]:
    del request
    chart = page.figures_of(experiment, version).chart
    return _svg("charts/_intervals_svg.html", {"chart": chart}), "means.svg"


def _svg_questions(request: HttpRequest, experiment: Experiment, version: Version) -> tuple[HttpResponseBase, str]:
    choice = page.choose(version, in_order(version.arms), request.GET.get("arm", ""), request.GET.get("against", ""))
    if choice is None:
        raise Http404("There are no two searches to compare.")
    scores, questions = measured.scores_of(experiment, version), measured.questions_of(experiment)
    plot = page.plot_of(page.deltas_of(experiment, scores, choice, questions, version), choice)
    if plot is None:
        raise Http404("The values by question are not on disk any more.")
    return _svg("charts/_deltas_svg.html", {"plot": plot}), "questions.svg"


def _report(request: HttpRequest, experiment: Experiment, version: Version) -> tuple[HttpResponseBase, str]:
    del request
    return HttpResponse(report_html(experiment, version), content_type="text/html; charset=utf-8"), "report.html"


_KINDS: dict[str, Callable[[HttpRequest, Experiment, Version], tuple[HttpResponseBase, str]]] = {
    "figures": _table, "questions": _questions, "qrels": _qrels, "means-chart": _svg_means,
    "questions-chart": _svg_questions, "report": _report,
}  # fmt: skip


def _svg(template: str, context: dict[str, object]) -> HttpResponse:
    return HttpResponse(picture(template, context), content_type="image/svg+xml; charset=utf-8")


def _file(path: Path) -> FileResponse:
    return FileResponse(path.open("rb"), content_type="text/plain; charset=utf-8")


def _csv(rows: Iterator[Row]) -> StreamingHttpResponse:
    """Cells that no spreadsheet runs, with the mark by which spreadsheets see that it is UTF-8."""
    writer = csv.writer(EchoFile())
    lines = (writer.writerow([exact_cell(cell) if isinstance(cell, str) else cell for cell in row]) for row in rows)
    return StreamingHttpResponse(_marked(lines), content_type="text/csv; charset=utf-8")  # type: ignore[arg-type]  # EchoFile gives the line back


def _marked(lines: Iterator[str]) -> Iterator[str]:
    yield "\ufeff"
    yield from lines


_VERSUS = ("against", "difference", "difference low", "difference high", "p", "t-test p", "verdict", "questions")


def _table_rows(experiment: Experiment, version: Version) -> Iterator[Row]:
    measures = [*ALL_MEASURES, *([JUDGED] if measured.has_grade_0(experiment, version) else [])]
    columns = [f"{one}{part}" for one in measures for part in ("", " low", " high")]
    yield ["search", "family", "name", *columns, *_VERSUS]
    for arm in in_order(version.arms):
        found = version.arms[arm]
        values = [found[one][part] if one in found else "" for one in measures for part in ("mean", "low", "high")]
        for other in baselines_of(arm, found["versus"]) or [""]:
            versus = found["versus"].get(other, {})
            numbers = [versus.get(name, "") for name in ("difference", "low", "high", "p", "t_p", "verdict", "queries")]
            yield [arm, "" if arm == BM25 else read_cell(arm).family, arm_name(arm), *values, other, *numbers]


def _question_rows(experiment: Experiment, version: Version) -> Iterator[Row]:
    scores, questions = measured.scores_of(experiment, version), measured.questions_of(experiment)
    columns = [(arm, one) for arm in scores for one in ALL_MEASURES]
    yield ["question id", "question", *(f"{arm} {one}" for arm, one in columns)]
    asked = next((values[ALL_MEASURES[0]] for values in scores.values()), {})
    for query_id in asked:
        values = [scores[arm].get(one, {}).get(query_id, "") for arm, one in columns]
        yield [query_id, questions.get(query_id, ""), *values]
