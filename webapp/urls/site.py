"""Addresses of pages that belong to no project."""

from django.urls import path

from webapp.views.pending import pending

urlpatterns = [
    path("", pending, name="home"),
    path("jobs/", pending, name="jobs"),
    path("glossary/", pending, name="glossary"),
    path("theme/", pending, name="theme"),
    path("system/", pending, name="system"),
]
