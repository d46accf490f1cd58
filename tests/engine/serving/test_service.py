"""What the service answers, over its socket, on stand-ins for Lucene and torch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sptar_engine.errors import InputError
from sptar_engine.records import Hit
from sptar_engine.retrieval.feedback import move_towards
from sptar_engine.retrieval.fusion import WEIGHTED, Feedback, Fusion, write_fusion
from sptar_engine.retrieval.kinds import DOCUMENT, QUERY
from sptar_engine.retrieval.reordering import put_beside, reorder
from sptar_engine.serving import corpora as corpora_module
from sptar_engine.serving.wire import Refusal
from tests.engine.serving.stand_ins import SubjectModel, WordSearcher, build_words, subject_texts, write_corpus


def refused(call: Callable[[], Any]) -> Refusal:
    with pytest.raises(Refusal) as no:
        call()
    return no.value


def test_search_without_an_index_says_building_at_once_and_begins_to_build(start) -> None:
    may_go = threading.Event()

    def slow(corpus: Path, cache: Path, tick: Callable[[int], None]) -> Path:
        tick(16)
        may_go.wait(10)
        return build_words(corpus, cache, tick)

    running = start(build_index=slow)
    no = refused(lambda: running.ask("search", text="wing"))
    assert no.reason == "building"
    while running.ask("state", what="bm25")["done"] != 16:
        pass
    no = refused(lambda: running.ask("search", text="wing"))
    assert (str(no), no.facts) == (
        "The index of these documents is still being built (25 %).", {"done": 16, "total": 64},
    )  # fmt: skip
    may_go.set()
    assert running.service.builds.idle(10)
    assert running.ask("search", text="wing number0")["hits"][0] == ["d000", pytest.approx(1.8)]


def test_search_is_by_words_with_chosen_depth_and_parameters(start) -> None:
    running = start()
    running.ready("bm25")
    answer = running.ask("search", text="wing number3", depth=2, k1=2.0, b=0.1)
    assert answer["hits"] == [["d003", 4.0], ["d000", 2.0]]
    assert answer["milliseconds"] >= 0
    assert running.ask("search", text="nothing of this")["hits"] == []


def test_search_by_meaning_finds_the_subject(start) -> None:
    running = start()
    running.ready("base")
    hits = running.ask("search", text="heat", retriever="base", depth=16)["hits"]
    assert {doc_id for doc_id, _ in hits} == {f"d{number:03d}" for number in range(1, 64, 4)}
    assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
    assert running.ask("search", text="  ", retriever="base")["hits"] == []


def test_a_trained_model_is_named_by_its_folder(start) -> None:
    running = start()
    trained = running.root / "trained"
    trained.mkdir()
    (trained / "config.json").write_text("{}")
    (trained / "model.safetensors").write_text("other weights")
    no = refused(lambda: running.ask("search", text="heat", retriever=str(trained)))
    assert "search model is still being built" in str(no)
    assert running.service.builds.idle(10)
    assert running.ask("search", text="heat", retriever=str(trained))["hits"]


class LongestFirst:
    """Reads: the longer a text, the better."""

    def read(self, query: str, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]


def reading_model(root) -> str:
    """A folder that says it holds a cross-encoder."""
    (root / "reader").mkdir()
    (root / "reader" / "config.json").write_text("{}")
    (root / "reader" / "model.safetensors").write_text("weights")
    (root / "reader" / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
    return str(root / "reader")


def test_model_that_reads_puts_keyword_hits_in_order_and_needs_no_other_index(start) -> None:
    running = start(load_model=lambda folder, tokens: LongestFirst() if folder.name == "reader" else SubjectModel())
    name = reading_model(running.root)
    no = refused(lambda: running.ask("search", text="wing", retriever=name, look=True))
    assert (no.reason, str(no)) == ("absent", "The index of these documents has not been built yet.")
    assert running.ask("prepare", what=name)["state"] == "building"
    assert running.service.builds.idle(10)
    assert running.ask("state", what=name)["state"] == running.ask("state", what="bm25")["state"] == "ready"
    assert running.ask("search", text=" ", retriever=name)["hits"] == []
    hits = running.ask("search", text="wing", retriever=name, depth=40)["hits"]
    found = [doc_id for doc_id, _ in running.ask("search", text="wing", depth=40)["hits"]]
    assert len(hits) == len(found) == 32
    texts = subject_texts(64)
    assert [doc_id for doc_id, _ in hits] == sorted(found, key=lambda doc_id: (-len(texts[doc_id]), doc_id))


def test_model_that_reads_counts_beside_the_search_as_its_folder_says(start) -> None:
    running = start(load_model=lambda folder, tokens: LongestFirst() if folder.name == "reader" else SubjectModel())
    name = reading_model(running.root)
    fusion = Fusion(WEIGHTED, 0.4, 60, 50)
    write_fusion(running.root / "reader", fusion, {})
    running.ready(name)
    found = [Hit(*hit) for hit in running.ask("search", text="wing number3", depth=50)["hits"]]
    lengths = {hit.doc_id: float(len(subject_texts(64)[hit.doc_id])) for hit in found}
    hits = [Hit(*hit) for hit in running.ask("search", text="wing number3", retriever=name, depth=8)["hits"]]
    assert hits == reorder(found, put_beside(found, lengths, fusion), 8)
    assert [hit.doc_id for hit in hits] != [hit.doc_id for hit in reorder(found, lengths, 8)]


def test_no_more_is_read_than_was_measured_and_a_broken_weight_is_told(start) -> None:
    running = start(load_model=lambda folder, tokens: LongestFirst() if folder.name == "reader" else SubjectModel())
    name, folder = reading_model(running.root), running.root / "reader"
    write_fusion(folder, Fusion(WEIGHTED, 1.0, 60, 3), {})
    running.ready(name)
    found = [doc_id for doc_id, _ in running.ask("search", text="wing", depth=8, k1=2.0, b=0.1)["hits"]]
    hits = running.ask("search", text="wing", retriever=name, depth=8, k1=2.0, b=0.1)["hits"]
    assert {doc_id for doc_id, _ in hits[:3]} == set(found[:3])
    assert [doc_id for doc_id, _ in hits[3:]] == found[3:]
    (folder / "fusion.json").write_text("{")
    no = refused(lambda: running.ask("search", text="wing", retriever=name))
    assert str(no) == "The files of this search model are damaged."


def test_large_corpus_is_encoded_in_the_format_that_is_settled_for_it(start) -> None:
    settled, formats = [], set()

    class Rounding(SubjectModel):
        def settle_format(self, documents, folder):
            settled.append((documents, folder.name))
            return "bfloat16"

        def encode(self, texts, side, number_format=""):
            formats.add((side, number_format))
            return super().encode(texts, side)

    running = start(load_model=lambda folder, tokens: Rounding())
    running.ready("base")
    assert running.ask("search", text="wing", retriever="base")["hits"]
    assert [(documents, name.startswith("vectors-")) for documents, name in settled] == [(64, True)]
    assert formats == {(DOCUMENT, "bfloat16"), (QUERY, "")}


def test_hits_beyond_those_that_are_read_keep_their_order(start, monkeypatch) -> None:
    monkeypatch.setattr("sptar_engine.serving.service._READ", 3)
    running = start(load_model=lambda folder, tokens: LongestFirst() if folder.name == "reader" else SubjectModel())
    name = reading_model(running.root)
    running.ready(name)
    found = [doc_id for doc_id, _ in running.ask("search", text="wing", depth=8)["hits"]]
    hits = [doc_id for doc_id, _ in running.ask("search", text="wing", retriever=name, depth=8)["hits"]]
    assert set(hits[:3]) == set(found[:3])
    assert hits[3:] == found[3:]


def test_hybrid_is_both_searches_put_together(start) -> None:
    running = start()
    fusion = Fusion("weighted", 0.7, 60, 40)
    folder = fused(running.root, fusion)
    asked = {"text": "wing number3", "retriever": "base", "depth": 40}
    no = refused(lambda: running.ask("search", **asked, fusion=folder, look=True))
    assert (no.reason, running.send({"do": "status"})["builds"]) == ("absent", [])
    running.ready("base")
    no = refused(lambda: running.ask("search", **asked, fusion=folder, look=True))
    assert (no.reason, str(no)) == ("absent", "The index of these documents has not been built yet.")
    running.ready("bm25")
    hits = running.ask("search", **asked, fusion=folder, k1=2.0)["hits"]
    words = running.ask("search", text=asked["text"], depth=40, k1=2.0)["hits"]
    meaning = running.ask("search", **asked)["hits"]
    assert hits == put_together(fusion, words, meaning)
    assert running.ask("search", text=" ", retriever="base", fusion=folder)["hits"] == []


def test_hybrid_looks_twice_where_its_fusion_says_so(start) -> None:
    running = start()
    running.ready("base", "bm25")
    first = Fusion("weighted", 0.5, 60, 64)
    fusion = Fusion("weighted", 0.8, 60, 64, Feedback(first, 3, 1.0))
    asked = {"text": "heat number5", "depth": 64}
    words = running.ask("search", **asked)["hits"]
    meaning = running.ask("search", **asked, retriever="base")["hits"]
    texts, model = subject_texts(64), SubjectModel()
    vectors = dict(zip(texts, model.encode(list(texts.values()), DOCUMENT), strict=True))
    found = [vectors[doc_id] for doc_id, _ in put_together(first, words, meaning)[:3]]
    moved = move_towards(model.encode([asked["text"]], QUERY)[0], np.array(found), 1.0)
    again = sorted(((doc_id, float(vector @ moved)) for doc_id, vector in vectors.items()), key=lambda one: -one[1])
    hits = running.ask("search", **asked, retriever="base", fusion=fused(running.root / "fuse", fusion))["hits"]
    expected = put_together(fusion, words, [list(one) for one in again], 64)
    assert dict(hits) == pytest.approx(dict(expected), abs=1e-5)
    assert hits != put_together(fusion, words, meaning, 64)


def test_hybrid_without_a_fusion_on_the_disk_is_refused(start) -> None:
    running = start()
    running.ready("base", "bm25")
    no = refused(lambda: running.ask("search", text="wing", retriever="base", fusion=str(running.root / "gone")))
    assert (no.reason, "not on the disk any more" in str(no)) == ("refused", True)


def test_fusion_is_read_in_the_data_folder_only(start, tmp_path) -> None:
    running = start()
    running.ready("base", "bm25")
    name = fused(tmp_path / "elsewhere", Fusion("weighted", 0.7, 60, 40))
    no = refused(lambda: running.ask("search", text="wing", retriever="base", fusion=name))
    assert "reads files of its data folder only" in str(no)


def fused(folder: Path, fusion: Fusion) -> str:
    """The folder of a finished fuse step."""
    folder.mkdir(exist_ok=True)
    write_fusion(folder, fusion, {})
    return str(folder)


def put_together(fusion: Fusion, words: list[Any], meaning: list[Any], depth: int = 40) -> list[Any]:
    """As `search` answers."""
    sides = ({"q": [Hit(*hit) for hit in hits]} for hits in (words, meaning))
    return [[hit.doc_id, hit.score] for hit in fusion.fuse(*sides, depth)["q"]]


def test_a_look_begins_nothing(start) -> None:
    running = start()
    for what, words in (("bm25", "The index of these documents"), ("base", "for the search model")):
        no = refused(lambda what=what: running.ask("search", text="wing", retriever=what, look=True))
        assert no.reason == "absent"
        assert words in str(no)
        assert str(no).endswith("has not been built yet.")
    assert running.send({"do": "status"})["builds"] == []
    running.ready("bm25", "base")
    for what in ("bm25", "base"):
        assert running.ask("search", text="wing", retriever=what, look=True)["hits"]


def test_an_empty_question_has_the_encoder_loaded_for_the_next_one(start) -> None:
    running = start()
    running.ready("base")
    running.stop()
    again = start()
    assert again.ask("search", text=" ", retriever="base", look=True)["hits"] == []
    assert again.service._stock.encoders.begin(again.library.encoder("base")).result(10)


def test_encoder_is_told_how_many_tokens_to_read(start) -> None:
    told = []

    def load(folder: Path, max_length: int) -> SubjectModel:
        told.append(max_length)
        return SubjectModel()

    running = start(load_model=load)
    running.ready("base", "base:128")
    assert sorted(told) == [128, 256]
    assert running.ask("search", text="wing", retriever="base:128")["hits"]


def test_query_is_answered_while_documents_are_encoded(start, monkeypatch) -> None:
    """The builder holds the encoder for one batch only."""
    batches = []

    class Slow(SubjectModel):
        def encode(self, texts, side, number_format=""):
            batches.append(len(texts))
            return super().encode(texts, side)

    running = start(load_model=lambda folder, max_length: Slow())
    running.ready("base")
    other = write_corpus(running.root / "two", subject_texts(600))
    running.ask("prepare", other, what="base")
    assert running.ask("search", text="wing", retriever="base")["hits"]
    assert running.service.builds.idle(20)
    assert max(batches) <= 8


def test_model_that_takes_long_to_load_is_not_waited_for(start, monkeypatch) -> None:
    running = start()
    running.ready("base")
    running.stop()
    may_go = threading.Event()

    def load(folder: Path, max_length: int) -> SubjectModel:
        may_go.wait(10)
        return SubjectModel()

    monkeypatch.setattr("sptar_engine.serving.service._LOADING", 0.05)
    again = start(load_model=load)
    no = refused(lambda: again.ask("search", text="wing", retriever="base"))
    assert no.reason == "building"
    assert "is being loaded" in str(no)
    may_go.set()
    monkeypatch.setattr("sptar_engine.serving.service._LOADING", 10)
    assert again.ask("search", text="wing", retriever="base")["hits"]


def test_model_that_cannot_be_loaded_fails_the_build_with_its_sentence(start) -> None:
    def load(folder: Path, max_length: int) -> SubjectModel:
        raise InputError("That is no encoder.")

    running = start(load_model=load)
    running.ready("base")
    assert running.ask("readiness")["base"] == {
        "state": "failed", "done": 0, "total": 64, "message": "That is no encoder.",
    }  # fmt: skip
    no = refused(lambda: running.ask("search", text="wing", retriever="base"))
    assert (no.reason, str(no)) == (
        "failed", "The index of these documents for the search model could not be built: That is no encoder.",
    )  # fmt: skip


def test_readiness_goes_from_absent_to_ready(start) -> None:
    running = start()
    states = {what: row["state"] for what, row in running.ask("readiness").items()}
    assert states == {"bm25": "absent", "base": "absent", "topics": "absent"}
    running.ready("bm25", "base")
    states = {what: row["state"] for what, row in running.ask("readiness").items()}
    assert states == {"bm25": "ready", "base": "ready", "topics": "ready"}


def test_topics_come_after_the_vectors_with_label_and_members(start) -> None:
    may_go = threading.Event()

    class Waiting(SubjectModel):
        def encode(self, texts, side, number_format=""):
            may_go.wait(10)
            return super().encode(texts, side)

    running = start(load_model=lambda folder, tokens: Waiting())
    no = refused(lambda: running.ask("topics"))
    assert (no.reason, str(no)) == ("absent", "The topics of these documents have not been looked for yet.")
    running.ask("prepare", what="topics")
    assert refused(lambda: running.ask("topics")).reason == "building"
    may_go.set()
    assert running.service.builds.idle(20)
    topics = running.ask("topics")["topics"]
    assert [topic["id"] for topic in topics] == list(range(len(topics)))
    assert sum(topic["size"] for topic in topics) == 64
    assert {topic["label"].split(", ")[0] for topic in topics} == {"wing", "heat", "shock"}
    found = running.ask("topics_of", doc_ids=["d000", "d001", "nobody"])["topics_of"]
    assert {topics[topic]["label"].split(", ")[0] for topic in found.values()} == {"wing", "heat"}


def test_suggestions_are_by_chance_until_there_are_topics(start) -> None:
    running = start()
    assert refused(lambda: running.ask("suggest", n=3)).reason == "building"
    assert running.service.builds.idle(10)
    first = running.ask("suggest", n=3, exclude=["d001"])
    assert first == running.ask("suggest", n=3, exclude=["d001"])
    assert [topic for _, topic in first["documents"]] == [None, None, None]
    assert first["topics"] == []
    everything = running.ask("suggest", n=100, exclude=["d001"])["documents"]
    assert {doc_id for doc_id, _ in everything} == set(subject_texts(64)) - {"d001"}


def test_suggestions_come_from_topics_that_are_not_covered(start) -> None:
    running = start()
    running.ready("bm25", "topics")
    running.ready("topics")
    topics = {topic["id"]: topic["label"] for topic in running.ask("topics")["topics"]}
    wings = [f"d{number:03d}" for number in range(0, 64, 4)]
    answer = running.ask("suggest", n=len(topics) - 1, exclude=wings, covered=wings)
    suggested = [topics[topic].split(", ")[0] for _, topic in answer["documents"]]
    assert {"heat", "shock"} <= set(suggested)
    assert not {doc_id for doc_id, _ in answer["documents"]} & set(wings)


def test_several_corpora_are_searched_at_once_and_only_a_few_stay_open(start, monkeypatch) -> None:
    monkeypatch.setattr(corpora_module, "_OPEN", 2)
    closed: list[int] = []

    class Searcher(WordSearcher):
        def close(self) -> None:
            closed.append(1)

    running = start(open_index=Searcher)
    files = [write_corpus(running.root / f"c{n}", {f"x{n}": f"word{n}"}) for n in range(5)]
    for file in files:
        running.ask("prepare", file, what="bm25")
    assert running.service.builds.idle(10)

    def search(number: int) -> list[Any]:
        return running.ask("search", files[number % 5], text=f"word{number % 5}")["hits"][0][0]

    with ThreadPoolExecutor(10) as clients:
        assert list(clients.map(search, range(50))) == [f"x{number % 5}" for number in range(50)]
    assert running.send({"do": "status"})["corpora"] <= 2
    assert closed


def test_corpus_that_is_not_what_it_was_fails_and_can_be_tried_again(start) -> None:
    running = start()
    running.ask("prepare", what="bm25", sha256="0" * 64)
    assert running.service.builds.idle(10)
    state = running.ask("state", what="bm25", sha256="0" * 64)
    assert state["state"] == "failed"
    assert "Import them again" in state["message"]
    assert running.ask("prepare", what="bm25", sha256="0" * 64)["state"] == "building"


def test_corpus_file_that_is_gone_is_a_sentence(start) -> None:
    running = start()
    digest = "1" * 64
    no = refused(lambda: running.ask("search", running.root / "no" / "corpus.jsonl", text="wing", sha256=digest))
    assert str(no) == "The file with these documents is gone."


@pytest.mark.parametrize("damage", ["index", "ids"])
def test_damaged_index_is_built_anew(start, damage: str) -> None:
    running = start()
    running.ready("bm25")
    folder = next((running.root / "cache" / "corpora").iterdir())
    if damage == "index":
        next(folder.glob("bm25-*/documents.json")).write_text("half")
        no = refused(lambda: running.ask("search", text="wing"))
    else:
        (folder / "ids.txt").unlink()
        no = refused(lambda: running.ask("suggest"))
    assert no.reason == "building"
    assert running.service.builds.idle(10)
    assert running.ask("search", text="wing")["hits"]
    assert running.ask("suggest")["documents"]


def test_damaged_vectors_and_topics_are_made_anew(start) -> None:
    running = start()
    running.ready("base")
    folder = next((running.root / "cache" / "corpora").glob("*/vectors-*"))
    (folder / "topics.npz").write_bytes(b"half")
    assert refused(lambda: running.ask("topics_of", doc_ids=["d000"])).reason == "building"
    assert (folder / "vectors.npy").is_file()
    assert running.service.builds.idle(10)
    assert running.ask("topics_of", doc_ids=["d000"])["topics_of"]
    (folder / "vectors.npy").write_bytes(b"half")
    assert refused(lambda: running.ask("search", text="wing", retriever="base")).reason == "building"
    assert running.service.builds.idle(10)
    assert running.ask("search", text="wing", retriever="base")["hits"]


def test_stopped_build_ends_and_goes_on_when_it_is_asked_for(start) -> None:
    running = start()
    running.ask("stop", what="base")
    running.ask("prepare", what="base")
    running.ask("stop", what="base")
    assert running.service.builds.idle(10)
    running.ready("base")
    assert running.ask("state", what="base")["state"] == "ready"


def test_dropped_corpus_leaves_nothing_behind(start) -> None:
    running = start()
    running.ready("bm25", "base")
    running.ask("search", text="wing")
    running.ask("drop")
    assert running.ask("readiness")["bm25"]["state"] == "ready"
    running.ask("drop", files=True)
    assert list((running.root / "cache" / "corpora").iterdir()) == []
    assert running.ask("readiness")["bm25"]["state"] == "absent"


def test_status_tells_how_it_is(start) -> None:
    running = start()
    running.ready("base")
    status = running.send({"do": "status"})
    assert status["encoders"] == 1
    assert status["memory_mb"] > 0
    assert status["builds"] == []
    assert running.send({"do": "ping"}) == {}


@pytest.mark.parametrize(
    "values",
    [
        {"do": "nonsense"}, {"do": None}, {"do": "search"}, {"do": "search", "text": 3},
        {"do": "search", "text": "a", "depth": 0}, {"do": "search", "text": "a", "depth": 1001},
        {"do": "search", "text": "a", "depth": True}, {"do": "search", "text": "a", "depth": "5"},
        {"do": "search", "text": "a", "k1": -1}, {"do": "search", "text": "a", "k1": "x"},
        {"do": "search", "text": "a", "b": 2}, {"do": "search", "text": "a", "b": True},
        {"do": "search", "text": "a", "retriever": "no-such-model"},
        {"do": "search", "text": "a", "retriever": "/etc"}, {"do": "prepare", "what": "/etc"},
        {"do": "prepare"}, {"do": "suggest", "n": 101}, {"do": "suggest", "exclude": "d001"},
        {"do": "suggest", "exclude": [1]}, {"do": "topics_of", "doc_ids": None}, {"do": "drop", "files": "yes"},
    ],
)  # fmt: skip
def test_bad_request_is_refused_with_a_sentence(start, values: dict[str, Any]) -> None:
    running = start()
    running.ready("bm25")
    no = refused(lambda: running.ask(values.pop("do"), **values))
    assert no.reason == "refused"
    assert str(no).endswith(".")


def test_lone_surrogates_and_control_characters_of_a_query_do_no_harm(start) -> None:
    running = start()
    running.ready("base")
    assert running.ask("search", text="wing \ud800 \0 heat", retriever="base")["hits"]
