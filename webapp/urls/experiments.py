"""Addresses of a project's experiments."""

from django.urls import path

from webapp.views.pending import pending

urlpatterns = [path("", pending, name="experiments")]
