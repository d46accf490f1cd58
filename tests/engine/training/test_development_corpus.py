from sptar_engine.data.beir import read_corpus, write_dataset
from sptar_engine.records import Document, Qrels, Query
from sptar_engine.retrieval.lexical import LexicalSearcher
from sptar_engine.training.development import read_development_set
from sptar_engine.training.development_corpus import development_folder, search_words


def test_all_documents_are_searched_where_they_are(toy_dataset, tmp_path) -> None:
    development = read_development_set(toy_dataset, 0)
    assert development_folder(toy_dataset, development, tmp_path) == toy_dataset
    assert list(tmp_path.iterdir()) == []


def test_pool_becomes_a_corpus_of_its_own_once(toy_dataset, tmp_path) -> None:
    development = read_development_set(toy_dataset, 20)
    folder = development_folder(toy_dataset, development, tmp_path)
    corpus = read_corpus(folder)
    assert {doc_id: corpus[doc_id].content for doc_id in corpus} == dict(development.documents)
    written = (folder / "corpus.jsonl").stat().st_mtime_ns
    assert development_folder(toy_dataset, development, tmp_path) == folder
    assert (folder / "corpus.jsonl").stat().st_mtime_ns == written
    assert development_folder(toy_dataset, read_development_set(toy_dataset, 25), tmp_path) != folder


def test_bm25_searches_the_development_documents_alone_and_for_no_more_hits_than_asked(tmp_path, monkeypatch) -> None:
    documents = [Document(f"d{number}", "sparrow " * (number + 1) + "bird") for number in range(6)]
    write_dataset(tmp_path, documents, [Query("q1", "sparrow")], {"dev": Qrels({"q1": {"d0": 1, "d3": 0, "d4": 0}})})
    depths: list[int] = []
    search = LexicalSearcher.search

    def remember(searcher, queries, depth):
        depths.append(depth)
        return search(searcher, queries, depth)

    monkeypatch.setattr(LexicalSearcher, "search", remember)
    every, some = (read_development_set(tmp_path, pool) for pool in (0, 3))
    assert list(some.documents) == ["d0", "d3", "d4"]
    found = [
        [hit.doc_id for hit in search_words(one, tmp_path, tmp_path / "cache", depth, k1=0.9, b=0.4)["q1"]]
        for one, depth in ((every, 10), (some, 10), (some, 2))
    ]
    assert len(found[0]) == 6 and found[0][:2] == ["d5", "d4"]
    assert found[1:] == [["d4", "d3", "d0"], ["d4", "d3"]] and depths == [10, 10, 2]
