"""Run as a program on one machine's data: put a row into every table, or print every row."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

TEXT = "Grüße, «quotes», a tab\tand a line\nbreak, 漢字, 🙂, \u2028"


def fill() -> None:
    """Two rows in each table of ours, related to one another, with values that a sloppy format would bend."""
    from django.apps import apps
    from django.db import transaction

    labels = ("contenttypes", "auth", "webapp")
    with transaction.atomic():  # references are checked at the end
        for model in (one for label in labels for one in apps.get_app_config(label).get_models(True)):
            model._base_manager.bulk_create(
                model(**{field.attname: _value(field, number) for field in model._meta.concrete_fields})
                for number in (1, 2)
            )
    _write_files()


def _value(field: Any, number: int) -> Any:
    from django.db import models
    from django.utils import timezone

    if field.is_relation or field.primary_key:
        return 700 + number
    if field.choices:
        return field.choices[0][0]
    for kind, value in (
        (models.JSONField, {"text": TEXT, "number": 0.1, "nothing": None, "list": [1, {"a": []}]}),
        (models.BooleanField, field.name == "is_active"),
        (models.DateTimeField, timezone.now().replace(microsecond=123457 + number)),
        (models.EmailField, f"person{number}@example.org"),
        (models.CharField, f"{field.name[:6]}{number}"),
        (models.TextField, f"{TEXT} {number}"),
        (models.FloatField, 0.1 + number),
    ):
        if isinstance(field, kind):
            return value
    return number


def _write_files() -> None:
    from django.conf import settings

    project = Path(settings.DATA_DIR) / "projects" / "slug1"
    corpus = project / "corpora" / "1" / "corpus.jsonl"
    snapshot = project / "datasets" / "abc" / "corpus.jsonl"
    for path, text in {
        corpus: TEXT * 1000,
        project / "uploads" / "1" / "original": "a,b\n1,2\n",
        project / "store" / "stages" / "tune-1" / "result.json": "{}",
        project / "store" / "stages" / "tune-1" / "adapter.safetensors": "weights",
        project / "store" / "stages" / "train-2.attempt-1" / "model.safetensors": "half done",
        project / "store" / "cache" / "index": "made again",
        project / "corpora" / "1" / ".partial": "on its way",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    snapshot.parent.mkdir(parents=True)
    os.link(corpus, snapshot)


def rows() -> dict[str, list[Any]]:
    """Every row of every table that a backup holds, by table."""
    from webapp.operations import tables

    return {
        model._meta.label_lower: [json.loads(line) for line in tables.dump(model)]
        for model in tables.models_at(tables.applied())
    }


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "fill":
        fill()
    print(json.dumps(rows()))  # noqa: T201 for the test that started this
