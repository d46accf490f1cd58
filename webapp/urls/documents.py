"""Addresses of a project's documents."""

from django.urls import path

from webapp.views.pending import pending

urlpatterns = [path("", pending, name="documents")]
