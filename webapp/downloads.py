"""Files for people to save: names that cannot do harm, cells that no spreadsheet runs."""

from __future__ import annotations

import re
import unicodedata
from typing import TypeVar

from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

Response = TypeVar("Response", bound=HttpResponseBase)

_LONGEST = 120  # characters; file systems stop at 255 bytes, and a character may take four of them when encoded
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  spreadsheets read full width too


def attachment(response: Response, name: str) -> Response:
    """Make an answer a file to save under `name`: never shown as a page of ours, whatever it holds."""
    response.headers["Content-Disposition"] = content_disposition_header(True, safe_name(name))
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"  # django-csp leaves it as it is
    return response


def safe_name(name: str) -> str:
    """A file name without folders, control characters and quotes, at most 120 characters, its ending kept."""
    plain = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in name)
    plain = re.sub(r'[\\/:*?"<>|\s]+', " ", plain).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > 10:
        stem, dot, ending = plain, "", ""
    return (stem[: _LONGEST - len(ending) - 1].strip(" .") or "download") + dot + ending


def safe_cell(text: str) -> str:
    """A cell that a spreadsheet shows and does not run: text that looks like a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def exact_cell(text: str) -> str:
    """As `safe_cell`, in a way that `restored_cell` takes back whatever the text was."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def restored_cell(cell: str) -> str:
    """The text of a cell that `exact_cell` made."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


class EchoFile:
    """A file for csv.writer whose `write` returns the line, so that `writerow` does, for streaming."""

    def write(self, line: str) -> str:
        """Give the line back."""
        return line
