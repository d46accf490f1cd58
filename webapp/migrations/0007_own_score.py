"""Cross-encoders of before go on by their own score alone: what is derived from them is to differ in one thing alone."""

from django.db import migrations

_OPTION, _ALONE = "weights", 0
_STAGE, _FAMILY = "train", "cross_encoder"
_AT_ONCE = 500


def keep(apps, schema_editor):
    """In pieces, by the row's number: a large installation has many rows."""
    alias = schema_editor.connection.alias
    stages = apps.get_model("webapp", "StageRun").objects.using(alias).filter(stage=_STAGE)
    for some in _pieces(stages, "stage", "config", "experiment"):
        changed = [row for row in some if row.config.get("family") == _FAMILY and _OPTION not in row.config]
        for row in changed:
            row.config = {**row.config, _OPTION: _ALONE}
        stages.bulk_update(changed, ["config"], batch_size=100)
        _keep_settings(apps.get_model("webapp", "Experiment").objects.using(alias), changed)


def _keep_settings(experiments, rows):
    found = list(experiments.filter(pk__in={row.experiment_id for row in rows}).only("settings"))
    for experiment in found:
        given = experiment.settings.get(_STAGE, {})
        experiment.settings = {**experiment.settings, _STAGE: {_OPTION: _ALONE, **given}}
    experiments.bulk_update(found, ["settings"], batch_size=100)


def _pieces(rows, *columns):
    last = 0
    while some := list(rows.filter(pk__gt=last).order_by("pk").only(*columns)[:_AT_ONCE]):
        last = some[-1].pk
        yield some


class Migration(migrations.Migration):
    """Data alone; the engine of before does not know the option, so going back takes a backup."""

    dependencies = [("webapp", "0006_one_look")]
    operations = [migrations.RunPython(keep, migrations.RunPython.noop)]
