"""Settings of processes that work with tiny models: the tests' settings and `small_models`."""

from tests.browser import small_models
from tests.settings import *  # noqa: F403

small_models.install()
