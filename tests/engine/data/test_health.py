from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from sptar_engine.data import health
from sptar_engine.data.beir import Tally, write_dataset
from sptar_engine.data.health import HealthCheck, HealthReport, bundled_token_counter, dataset_health, measure_lengths
from sptar_engine.errors import InputError
from sptar_engine.records import Document, Qrels, Query

ENGLISH = "The wing of an aircraft is tested in a wind tunnel"


def _count_words(text: str) -> int:
    return len(text.split())


def _check(documents: Iterable[Document], window: int = 20, tally: Tally | None = None) -> HealthReport:
    listed = list(documents)
    check = HealthCheck(_count_words, window, len(listed))
    assert list(check.watch(listed)) == listed
    return check.report(tally or Tally(), None)


def test_lengths_are_measured_in_words() -> None:
    lengths = measure_lengths(Counter({9: 1, 10: 1, 19: 2, 20: 1, 5000: 1}))
    assert (lengths.mean, lengths.median, lengths.percentile_95, lengths.longest) == (846.2, 19, 5000, 5000)
    bars = {(bar.low, bar.high): bar.documents for bar in lengths.histogram}
    assert bars[0, 10] == 1
    assert bars[10, 20] == 3
    assert bars[20, 40] == 1
    assert bars[2560, None] == 1
    assert sum(bars.values()) == 6


def test_duplicates_repeat_a_text_but_for_case_and_white_space() -> None:
    texts = ["One two", "one  TWO ", "three", "ONE two", "one, two"]
    report = _check(Document(f"d{number}", text) for number, text in enumerate(texts))
    assert report.documents == 5
    assert report.duplicate_documents == 2
    assert report.duplicate_ids == ("d1", "d3")


def test_the_title_counts_as_text() -> None:
    report = _check([Document("a", "two", "One"), Document("b", "one two")])
    assert report.duplicate_documents == 1
    assert report.words.mean == 2.0


def test_the_share_over_the_window_is_reported() -> None:
    report = _check([Document(str(number), "word " * (21 if number < 3 else 20)) for number in range(12)])
    assert (report.long_share, report.long_sample, report.window_tokens) == (0.25, 12, 20)


def test_big_corpora_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TOKEN_SAMPLE", 10)
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return 1

    check = HealthCheck(count, 20, 95)
    for number in range(95):
        check.add(Document(str(number), f"text {number}"))
    assert counted == [f"text {number}" for number in range(0, 95, 10)]
    assert check.report(Tally(), None).long_sample == 10


def test_the_language_is_the_most_frequent_guess() -> None:
    german = "Guten Tag, wie geht es Ihnen heute? Das Wetter ist schön."
    report = _check([Document("a", ENGLISH), Document("b", ENGLISH + " again"), Document("c", german)])
    assert (report.language, report.language_share) == ("en", 0.6667)
    assert report.languages == {"en": 0.6667, "de": 0.3333}


def test_what_reading_left_out_is_reported() -> None:
    tally = Tally(documents=1, empty_ids=[f"e{number}" for number in range(9)], replaced_characters=4)
    report = _check([Document("a", ENGLISH)], tally=tally)
    assert (report.empty_documents, report.replaced_characters) == (9, 4)
    assert report.empty_ids == ("e0", "e1", "e2", "e3", "e4")
    assert json.loads(json.dumps(report.as_dict()))["words"]["histogram"][0] == {"low": 0, "high": 10, "documents": 0}


def _dataset(folder: Path) -> Path:
    documents = [Document("d1", ENGLISH), Document("d2", "More of it")]
    queries = [Query("q1", "one"), Query("q2", "two"), Query("q3", "three")]
    write_dataset(
        folder, documents, queries, {"train": Qrels({"q1": {"d1": 1, "d2": 0}}), "test": Qrels({"q2": {"d1": 1}})}
    )
    return folder


def test_a_dataset_is_reported_with_its_labels(tmp_path: Path) -> None:
    report = dataset_health(_dataset(tmp_path), models=tmp_path, count_tokens=_count_words)
    assert report.labels is not None
    assert report.documents == 2
    assert report.labels.queries == 3
    assert report.labels.queries_without_judgement == 1
    assert report.labels.judged_queries == {"train": 1, "test": 1}
    assert report.labels.judged_pairs == {"train": 2, "test": 1}


def test_a_dataset_without_labels_is_reported(tmp_path: Path) -> None:
    write_dataset(tmp_path, [Document("d1", ENGLISH)], [], {})
    assert dataset_health(tmp_path, models=tmp_path, count_tokens=_count_words).labels is None


def test_a_bad_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        dataset_health(tmp_path / "none", models=tmp_path)
    with pytest.raises(InputError, match=r"corpus\.jsonl is missing"):
        dataset_health(tmp_path, models=tmp_path, count_tokens=_count_words)
    write_dataset(tmp_path, [Document("d1", ENGLISH)], [Query("q1", "one")], {"dev": Qrels({"q1": {"d7": 1}})})
    with pytest.raises(InputError, match=r"dev\.tsv, line 2: the document 'd7' is not in corpus\.jsonl"):
        dataset_health(tmp_path, models=tmp_path, count_tokens=_count_words)


@pytest.mark.bundled
def test_tokens_are_counted_as_the_bundled_encoder_does_without_cutting(tmp_path: Path) -> None:
    count = bundled_token_counter(tmp_path)
    assert count("wing") == 3  # [CLS] wing [SEP]
    assert count("wing " * 1000) == 1002
