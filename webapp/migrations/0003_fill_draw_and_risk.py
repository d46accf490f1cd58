"""Questions from before these columns get their draw and risk; without them no sample of theirs is a random one."""

import math
from hashlib import sha256

from django.db import migrations

_AT_ONCE = 2000


def fill(apps, schema_editor):
    """In pieces, each a transaction of its own; begun again after an interruption, it finds the same values."""
    rows = apps.get_model("webapp", "WeakQuery").objects.using(schema_editor.connection.alias).order_by("pk")
    last = 0
    while some := list(rows.filter(pk__gt=last).only("weak_id", "rank", "dropped", "loss")[:_AT_ONCE]):
        last = some[-1].pk
        for row in some:
            row.draw = draw(row.weak_id)
            is_ranked = row.rank is not None or row.dropped == "rank"
            row.risk = risk(row.rank, row.loss) if is_ranked else 0.0
        rows.bulk_update(some, ["draw", "risk"], batch_size=200)


def draw(weak_id):
    """As webapp.jobs.questions had it then; a migration stays as it is when the application changes."""
    return int(sha256(weak_id.encode()).hexdigest()[:16], 16) % 2**31


def risk(rank, loss):
    """As webapp.jobs.questions had it then."""
    by_rank = 1.0 if rank is None else math.log(min(max(rank, 1), 100)) / math.log(100)
    by_writer = 0.5 if loss is None else 1 - math.exp(-max(loss, 0.0))
    return round((by_rank + by_writer) / 2, 4)


class Migration(migrations.Migration):
    """Data alone; going back leaves the values, since the columns go with the migration before."""

    atomic = False
    dependencies = [("webapp", "0002_review_and_results")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
