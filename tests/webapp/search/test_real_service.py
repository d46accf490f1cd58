"""`manage.py search_service` with the real Lucene and a tiny random encoder: from nothing to hits and topics."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import sha256_file
from sptar_engine.data.beir import read_corpus
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from tests import toy_data
from webapp import places
from webapp.models import Corpus, Project
from webapp.search import client
from webapp.search.client import SearchUnavailable

pytestmark = pytest.mark.processes

_ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Service:
    """A running search service and the environment to start another."""

    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]


def launch(environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "search_service"]
    return subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def service(tiny_encoder: Path) -> Iterator[Service]:
    """Started once for all tests of this file; its base encoder is the tiny one, below the data folder."""
    folder = Path(tempfile.mkdtemp(prefix="sptar-"))
    shutil.copytree(tiny_encoder, folder / "models" / "tiny")
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "SPTAR_DATA": str(folder),
        "SEARCH_BASE": str(folder / "models" / "tiny"),
    }  # fmt: skip
    process = launch(environment)
    yield Service(folder, environment, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    shutil.rmtree(folder)


@pytest.fixture
def corpus(service: Service, settings: Any) -> Corpus:
    """The toy documents; no row of it is in a database."""
    settings.DATA_DIR, settings.SEARCH_SOCKET = service.folder, service.folder / "search" / "search.sock"
    made = Corpus(project=Project(name="Toys", slug="toys"), number=1, documents=60)
    file = places.corpus_folder(made) / "corpus.jsonl"
    if not file.exists():
        toy_data.write(file.parent)
    made.sha256 = sha256_file(file)
    eventually(client.status)
    return made


def eventually(call: Callable[[], Any]) -> Any:
    """What the call returns once the service has what it needs."""
    end = time.monotonic() + 120
    while True:
        try:
            return call()
        except SearchUnavailable as error:
            if error.reason not in ("down", "building", "absent", "busy") or time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_bm25_is_what_the_engine_finds_by_itself(corpus, tmp_path) -> None:
    found = eventually(lambda: client.find(corpus, "where can i find the heron of the harbour", depth=5))
    index = build_or_open(places.corpus_folder(corpus) / "corpus.jsonl", tmp_path)
    with LexicalSearcher(index) as searcher:
        assert found.hits == searcher.search({"q": "where can i find the heron of the harbour"}, 5)["q"]
    sharper = client.find(corpus, "where can i find the heron of the harbour", depth=5, k1=2.0, b=0.9)
    assert sharper.hits != found.hits


def test_vectors_find_what_the_engine_finds_by_itself(corpus, service) -> None:
    from sptar_engine.retrieval.dense import encode, search
    from sptar_engine.retrieval.encoder import load_bi_encoder

    found = eventually(lambda: client.find(corpus, "pulsar far away", retriever=client.BASE, depth=10))
    model = load_bi_encoder(service.folder / "models" / "tiny", 256, "cpu")
    documents = read_corpus(places.corpus_folder(corpus))
    vectors = encode(model, [document.content for document in documents.values()], 256)
    expected = search(["q"], encode(model, ["pulsar far away"], 256), list(documents), vectors, 10)["q"]
    assert [hit.score for hit in found.hits] == pytest.approx([hit.score for hit in expected], abs=1e-5)
    assert {hit.doc_id for hit in found.hits[:5]} <= {hit.doc_id for hit in expected}


def test_topics_cover_the_documents_and_guide_the_suggestions(corpus) -> None:
    client.prepare(corpus, client.TOPICS)
    topics = eventually(lambda: client.topics(corpus))
    assert sum(topic.size for topic in topics) == 60
    suggested = client.suggest(corpus, (), len(topics))
    assert len({found.topic for found in suggested}) == len(topics)
    of = client.topics_of(corpus, [found.doc_id for found in suggested])
    assert of == {found.doc_id: found.topic.id for found in suggested if found.topic}


def test_many_pages_search_at_once(corpus) -> None:
    eventually(lambda: client.find(corpus, "copper", retriever=client.BASE))
    eventually(lambda: client.find(corpus, "copper"))
    words = ("copper", "heron", "rugby", "pulsar")

    def search(number: int) -> str:
        retriever = (client.BM25, client.BASE)[number // 4 % 2]
        return client.find(corpus, words[number % 4], retriever=retriever).hits[0].doc_id

    expected = [search(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pages:
        assert list(pages.map(search, range(64))) == expected * 8


def test_second_service_is_refused(corpus, service) -> None:
    second = launch(service.environment)
    assert second.wait(30) == 1
    assert second.stderr is not None
    assert "Another search service answers at" in second.stderr.read()
    second.stderr.close()
    assert client.status()["pid"] == service.process.pid
