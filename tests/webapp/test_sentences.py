"""Sentences of the engine lose the places of files on the way to a page."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.sentences import without_paths


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/srv/data/projects/a/store/weak.jsonl is missing", "weak.jsonl is missing"),
        ("/srv/data/store/weak.jsonl, line 3: not whole: no", "weak.jsonl, line 3: not whole: no"),
        ("No permission for '/srv/data/search/one'.", "No permission for 'one'."),
        ("It lies in /srv/data/search/s.sock.", "It lies in s.sock."),
        ("Nothing lies in /srv/data/ now.", "Nothing lies in the data folder now."),
        ("The disk is full: /srv/data could not take more.", "The disk is full: the data folder could not take more."),
        ("Write to /srv/database or and/or.", "Write to /srv/database or and/or."),
        ("Lucene failed.", "Lucene failed."),
    ],
)
def test_paths_of_the_data_folder_are_cut_to_the_file(settings: Any, said: str, shown: str) -> None:
    settings.DATA_DIR = "/srv/data"
    assert without_paths(said) == shown
