"""The one Django app."""

from django.apps import AppConfig


class WebappConfig(AppConfig):
    """SPTAR in the browser."""

    name = "webapp"
    verbose_name = "SPTAR"
