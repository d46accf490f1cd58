"""The one Django app."""

from django.apps import AppConfig


class WebappConfig(AppConfig):
    """SPTAR in the browser."""

    name = "webapp"
    verbose_name = "SPTAR"

    def ready(self) -> None:
        """Register the system checks, which happens by importing them."""
        from webapp import checks  # noqa: F401
