import json

from sptar_engine.retrieval.distinct import distinct_texts


def write(folder, texts: list[str]) -> None:
    rows = [json.dumps({"_id": f"d{number}", "text": text}) for number, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(rows) + "\n")


def test_equal_texts_have_one_number_and_come_once(tmp_path) -> None:
    write(tmp_path, ["one", "two", "one", "three", "two", "four"])
    texts = distinct_texts(tmp_path)
    assert (texts.numbers.tolist(), texts.count) == ([0, 1, 0, 2, 1, 3], 4)
    assert list(texts.blocks(3)) == [(0, ["one", "two", "three"]), (3, ["four"])]
    assert list(texts.blocks(3, 3)) == [(3, ["four"])]
    assert list(texts.blocks(3, 4)) == []
    assert texts.rows(0, 2).tolist() == [0, 1, 2, 4]


def test_empty_documents_have_no_number(tmp_path) -> None:
    write(tmp_path, ["one", "", "two"])
    texts = distinct_texts(tmp_path)
    assert (texts.doc_ids, texts.numbers.tolist()) == (["d0", "d2"], [0, 1])
    assert list(texts.blocks(9)) == [(0, ["one", "two"])]
