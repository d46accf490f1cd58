"""Settings of the worker processes that the tests start: the tests' settings, stages that take no model, an errand."""

from tests.settings import *  # noqa: F403
from tests.webapp.jobs import fake_engine
from webapp.errands import KINDS

fake_engine.install()
KINDS["test.count"] = "tests.webapp.jobs.fake_errand"
