"""Experiments: the list, starting one, and stopping, trying again, repeating, naming and downloading."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sptar_engine.errors import ConfigError
from webapp.access import project_view
from webapp.forms.experiments import DescribeForm, ExperimentForm, choices_of, first_choices
from webapp.models import Experiment, Project, Role, State
from webapp.selectors import experiments as found
from webapp.selectors import plans
from webapp.selectors.archive_sources import file_name, package_of
from webapp.selectors.artifacts import stage_folder
from webapp.selectors.experiment_links import links_of
from webapp.selectors.models import encoders, language_models
from webapp.selectors.recipes import recipe_of
from webapp.selectors.step_facts import is_outdated
from webapp.selectors.words import plural
from webapp.services import experiments, stages
from webapp.streaming import send_file
from webapp.views.experiment_parts import fragments_of


@project_view(Role.VIEWER)
@require_GET
def listing(request: HttpRequest, project: Project) -> HttpResponse:
    """All experiments of the project, newest first."""
    before = request.GET.get("before", "")
    page = found.list_experiments(project, before=int(before) if _is_number(before) else None)
    return render(request, "experiments/list.html", {"page": page, "current_step": "tune"})


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """Choose what an experiment is to do, see what it takes, start it."""
    form = _form(request, project)
    if request.method == "POST" and request.POST.get("action") == "start" and form.is_valid():
        try:
            return _start(request, project, form)
        except experiments.NotReadyError as error:
            form.add_error(None, str(error))
    before = plans.preview(project, form)
    if request.htmx:
        return render(request, "experiments/_before.html", {"form": form, "before": before})
    context = {"form": form, "before": before, "models": [*language_models(), *encoders()], "current_step": "tune"}
    return render(request, "experiments/new.html", context)


@project_view(Role.VIEWER)
@require_GET
def detail(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """One experiment: where it stands, what it found, how it was made."""
    experiment = _get(project, number)
    rows = found.stages_of(experiment)
    context = {
        "experiment": experiment,
        "parts": fragments_of(request, experiment, rows),
        "recipe": recipe_of(experiment, rows),
        "outdated": is_outdated(experiment, project),
        "links": links_of(experiment, rows),
        "describe": DescribeForm({"name": experiment.name, "note": experiment.note}),
        "current_step": "compare" if experiment.state == State.DONE else "tune",
    }
    return render(request, "experiments/detail.html", context)


@project_view(Role.EDITOR)
@require_POST
def describe(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Change the name and the note."""
    experiment = _get(project, number)
    form = DescribeForm(request.POST)
    if form.is_valid():
        experiments.describe(experiment=experiment, actor=request.user, **form.cleaned_data)
        messages.success(request, "Saved.", extra_tags="good")
    else:
        messages.error(request, "Not saved: a name has at most 100 characters, a note 5,000.", extra_tags="bad")
    return redirect("experiment", project.slug, experiment.number)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def repeat(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Run exactly again, after a word on what that means."""
    experiment = _get(project, number)
    newest = _newest(project)
    if request.method == "GET":
        return _confirm(request, experiment, "repeat", newest=newest)
    after = request.POST.get("after", "")
    token = experiments.make_token(int(after) if _is_number(after) else newest, "repeat", number)
    try:
        made = experiments.repeat(experiment=experiment, actor=request.user, request_token=token)
    except (experiments.NotReadyError, ConfigError) as error:
        messages.error(request, str(error), extra_tags="bad")
        made = experiment
    return redirect("experiment", project.slug, made.number)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Stop an experiment, after asking."""
    experiment = _get(project, number)
    if request.method == "GET":
        return _confirm(request, experiment, "cancel")
    stages.cancel(work=experiment, actor=request.user)
    messages.info(request, "Stopping: a running step ends within ten seconds.", extra_tags="busy")
    return redirect("experiment", project.slug, experiment.number)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Go on with what failed or was stopped, after a word on what stays."""
    experiment = _get(project, number)
    if request.method == "GET":
        return _confirm(request, experiment, "retry")
    count = stages.retry(work=experiment, actor=request.user)
    again = f"{count} {plural(count, 'step')} {'is' if count == 1 else 'are'} queued again."
    text = again if count else "There was nothing to try again."
    messages.info(request, text, extra_tags="busy" if count else "")
    return redirect("experiment", project.slug, experiment.number)


@project_view(Role.VIEWER)
@require_GET
def download(request: HttpRequest, project: Project, number: int) -> HttpResponseBase:
    """The packed search model; of several the one of the family that the address names."""
    experiment = _get(project, number)
    stage = package_of(experiment, request.GET.get("family", ""))
    folder = stage_folder(project, stage) if stage else None
    archive = next(folder.glob("*.zip"), None) if folder else None
    if stage is None or archive is None:
        raise Http404("It is not packed yet.")
    name = file_name(stage, archive.name)
    return send_file(request, archive, name=name, content_type="application/zip", tag=stage.digest)


def _get(project: Project, number: int) -> Experiment:
    rows = project.experiments.select_related("corpus", "repeat_of", "started_by")
    experiment = get_object_or_404(rows, number=number)
    experiment.project = project
    return experiment


def _is_number(text: str) -> bool:
    """Whether a value of the query string is a whole number that any database takes."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def _newest(project: Project) -> int:
    newest = project.experiments.order_by("-number").values_list("number", flat=True).first()
    return newest or 0


def _form(request: HttpRequest, project: Project) -> ExperimentForm:
    llms, bases = ([(model.name, model.label) for model in models] for models in (language_models(), encoders()))
    if request.method == "POST":
        return ExperimentForm(request.POST, language_models=llms, encoders=bases)
    newest, like = _newest(project), request.GET.get("like", "")
    start: dict[str, Any] = {name: menu[0][0] for name, menu in (("llm", llms), ("base", bases)) if menu}
    start |= choices_of(_get(project, int(like))) if _is_number(like) else first_choices(is_first=newest == 0)
    # Bound, so that the card beside the form counts with the choices that the form starts with.
    return ExperimentForm({**start, "after": newest}, language_models=llms, encoders=bases)


def _start(request: HttpRequest, project: Project, form: ExperimentForm) -> HttpResponse:
    data = form.cleaned_data
    arms = form.chosen_arms(data)
    asked = [
        data["preset"], list(arms), data["families"], form.settings, data["seeds"], data["equal_pairs"], data["name"],
        data["note"],
    ]  # fmt: skip
    newest = _newest(project)
    experiment = experiments.start(
        project=project, actor=request.user, request_token=experiments.make_token(data["after"], *asked),
        preset=data["preset"], arms=arms, families=data["families"], settings=form.settings, seeds=data["seeds"],
        equal_pairs=data["equal_pairs"], name=data["name"], note=data["note"],
    )  # fmt: skip
    if experiment.number <= newest:
        messages.info(request, "This experiment was started already; here it is.", extra_tags="busy")
    return redirect("experiment", project.slug, experiment.number)


def _confirm(request: HttpRequest, experiment: Experiment, action: str, **more: Any) -> HttpResponse:
    context = {"experiment": experiment, "action": action, "current_step": "tune", **more}
    return render(request, f"experiments/{action}.html", context)
