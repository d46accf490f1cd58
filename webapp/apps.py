"""The one Django app."""

from django.apps import AppConfig


class WebappConfig(AppConfig):
    """SPTAR in the browser."""

    name = "webapp"
    verbose_name = "SPTAR"

    def ready(self) -> None:
        """Register the system checks and what follows log-in, which happens by importing them."""
        from webapp import checks, signals  # noqa: F401
