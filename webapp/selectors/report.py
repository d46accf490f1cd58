"""The one-page report of an experiment: a single HTML file without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from webapp.cells import in_order
from webapp.models import Experiment
from webapp.selectors import comparison_page as page
from webapp.selectors import measured
from webapp.selectors.experiments import result_words, stages_of
from webapp.selectors.measured import Version
from webapp.selectors.recipes import recipe_of
from webapp.selectors.words import stage_title


def report_html(experiment: Experiment, version: Version | None = None) -> str:
    """The report by the newest judgements, or by those of `version`. Readable in light and in dark, and on paper."""
    version = version or measured.newest(experiment)
    stages = stages_of(experiment)
    figures = page.figures_of(experiment, version)
    choice = page.choose(version, in_order(version.arms), "", "")
    plot = None
    if choice:
        scores, questions = measured.scores_of(experiment, version), measured.questions_of(experiment)
        deltas = [replace(one, url="") for one in page.deltas_of(experiment, scores, choice, questions, version)]
        plot = page.plot_of(deltas, choice)
    context = {
        "experiment": experiment, "project": experiment.project, "figures": figures, "version": version, "plot": plot,
        "versions": measured.versions_of(experiment), "recipe": recipe_of(experiment, stages), "made": timezone.now(),
        "steps": [(stage_title(stage), _said(stage.metrics, stage.stage)) for stage in stages if stage.metrics],
        "measure_words": MEASURE_WORDS,
    }  # fmt: skip
    title = f"{experiment} · {experiment.project.name}"
    head = format_html(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n',
        title, _style("css/report.css") + _style("css/report-chart.css"),
    )  # fmt: skip
    return f"{head}{render_to_string('compare/_report.html', context)}</html>\n"


def picture(template: str, context: Mapping[str, Any]) -> str:
    """A chart as a file of its own, with its colours in it."""
    drawn = render_to_string(template, dict(context))
    style = format_html("<style>{}</style>", _style("css/report-chart.css"))
    head, opening, rest = drawn.partition("<title")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{style}{opening}{rest}'


MEASURE_WORDS = {
    "nDCG@10": "how good the first ten results are, 0 to 1: relevant documents count more the higher they stand and "
    "the better they answer (linear gain, as trec_eval); it decides the verdicts",
    "RR@10": "one divided by the place of the first relevant result, 0 when none is among the first ten",
    "R@100": "the share of the relevant documents that is among the first hundred results",
    "AP": "average precision over the whole list of results",
    "Judged@10": "the share of the first ten results that somebody has judged; the others count as not relevant",
}


def _said(metrics: Mapping[str, Any], stage: str) -> str:
    return str(metrics.get("sentence") or result_words(stage, metrics))


def _style(name: str) -> SafeString:
    """A style sheet of ours, to stand in a file that may fetch nothing."""
    path = finders.find(name)
    assert isinstance(path, str), f"static/{name} is missing"
    return mark_safe(Path(path).read_text(encoding="utf-8"))  # noqa: S308  our own file
