"""Learning curves: starting one, all of them, and one with its sentence."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from sptar_engine.errors import ConfigError
from webapp.access import project_view
from webapp.forms.feedback import CurveForm
from webapp.models import Experiment, Project, Role
from webapp.selectors import learning_curves as selector
from webapp.selectors.comparisons import usual_cell
from webapp.selectors.derived_plans import DerivedPlan, plan_of_all
from webapp.selectors.words import arm_name
from webapp.services import derive
from webapp.services.experiments import NotReadyError, make_token, planned
from webapp.views.asking import shown_number


@project_view(Role.VIEWER)
@require_GET
def listing(request: HttpRequest, project: Project) -> HttpResponse:
    """All learning curves of the project, newest first, and where the next one starts."""
    base = project.experiments.filter(series="").order_by("-number").first()
    context = {"curves": selector.list_curves(project), "base": base, "current_step": "compare"}
    return render(request, "feedback/curves.html", context)


@project_view(Role.VIEWER)
@require_GET
def curve(request: HttpRequest, project: Project, series: str) -> HttpResponse:
    """One learning curve. While its experiments run, htmx asks for the part that changes."""
    found = selector.curve_of(project, series)
    if found is None:
        raise Http404("There is no such learning curve.")
    context = {"curve": found, "current_step": "compare"}
    return render(request, "feedback/_curve.html" if request.htmx else "feedback/curve.html", context)


@project_view(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Choose the points, see what they take, start them all. Asked by htmx, the card "before you start" alone."""
    experiment: Experiment = get_object_or_404(project.experiments.select_related("corpus"), number=number)
    experiment.project = project
    sizes = derive.curve_sizes(experiment)
    names = derive.cells_of(experiment)
    form = CurveForm(
        request.POST if request.method == "POST" else None, searches=[(name, arm_name(name)) for name in names],
        usual=usual_cell(experiment, names), sizes=sizes,
    )  # fmt: skip
    if request.method == "POST" and request.POST.get("action") == "start" and form.is_valid():
        try:
            return _start(request, project, experiment, form)
        except (NotReadyError, ConfigError) as error:
            messages.error(request, str(error), extra_tags="bad")
    context = {
        "experiment": experiment, "form": form, "sizes": sizes, "plan": _plan(experiment, form),
        "newest": shown_number(request, project), "current_step": "compare",
    }  # fmt: skip
    return render(request, "feedback/_curve_before.html" if request.htmx else "feedback/curve_new.html", context)


def _start(request: HttpRequest, project: Project, experiment: Experiment, form: CurveForm) -> HttpResponse:
    data = form.cleaned_data
    asked = [experiment.number, data["arm"], data["sizes"], data["seeds"]]
    token = make_token(shown_number(request, project), "curve", *asked)
    made = derive.learning_curve(
        experiment=experiment, actor=request.user, request_token=token, arm=data["arm"], sizes=data["sizes"],
        seeds=data["seeds"],
    )  # fmt: skip
    return redirect("learning_curve", project.slug, made[0].series)


def _plan(experiment: Experiment, form: CurveForm) -> DerivedPlan | None:
    if not form.is_valid():
        return None
    data = form.cleaned_data
    plans = [
        (planned(point, ()), point.counts)
        for point in (
            Experiment(seeds=data["seeds"], **derive.curve_changes(experiment, data["arm"], size))
            for size in data["sizes"]
        )
    ]
    return plan_of_all(experiment, plans)
