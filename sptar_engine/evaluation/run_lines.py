"""The first hits of one query in a run file, without reading the others. Light: no numpy, for pages that show a few.

`sptar_engine.evaluation.trec` writes the files and reads whole ones.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from urllib.parse import quote, unquote

from sptar_engine.errors import ArtifactError

RUN_FILE = "run.trec"
METRICS_FILE = "metrics.json"

_SPLITS = re.compile(r"[\s%\x00-\x1f\x7f-\x9f]")  # what trec.write_run encodes


def first_hits(path: Path, query_id: str, depth: int) -> list[str]:
    """Ids of the first `depth` documents for a query, best first; none when the query has no hits.

    Raises ArtifactError when the file is missing or broken.
    """
    start = f"{encode_id(query_id)} Q0 ".encode()
    try:
        with path.open("rb") as stream:
            if not path.stat().st_size:
                return []
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _read(content, start, depth)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing") from error
    except (UnicodeDecodeError, IndexError) as error:
        raise ArtifactError(f"{path} is not a run file") from error


def encode_id(text: str) -> str:
    """An id as run files hold it: nothing in it can split a line."""
    return _SPLITS.sub(lambda found: quote(found[0]), text)


def _read(content: mmap.mmap, start: bytes, depth: int) -> list[str]:
    place = 0 if content[: len(start)] == start else content.find(b"\n" + start) + 1
    if not place and content[: len(start)] != start:
        return []
    hits: list[str] = []
    content.seek(place)
    while len(hits) < depth and (line := content.readline()).startswith(start):
        hits.append(unquote(line.decode().split(" ")[2]))
    return hits
