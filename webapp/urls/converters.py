"""Parts of addresses that are none of Django's."""

from __future__ import annotations


class CellConverter:
    """The name of a cell (webapp.cells): an arm, a family behind a slash, and a variant behind a colon."""

    regex = "[a-z0-9_]+(?:/[a-z_]+)?(?::[a-z_]+)?"

    def to_python(self, value: str) -> str:
        """As it stands."""
        return value

    def to_url(self, value: str) -> str:
        """As it stands."""
        return value
