"""The playground benchmark: its place is one that the service takes, and its sums, by hand."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

import pytest

from benchmarks import playground
from benchmarks.playground import build, summarise
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.serving.library import BASE, Library
from sptar_engine.serving.making import has_index, has_vectors


@pytest.mark.bundled
def test_drawn_vectors_lie_where_the_service_looks_for_those_it_made(tmp_path: Path) -> None:
    place = build(tmp_path, 120, encode=False)
    library = Library(place.root, place.root / "search", place.root / "models", "all-minilm-l6-v2")
    corpus = library.corpus(str(place.corpus), place.digest)
    assert place.corpus.name == CORPUS_FILE
    assert len(place.corpus.read_text().splitlines()) == 120
    assert place.searches == ("bm25", BASE, str(place.trained))
    assert all(has_vectors(corpus, library.encoder(name)) for name in place.searches[1:])
    assert library.encoder(BASE).key != library.encoder(str(place.trained)).key
    assert not has_index(corpus)


@pytest.mark.bundled
def test_vectors_are_left_to_the_service_when_it_is_to_make_them(tmp_path: Path) -> None:
    place = build(tmp_path, 120, encode=True)
    assert not (place.root / "search").exists()
    assert place.site.about["slug"] and place.trained.joinpath("modules.json").is_file()


class Answers:
    """A site that answers every request with one page."""

    about: ClassVar = {"slug": "bench"}
    port = 1

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = status, body
        self.asked: list[str] = []

    def get(self, path: str, connection: object) -> tuple[int, bytes]:
        self.asked.append(path)
        return self.answer


def test_the_page_is_asked_for_and_has_all_three_columns() -> None:
    columns = [f'<article id="hit-{name}-7">'.encode() for name in ("bm25", "before", "after")]
    site = Answers(200, b"".join(columns))
    assert len(playground._pages(site, ["one word", "two"])) == 2  # type: ignore[arg-type]
    assert site.asked == ["/p/bench/playground/?q=one+word", "/p/bench/playground/?q=two"]
    for odd in (Answers(500, b"".join(columns)), Answers(200, columns[0] + columns[2])):
        with pytest.raises(SystemExit, match="a column without documents"):
            playground._pages(odd, ["one"])  # type: ignore[arg-type]


def test_summary_tells_each_search_apart_and_whether_the_promise_is_kept() -> None:
    parts = [{"bm25": 5.0, "base": 40.0, "/trained": 50.0}, {"bm25": 7.0, "base": 20.0, "/trained": 60.04}]
    found = summarise(10_000, [61.0, 70.06], [90.0], [65.0, 50.0], parts)
    assert found == {
        "name": "playground", "documents": 10_000, "questions": 2, "value": 70.1, "unit": "ms",
        "checks": {
            "playground_p95_ms": 70.1, "playground_median_ms": 61.0, "two_people_p95_ms": 90.0, "at_most_ms": 300.0,
            "passed": True, "search_service_p95_ms": 65.0, "bm25_service_p95_ms": 7.0, "before_service_p95_ms": 40.0,
            "after_service_p95_ms": 60.0,
        },
    }  # fmt: skip
    assert not summarise(10, [301.0], [301.0], [9.0], parts)["checks"]["passed"]


def test_questions_are_short_and_the_same_each_time() -> None:
    first, again = (playground._question(random.Random(1)) for _ in range(2))
    assert first == again
    assert 3 <= len(first.split()) <= 9
