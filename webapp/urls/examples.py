"""Addresses of a project's examples."""

from django.urls import path

from webapp.views.pending import pending

urlpatterns = [path("", pending, name="examples")]
