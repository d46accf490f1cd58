"""What pages and errands ask the search service. Each call is one short-lived connection with time limits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.records import Hit
from sptar_engine.serving import wire
from webapp import places
from webapp.models import Corpus
from webapp.sentences import without_paths

__all__ = [
    "BASE", "BM25", "TOPICS", "Build", "Found", "Hit", "SearchUnavailable", "Suggestion", "Topic", "build_of", "drop",
    "find", "prepare", "readiness", "status", "stop_building", "suggest", "topics", "topics_of",
]  # fmt: skip

BM25 = "bm25"
BASE = "base"
"""The untrained encoder that settings.SEARCH_BASE names."""
TOPICS = "topics"
"""What `prepare`, `build_of` and `readiness` call the topics of a corpus; they need the vectors of `BASE`."""

_CONNECT = 1.0  # seconds
_ANSWER = 5.0  # seconds


class SearchUnavailable(Exception):
    """There is no answer now. Its text is a sentence for the page.

    `reason` is one word: `down` (no service), `building` (come again: `done` of `total`), `absent` (nobody asked for
    it to be built), `failed` (it could not be built), `busy`, `refused` (the request makes no sense).
    """

    def __init__(self, sentence: str, reason: str, done: int = 0, total: int = 0) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.done = done
        self.total = total


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of a query, best first, and how long the search took."""

    hits: list[Hit]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Build:
    """Where an index, the vectors or the topics of a corpus stand.

    `state` is `ready`, `building`, `absent` or `failed`; `message` says what is being done, or why it failed.
    """

    what: str
    state: str
    done: int = 0
    total: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of documents that are alike; `label` is a few words that are typical of them."""

    id: int
    label: str
    size: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A document to write a query for, and the topic it stands for: None when it was drawn by chance."""

    doc_id: str
    topic: Topic | None


def find(
    corpus: Corpus,
    text: str,
    *,
    retriever: str = BM25,
    depth: int = 20,
    k1: float | None = None,
    b: float | None = None,
    fusion: str = "",
    begin: bool = True,
) -> Found:
    """Search. `retriever` is BM25, BASE, another encoder of the catalogue or the folder of a trained one.

    One that has no single vector of a text (late interaction, say) puts BM25's first hits in order. An encoder reads
    256 tokens of a text; `NAME:128` reads 128. `k1` and `b` are BM25's. With `fusion`, the folder of a finished fuse
    step, an encoder and BM25 are put together. What is not there yet begins to be built, unless `begin` is False.
    Raises SearchUnavailable.
    """
    chosen: dict[str, Any] = {name: value for name, value in (("k1", k1), ("b", b)) if value is not None}
    if fusion:
        chosen["fusion"] = fusion
    if not begin:
        chosen["look"] = True
    answer = _ask("search", corpus, text=text, retriever=retriever, depth=depth, **chosen)
    return Found([Hit(doc_id, score) for doc_id, score in answer["hits"]], answer["milliseconds"])


def prepare(corpus: Corpus, retriever: str) -> Build:
    """Have an index, vectors or TOPICS built in the background, and say where that stands. Raises SearchUnavailable."""
    return _build(retriever, _ask("prepare", corpus, what=retriever))


def build_of(corpus: Corpus, retriever: str) -> Build:
    """Where an index, vectors or TOPICS stand; starts nothing. Raises SearchUnavailable."""
    return _build(retriever, _ask("state", corpus, what=retriever))


def readiness(corpus: Corpus) -> dict[str, str]:
    """`ready`, `building`, `absent` or `failed` for each of BM25, BASE and TOPICS. Raises SearchUnavailable."""
    answer = _ask("readiness", corpus)
    return {what: answer[what]["state"] for what in (BM25, BASE, TOPICS)}


def stop_building(corpus: Corpus, retriever: str) -> None:
    """Call a build off; what it has finished stays. Raises SearchUnavailable."""
    _ask("stop", corpus, what=retriever)


def suggest(
    corpus: Corpus, exclude: Collection[str] = (), n: int = 1, *, covered: Collection[str] | None = None
) -> list[Suggestion]:
    """Up to `n` documents, none of `exclude`, from the topics in which the fewest documents of `covered` lie.

    `covered` are the documents that are judged already, and those of `exclude` when it is not given. Until the
    topics are there the documents are drawn by chance. Raises SearchUnavailable.
    """
    known = exclude if covered is None else covered
    answer = _ask("suggest", corpus, exclude=list(exclude), covered=list(known), n=n)
    by_id = {row["id"]: Topic(**row) for row in answer["topics"]}
    return [Suggestion(doc_id, by_id.get(topic)) for doc_id, topic in answer["documents"]]


def topics(corpus: Corpus) -> list[Topic]:
    """The topics of a corpus, the largest first. Raises SearchUnavailable (`building` or `absent` until known)."""
    return [Topic(**row) for row in _ask("topics", corpus)["topics"]]


def topics_of(corpus: Corpus, doc_ids: Collection[str]) -> dict[str, int]:
    """The id of the topic of each document; unknown documents are left out. Raises SearchUnavailable."""
    answer = _ask("topics_of", corpus, doc_ids=list(doc_ids))
    found: dict[str, int] = answer["topics_of"]
    return found


def drop(corpus: Corpus) -> None:
    """Forget a corpus that is deleted: stop its builds and remove its index and vectors. Raises SearchUnavailable.

    They stay when another version has the same content, since they are named by content.
    """
    shared = Corpus.objects.filter(sha256=corpus.sha256).exclude(pk=corpus.pk).exists()
    _ask("drop", corpus, files=not shared)


def status() -> dict[str, Any]:
    """How the service is: `pid`, `seconds` it runs, open `corpora`, loaded `encoders`, `builds`, `memory_mb`.

    Raises SearchUnavailable.
    """
    return _send({"do": "status"})


def _build(what: str, row: dict[str, Any]) -> Build:
    return Build(what, row["state"], row["done"], row["total"], without_paths(row["message"]))


def _ask(do: str, corpus: Corpus, **arguments: Any) -> dict[str, Any]:
    if not corpus.sha256:
        raise SearchUnavailable("These documents are still being imported.", "building")
    file = places.corpus_folder(corpus) / CORPUS_FILE
    return _send({"do": do, "corpus": str(file), "sha256": corpus.sha256, **arguments})


def _send(request: dict[str, Any]) -> dict[str, Any]:
    socket = Path(settings.SEARCH_SOCKET)
    try:
        return wire.ask(socket, request, connect_seconds=_CONNECT, answer_seconds=_ANSWER)
    except wire.TooSlow as error:
        raise SearchUnavailable(str(error), "busy") from error
    except wire.Unreachable as error:
        raise SearchUnavailable(f"{without_paths(str(error))} {_WHAT_TO_DO}", "down") from error
    except wire.WireError as error:
        raise SearchUnavailable(str(error), "refused") from error
    except wire.Refusal as error:
        done, total = error.facts.get("done", 0), error.facts.get("total", 0)
        raise SearchUnavailable(without_paths(str(error)), error.reason, done, total) from error


_WHAT_TO_DO = (
    "Your work is safe; searching works again when the service is back. The person who runs this machine starts it "
    "with `manage.py search_service`, or everything at once with `make up`."
)
