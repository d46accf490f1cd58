"""Experiments from before lose the options that no stage has any more: settings that are unknown are refused."""

from django.db import migrations

_REMOVED = {"train": ("negatives_from",)}
_AT_ONCE = 500


def drop(apps, schema_editor):
    """In pieces, by the row's number: a large installation has many rows."""
    alias = schema_editor.connection.alias
    stages = apps.get_model("webapp", "StageRun").objects.using(alias).filter(stage__in=_REMOVED)
    for some in _pieces(stages, "stage", "config"):
        changed = [row for row in some if any(name in row.config for name in _REMOVED[row.stage])]
        for row in changed:
            row.config = _without(row.config, _REMOVED[row.stage])
        stages.bulk_update(changed, ["config"], batch_size=100)
    experiments = apps.get_model("webapp", "Experiment").objects.using(alias)
    for some in _pieces(experiments, "settings"):
        changed = [row for row in some if _has_removed(row.settings)]
        for row in changed:
            kept = {stage: _without(values, _REMOVED.get(stage, ())) for stage, values in row.settings.items()}
            row.settings = {stage: values for stage, values in kept.items() if values}
        experiments.bulk_update(changed, ["settings"], batch_size=100)


def _pieces(rows, *columns):
    last = 0
    while some := list(rows.filter(pk__gt=last).order_by("pk").only(*columns)[:_AT_ONCE]):
        last = some[-1].pk
        yield some


def _has_removed(settings):
    return any(name in settings.get(stage, {}) for stage, names in _REMOVED.items() for name in names)


def _without(values, names):
    return {name: value for name, value in values.items() if name not in names}


class Migration(migrations.Migration):
    """Data alone; going back leaves the rows without these options, which the engine of then filled in itself."""

    dependencies = [("webapp", "0004_families")]
    operations = [migrations.RunPython(drop, migrations.RunPython.noop)]
