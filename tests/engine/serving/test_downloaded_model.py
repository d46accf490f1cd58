"""The service ranks as the downloaded model does through sentence-transformers alone: what was tried is what is got."""

from __future__ import annotations

import json
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from sptar_engine.packaging.archive import model_files, write_archive
from sptar_engine.packaging.usage import USAGES
from sptar_engine.serving.backends import real_backends
from tests import tiny_families, toy_data

_NEAR = 1e-5  # of a score: what batches of other sizes may change by rounding
_QUESTIONS = ("where can i find the heron of the harbour", "pulsar far away", "copper")


@pytest.fixture(params=[16, 256])
def trained(request: pytest.FixtureRequest, root: Path, tiny_encoder: Path) -> tuple[Path, int]:
    """The folder of a model that reads so many tokens, as a train stage leaves it."""
    from sptar_engine.retrieval.encoder import load_bi_encoder

    folder = root / "projects" / "p" / "store" / "stages" / "train-0" / "model"
    model = load_bi_encoder(tiny_encoder, request.param, "cpu")
    model.save(str(folder), create_model_card=False)
    return folder, request.param


def documents(folder: Path) -> tuple[Path, dict[str, str]]:
    """The toy documents, two of them twice, so that there are ties."""
    toy_data.write(folder)
    file = folder / "corpus.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows += [{**row, "_id": f"a-copy-{number}"} for number, row in enumerate(rows[:2])]
    rows += [{**row, "_id": f"z-copy-{number}"} for number, row in enumerate(rows[:2])]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file, {row["_id"]: f"{row.get('title', '')} {row['text']}".strip() for row in rows}


def download(folder: Path, target: Path) -> Path:
    """The model as somebody has it who unpacked the archive elsewhere."""
    write_archive(target / "model.zip", "retriever", model_files(folder), lambda done, total, name: None)
    with zipfile.ZipFile(target / "model.zip") as archive:
        archive.extractall(target)
    return target / "retriever"


def test_ranking_is_that_of_the_downloaded_model(start, trained: tuple[Path, int], tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder, length = trained
    running = start(load_model=real_backends("cpu", 1).load_model)
    corpus, texts = documents(running.root / "toys")
    name = str(folder) if length == 256 else f"{folder}:{length}"
    running.ask("prepare", corpus, what=name)
    assert running.service.builds.idle(60)

    model = SentenceTransformer(str(download(folder, tmp_path)), device="cpu")
    assert model.max_seq_length == length
    ids = list(texts)
    scores = model.similarity(model.encode(list(_QUESTIONS)), model.encode(list(texts.values())))
    for question, row in zip(_QUESTIONS, scores.tolist(), strict=True):
        theirs = dict(zip(ids, row, strict=True))
        ours = running.ask("search", corpus, text=question, retriever=name, depth=len(ids), look=True)["hits"]
        assert [score for _, score in ours] == pytest.approx([theirs[doc_id] for doc_id, _ in ours], abs=_NEAR)
        order = [doc_id for doc_id, _ in ours]
        assert sorted(order) == sorted(ids)
        # Where their scores are apart, the order is theirs; equal texts stand by their ids.
        for first, second in pairwise(order):
            assert theirs[first] > theirs[second] - _NEAR
        for copies in (["a-copy-0", ids[0], "z-copy-0"], ["a-copy-1", ids[1], "z-copy-1"]):
            places = [order.index(doc_id) for doc_id in sorted(copies)]
            assert places == list(range(places[0], places[0] + 3))


@pytest.mark.parametrize("trained", [16], indirect=True)
def test_the_number_of_tokens_matters(start, trained: tuple[Path, int]) -> None:
    """Else the test above would not notice a wrong one."""
    folder, _ = trained
    running = start(load_model=real_backends("cpu", 1).load_model)
    corpus, _ = documents(running.root / "toys")
    scores = []
    for name in (str(folder), f"{folder}:16", f"{folder}:10"):
        running.ask("prepare", corpus, what=name)
        assert running.service.builds.idle(60)
        scores.append(running.ask("search", corpus, text=_QUESTIONS[0], retriever=name, depth=10)["hits"])
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("family", ["late_interaction", "cross_encoder", "sparse"])
def test_keyword_hits_stand_in_the_order_of_the_downloaded_model(
    start, root: Path, tiny_encoder: Path, tmp_path: Path, family: str
) -> None:
    import sentence_transformers

    folder = tiny_families.write(family, tiny_encoder, root / "trained" / "model")
    running = start(load_model=real_backends("cpu", 1).load_model)
    corpus, texts = documents(running.root / "toys")
    name = f"{folder}:64"
    for what in ("bm25", name):
        running.ask("prepare", corpus, what=what)
    assert running.service.builds.idle(60)
    question = _QUESTIONS[0]
    found = running.ask("search", corpus, text=question, depth=1000)["hits"]
    running.service._stock.encoders.get(running.library.encoder(name))
    ours = running.ask("search", corpus, text=question, retriever=name, depth=1000, look=True)["hits"]
    assert sorted(doc_id for doc_id, _ in ours) == sorted(doc_id for doc_id, _ in found)

    model = getattr(sentence_transformers, USAGES[family].loader)(str(download(folder, tmp_path)), device="cpu")
    read = [doc_id for doc_id, _ in ours[:50]]
    if family == "cross_encoder":
        scores = model.predict([(question, texts[doc_id]) for doc_id in read]).tolist()
    else:
        made = model.encode_document([texts[doc_id] for doc_id in read])
        scores = model.similarity(model.encode_query([question]), made).to_dense()[0].tolist()
    assert [score for _, score in ours[:50]] == pytest.approx(scores, abs=1e-4)
    assert [score for _, score in ours] == sorted((score for _, score in ours), reverse=True)
