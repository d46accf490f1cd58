"""Versions of a project's documents."""

from __future__ import annotations

from django.db.models import Count

from webapp.models import Corpus, Project

_SHOWN = 50


def current(project: Project) -> Corpus | None:
    """The version in use with its upload, or None."""
    if project.corpus_id is None:
        return None
    return Corpus.objects.select_related("upload", "upload__uploaded_by").get(pk=project.corpus_id)


def versions(project: Project) -> list[Corpus]:
    """All versions that are whole, newest first; `runs` says how many experiments keep one."""
    rows = project.corpora.filter(ready=True).select_related("upload", "upload__uploaded_by").defer("health")
    return list(rows.annotate(runs=Count("experiments")).order_by("-number")[:_SHOWN])
