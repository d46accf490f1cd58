from sptar_engine.data.beir import read_corpus
from sptar_engine.training.development import read_development_set
from sptar_engine.training.development_corpus import development_folder


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
