"""Tokens of links: a random text for the person, its hash for the table."""

from __future__ import annotations

import hashlib
import secrets


def make_token() -> tuple[str, str]:
    """Return a new token of 43 characters (256 random bits) and the hash to store."""
    token = secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """The stored form. A plain hash is enough: nobody can guess 256 random bits."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
