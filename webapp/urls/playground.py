"""Addresses of the playground."""

from django.urls import path

from webapp.views import blind, playground

urlpatterns = [
    path("", playground.playground, name="playground"),
    path("results/", playground.results, name="playground_results"),
    path("column/<slug:name>/", playground.column, name="playground_column"),
    path("prepare/", playground.prepare, name="playground_prepare"),
    path("grade/", playground.grade, name="playground_grade"),
    path("save/", playground.save, name="playground_save"),
    path("blind/", blind.begin, name="playground_blind"),
    path("blind/<int:pk>/", blind.pair, name="playground_pair"),
    path("blind/<int:pk>/choose/", blind.choose, name="playground_choose"),
]
