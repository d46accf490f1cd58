"""Addresses of a project's own pages."""

from django.urls import path

from webapp.views.pending import pending

urlpatterns = [
    path("", pending, name="project"),
    path("settings/", pending, name="project_settings"),
]
