"""The topics of a project's documents, kept for the gauge of what the examples cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from django.db import transaction

from webapp.models import Corpus, Project
from webapp.search.client import Topic
from webapp.services import events


@transaction.atomic
def store(*, corpus: Corpus, topics: Sequence[Topic]) -> bool:
    """Keep the topics of a version of the documents; False, and nothing, when the project has another one by now."""
    value = {"corpus": corpus.number, "topics": [asdict(topic) for topic in topics]}
    project = Project.objects.select_for_update().filter(pk=corpus.project_id, corpus=corpus).first()
    if project is None:
        return False
    if project.topics != value:
        Project.objects.filter(pk=project.pk).update(topics=value)
        events.record("corpus.topics_found", project=project, actor=None, version=corpus.number, topics=len(topics))
    return True


def is_current(corpus: Corpus) -> bool:
    """Whether it is the version that the project works with."""
    return Project.objects.filter(pk=corpus.project_id, corpus=corpus).exists()
