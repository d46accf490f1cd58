"""How an index, vectors and topics of a corpus are made: the builds of the service, and whether they are there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sptar_engine.artifacts import atomic_writer, sha256_file, write_json
from sptar_engine.data.beir import iter_documents
from sptar_engine.errors import InputError
from sptar_engine.records import Document
from sptar_engine.serving.backends import Backends
from sptar_engine.serving.builds import Tick
from sptar_engine.serving.clusters import Clusters, find_clusters, save_clusters
from sptar_engine.serving.corpora import IDS_FILE, INDEX_FILE, read_ids, write_index_name
from sptar_engine.serving.encoders import Encoders
from sptar_engine.serving.labels import label_topics
from sptar_engine.serving.library import CorpusName, EncoderName
from sptar_engine.serving.vectors import VECTORS_FILE, build_vectors, open_vectors

TOPICS_FILE = "topics.json"  # written last

_EVERY = 5000  # documents between two reports
_LABELLED = 150  # documents of a topic whose words make its label

Steps = Generator[None, None, None]


def vectors_folder(corpus: CorpusName, encoder: EncoderName) -> Path:
    """Where a corpus's vectors by one encoder are kept, and the topics found in them."""
    return corpus.folder / f"vectors-{encoder.key}"


def has_index(corpus: CorpusName) -> bool:
    """Whether BM25 can search the corpus."""
    return (corpus.folder / INDEX_FILE).is_file()


def has_vectors(corpus: CorpusName, encoder: EncoderName) -> bool:
    """Whether all documents are encoded."""
    return (vectors_folder(corpus, encoder) / VECTORS_FILE).is_file()


def has_topics(corpus: CorpusName, encoder: EncoderName) -> bool:
    """Whether the topics are found and labelled."""
    return (vectors_folder(corpus, encoder) / TOPICS_FILE).is_file()


def make_index(corpus: CorpusName, backends: Backends, tick: Tick) -> Steps:
    """Make the list of ids and the index of BM25. Raises InputError when the corpus is not what its name says."""
    yield from _make_ids(corpus, tick)
    total = len(read_ids(corpus.folder))
    index = backends.build_index(corpus.path, corpus.folder, lambda done: tick(done, total, "Indexing the documents"))
    write_index_name(corpus.folder, index)


def make_vectors(corpus: CorpusName, name: EncoderName, encoders: Encoders, tick: Tick) -> Steps:
    """Encode all documents, going on where an earlier build was stopped."""
    if not (corpus.folder / IDS_FILE).is_file():
        yield from _make_ids(corpus, tick)
    total = len(read_ids(corpus.folder))
    tick(0, total, "Loading the search model")
    encoder = encoders.get(name)
    documents = iter_documents(corpus.path)
    folder = vectors_folder(corpus, name)
    yield from build_vectors(folder, documents, total, encoder.dimensions, encoder.corpus(total, folder), tick)


def make_topics(corpus: CorpusName, encoder: EncoderName, tick: Tick) -> Steps:
    """Find the topics and label them."""
    folder = vectors_folder(corpus, encoder)
    clusters = find_clusters(open_vectors(folder, len(read_ids(corpus.folder))), tick)
    yield
    rows = _typical_rows(clusters)
    texts: dict[int, list[str]] = {topic: [] for topic in range(len(clusters.sizes))}
    for row, document in _reported(iter_documents(corpus.path), len(clusters.topic), "Naming the topics", tick):
        if row in rows:
            texts[int(clusters.topic[row])].append(document.content)
        if row % _EVERY == 0:
            yield
    save_clusters(folder, clusters)
    write_json(folder / TOPICS_FILE, _described(label_topics(texts), clusters))


def _make_ids(corpus: CorpusName, tick: Tick) -> Steps:
    tick(0, 0, "Reading the documents")
    if sha256_file(corpus.path) != corpus.sha256:
        raise InputError("The documents are not those that were imported: their file was changed. Import them again.")
    yield
    with atomic_writer(corpus.folder / IDS_FILE) as stream:
        for _, document in _reported(iter_documents(corpus.path), 0, "Reading the documents", tick):
            stream.write(f"{document.doc_id}\n")
    yield


def _typical_rows(clusters: Clusters) -> set[int]:
    """Rows of the documents nearest to the centre of each topic."""
    typical: set[int] = set()
    for topic in range(len(clusters.sizes)):
        (members,) = np.nonzero(clusters.topic == topic)
        nearest = np.argsort(-clusters.closeness[members], kind="stable")[:_LABELLED]
        typical.update(members[nearest].tolist())
    return typical


def _described(labels: dict[int, str], clusters: Clusters) -> list[dict[str, Any]]:
    return [{"id": topic, "label": labels[topic], "size": size} for topic, size in enumerate(clusters.sizes)]


def _reported(documents: Iterable[Document], total: int, doing: str, tick: Tick) -> Iterator[tuple[int, Document]]:
    for row, document in enumerate(documents):
        if row % _EVERY == 0:
            tick(row, total, doing)
        yield row, document
