"""The gauge: counts, thresholds, topics, and advice on single questions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.webapp.examples.conftest import FakeSearch
from webapp.models import Project, Query, User
from webapp.selectors.advice import advise, copies, count_words, similar_pairs
from webapp.selectors.gauge import Counts, counts_of, gauge_of, warnings_about
from webapp.services import queries

Write = Callable[..., Query]


@pytest.mark.parametrize(
    ("train", "level", "words"),
    [
        (7, "bad", "7 training examples are too few"), (8, "bad", "vary a lot"), (29, "bad", "vary a lot"),
        (30, "warn", "30 training examples will do"), (99, "warn", "will do"),
    ],
)  # fmt: skip
def test_training_examples_below_the_thresholds(train: int, level: str, words: str) -> None:
    [found] = warnings_about(Counts(train=train, dev=10, test=30))
    assert (found.level, words in found.sentence) == (level, True)


def test_a_hundred_training_examples_need_no_word() -> None:
    assert warnings_about(Counts(train=100, dev=10, test=30)) == []


def test_few_held_out_and_few_test_examples_are_named() -> None:
    dev, test = warnings_about(Counts(train=100, dev=9, test=29))
    assert "9 held-out examples" in dev.sentence
    assert "with 30 test questions only differences above about 0.14 can be seen" in test.sentence


def test_too_few_to_split_says_how_many_more() -> None:
    [found] = warnings_about(Counts(unsplit=11))
    assert found.sentence.startswith("7 more examples")


def test_counts_leave_out_what_is_no_example(write: Write, project: Project, owner: User) -> None:
    write("one", d1=2)
    write("two", d1=0)
    queries.skip(query=write("three", d1=2), actor=owner, reason="unclear")
    found = counts_of(project)
    assert (found.total, found.unsplit, found.open) == (1, 1, 2)


def test_topics_without_an_example_are_named(write: Write, project: Project, search: FakeSearch) -> None:
    for number in range(9):
        write(f"about loans {number}", d1=2)
    project.refresh_from_db()
    found = gauge_of(project)
    assert (found.topics.covered, found.topics.total, found.topics.missing) == (1, 2, ["rooms"])
    assert any("100% of the examples are about one topic, “loans”" in row.sentence for row in found.warnings)


def test_without_a_search_service_the_rest_of_the_gauge_stands(
    write: Write, project: Project, search: FakeSearch
) -> None:
    write("about loans", d1=2)
    search.down = True
    project.refresh_from_db()
    found = gauge_of(project)
    assert (found.counts.total, found.topics.problem) == (1, "The search service is not running.")
    search.down = False
    assert gauge_of(project).topics.total == 2


def test_the_gauge_is_computed_once_for_a_state(
    write: Write, project: Project, search: FakeSearch, django_assert_num_queries: Callable[..., object]
) -> None:
    write("about loans", d1=2)
    project.refresh_from_db()
    first = gauge_of(project)
    with django_assert_num_queries(2):  # type: ignore[attr-defined]  # the cache, and the counts
        assert gauge_of(project) == first


def test_texts_are_warned_about(write: Write, project: Project, search: FakeSearch) -> None:
    write("how may I renew a loan of books here", d1=2)
    write("how may I renew a loan of books", d1=2)
    write("what are the opening hours of the reading room", d2=2)
    write(" ".join(f"word{number}" for number in range(26)), d3=2)
    project.corpus.rows.filter(doc_id="d2").update(title="Opening hours of the reading room")
    project.refresh_from_db()
    sentences = " ".join(row.sentence for row in gauge_of(project).warnings)
    assert "1 pair of examples nearly the same" in sentences
    assert "1 question longer than 25 words" in sentences
    assert "3 questions repeating most of a title" in sentences


def test_similar_pairs_of_different_splits_are_counted(write: Write, project: Project, search: FakeSearch) -> None:
    one = write("how may I renew a loan of books here", d1=2)
    other = write("how may I renew a loan of books", d1=2)
    Query.objects.filter(pk=one.pk).update(split="train", split_fixed=True)
    Query.objects.filter(pk=other.pk).update(split="test", split_fixed=True)
    sentences = " ".join(row.sentence for row in gauge_of(project).warnings)
    assert "1 of these pairs stands in different splits" in sentences


def test_similar_pairs_at_the_threshold() -> None:
    # 4 of 5 words shared: Jaccard 4/5 = 0.8 counts; 4 of 6 does not.
    assert list(similar_pairs({1: "a b c d", 2: "a b c d e"})) == [(1, 2)]
    assert list(similar_pairs({1: "a b c d e", 2: "a b c d f"})) == []


def test_a_title_is_copied_above_sixty_percent() -> None:
    # 3 of 5 words are 60 % and allowed; 4 of 5 are not. Two words are no title.
    assert not copies("renewal of loans", "renewal of loans by phone")
    assert copies("renewal of loans phone", "renewal of loans by phone")
    assert not copies("lost cards", "Lost cards")


@pytest.mark.parametrize(("text", "size"), [("how do I renew", 4), ("", 0), ("本を借りる方法", 4), ("C++ vs. C#", 3)])
def test_words_are_counted_in_any_script(text: str, size: int) -> None:
    assert count_words(text) == size


def test_advice_while_writing(write: Write, project: Project) -> None:
    write("how may I renew a loan of books", d1=2)
    assert advise(project, "") == []
    assert advise(project, "what does a lost card cost") == []
    assert "short" in advise(project, "loans")[0]
    assert "long: 26 words" in advise(project, "word " * 26)[0]
    assert "nearly the same" in advise(project, "how may I renew a loan of books?")[0]
    assert "title" in advise(project, "hours of the reading room", titles=["Hours of the reading room"])[0]
