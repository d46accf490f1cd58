"""What pages are told: answers as dataclasses, failures as sentences."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sptar_engine.serving.wire import Refusal
from webapp import places
from webapp.models import Corpus
from webapp.search import client
from webapp.search.client import Build, Hit, SearchUnavailable, Suggestion, Topic

_TOPICS = [{"id": 0, "label": "wing, flow", "size": 40}, {"id": 1, "label": "heat", "size": 20}]


def test_hits_come_best_first_with_the_time_it_took(corpus, script) -> None:
    script.says("search", {"hits": [["d2", 3.5], ["d1", 1]], "milliseconds": 1.4})
    found = client.find(corpus, "wing", retriever=client.BASE, depth=2, k1=1.2)
    assert found.hits == [Hit("d2", 3.5), Hit("d1", 1)]
    assert found.milliseconds == 1.4
    assert script.asked == [
        {
            "do": "search", "corpus": str(places.corpus_folder(corpus) / "corpus.jsonl"), "sha256": corpus.sha256,
            "text": "wing", "retriever": "base", "depth": 2, "k1": 1.2,
        }
    ]  # fmt: skip


def test_suggestions_carry_the_topic_they_stand_for(corpus, script) -> None:
    script.says("suggest", {"documents": [["d2", 1], ["d1", None]], "topics": _TOPICS})
    assert client.suggest(corpus, ["d7"], 2) == [Suggestion("d2", Topic(1, "heat", 20)), Suggestion("d1", None)]
    assert (script.asked[0]["exclude"], script.asked[0]["covered"]) == (["d7"], ["d7"])
    client.suggest(corpus, {"d7"}, 2, covered=())
    assert (script.asked[1]["exclude"], script.asked[1]["covered"]) == (["d7"], [])


def test_topics_and_their_members(corpus, script) -> None:
    script.says("topics", {"topics": _TOPICS})
    script.says("topics_of", {"topics_of": {"d1": 0}})
    assert client.topics(corpus) == [Topic(0, "wing, flow", 40), Topic(1, "heat", 20)]
    assert client.topics_of(corpus, {"d1": "", "d9": ""}.keys()) == {"d1": 0}


def test_where_builds_stand(corpus, script) -> None:
    ready, building = ({"state": state, "done": 3, "total": 9, "message": "m"} for state in ("ready", "building"))
    script.says("readiness", {"bm25": ready, "base": building, "topics": building})
    script.says("prepare", building)
    script.says("state", ready)
    assert client.readiness(corpus) == {"bm25": "ready", "base": "building", "topics": "building"}
    assert client.prepare(corpus, client.BASE) == Build("base", "building", 3, 9, "m")
    assert client.build_of(corpus, client.BM25).state == "ready"


def test_index_that_is_being_built_is_a_sentence_with_its_share(corpus, script) -> None:
    refusal = Refusal("building", "The index of these documents is still being built (40 %).", done=4, total=10)
    script.says("search", refusal)
    with pytest.raises(SearchUnavailable, match=r"still being built \(40 %\)\.$") as no:
        client.find(corpus, "wing")
    assert (no.value.reason, no.value.done, no.value.total) == ("building", 4, 10)


def test_service_that_is_not_there_is_a_sentence_that_says_what_to_do(corpus) -> None:
    with pytest.raises(SearchUnavailable, match=r"^The search service is not running\. .*make up") as no:
        client.find(corpus, "wing")
    assert no.value.reason == "down"
    with pytest.raises(SearchUnavailable):
        client.status()


def test_socket_of_a_killed_service_is_not_running(corpus, search_socket: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(search_socket))
    with pytest.raises(SearchUnavailable, match="not running"):
        client.readiness(corpus)


def test_data_folder_with_a_long_path_is_a_sentence(corpus, settings) -> None:
    settings.SEARCH_SOCKET = settings.DATA_DIR / ("a" * 120) / "s.sock"
    with pytest.raises(SearchUnavailable, match="choose a data folder with a shorter path"):
        client.find(corpus, "wing")


def test_version_that_is_still_imported_is_not_asked_for(project, script) -> None:
    with pytest.raises(SearchUnavailable, match="still being imported"):
        client.find(Corpus(project=project, number=1), "wing")
    assert script.asked == []


def test_too_long_a_request_is_refused_here(corpus, script) -> None:
    with pytest.raises(SearchUnavailable, match="too long") as no:
        client.suggest(corpus, ["d" * 500] * 20_000)
    assert no.value.reason == "refused"


def test_dropping_keeps_the_files_that_another_version_shares(corpus, script) -> None:
    script.says("drop", {})
    client.drop(corpus)
    Corpus.objects.create(project=corpus.project, number=2, sha256=corpus.sha256)
    client.drop(corpus)
    assert [request["files"] for request in script.asked] == [True, False]


def test_client_loads_no_machine_learning_library_and_no_java() -> None:
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; django.setup()\n"
        "import webapp.search.client, webapp.search.following\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    root = Path(__file__).resolve().parents[3]
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert not set(loaded.split()) & {"torch", "transformers", "sentence_transformers", "pyserini", "jnius", "numpy"}
