"""Addresses of the comparison."""

from django.urls import path, register_converter

from webapp.urls.converters import CellConverter
from webapp.views import compare, compare_exports, compare_question, compare_runs

register_converter(CellConverter, "cell")

urlpatterns = [
    path("", compare.choose, name="compare"),
    path("runs/", compare_runs.runs, name="compare_runs"),
    path("runs/test/", compare_runs.test, name="compare_test"),
    path("runs/progress/", compare_runs.progress, name="compare_progress"),
    path("<int:number>/", compare.overview, name="experiment_compare"),
    path("<int:number>/question/", compare_question.question, name="compare_question"),
    path("<int:number>/judge/", compare_question.judge, name="compare_judge"),
    path("<int:number>/score/", compare.score, name="compare_score"),
    path("<int:number>/scoring/", compare.scoring, name="compare_scoring"),
    path("<int:number>/pin/", compare.pin, name="compare_pin"),
    path("<int:number>/note/", compare.note, name="compare_note"),
    path("<int:number>/export/<slug:kind>/", compare_exports.export, name="compare_export"),
    path("<int:number>/run/<cell:arm>/<int:repeat>/", compare_exports.run_file, name="compare_run_file"),
]
