"""Settings of a process on a host whose clock is wrong by CLOCK_SHIFT seconds, as everything of ours sees it."""

import os
import time
from datetime import timedelta

import rq.utils
from django.utils import timezone

from tests.webapp.jobs.process_settings import *  # noqa: F403

SHIFT = float(os.environ["CLOCK_SHIFT"])

_time, _now, _rq_now = time.time, timezone.now, rq.utils.now
time.time = lambda: _time() + SHIFT
timezone.now = lambda: _now() + timedelta(seconds=SHIFT)
rq.utils.now = lambda: _rq_now() + timedelta(seconds=SHIFT)
