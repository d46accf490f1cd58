"""Experiments from before go on without a second look: what is derived from them is to differ in one thing alone."""

from django.db import migrations

_OPTION, _ONE_LOOK = "feedback", 0
_STAGES = ("teach", "fuse")
_AT_ONCE = 500


def keep(apps, schema_editor):
    """In pieces, by the row's number: a large installation has many rows."""
    alias = schema_editor.connection.alias
    stages = apps.get_model("webapp", "StageRun").objects.using(alias).filter(stage__in=_STAGES)
    for some in _pieces(stages, "stage", "config", "experiment"):
        changed = [row for row in some if _OPTION not in row.config]
        for row in changed:
            row.config = {**row.config, _OPTION: _ONE_LOOK}
        stages.bulk_update(changed, ["config"], batch_size=100)
        _keep_settings(apps.get_model("webapp", "Experiment").objects.using(alias), changed)


def _keep_settings(experiments, rows):
    stages = {}
    for row in rows:
        stages.setdefault(row.experiment_id, set()).add(row.stage)
    found = list(experiments.filter(pk__in=stages).only("settings"))
    for experiment in found:
        for stage in sorted(stages[experiment.pk]):
            given = experiment.settings.get(stage, {})
            experiment.settings = {**experiment.settings, stage: {_OPTION: _ONE_LOOK, **given}}
    experiments.bulk_update(found, ["settings"], batch_size=100)


def _pieces(rows, *columns):
    last = 0
    while some := list(rows.filter(pk__gt=last).order_by("pk").only(*columns)[:_AT_ONCE]):
        last = some[-1].pk
        yield some


class Migration(migrations.Migration):
    """Data alone; the engine of before does not know the option, so going back takes a backup."""

    dependencies = [("webapp", "0005_drop_removed_options")]
    operations = [migrations.RunPython(keep, migrations.RunPython.noop)]
