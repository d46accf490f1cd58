"""The pages: columns, polling, grades, saving, blind comparison."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from webapp.models import Errand, Judgement, Preference, Query
from webapp.search.client import SearchUnavailable

HTMX = {"HX-Request": "true"}
TEXT = "book renewed"


@pytest.fixture
def at(project):
    """Return `at(name, *arguments)`: an address of the project."""
    return lambda name, *arguments: reverse(name, args=[project.slug, *arguments])


@pytest.fixture
def chosen(model) -> dict[str, str]:
    """A question and a model, as addresses and forms name them."""
    return {"q": TEXT, "run": "1", "arm": "sptar"}


def page(client, address, values=None, **more) -> str:
    answer = client.get(address, values or {}, **more)
    assert answer.status_code == 200
    return answer.content.decode()


def test_three_columns_with_marks_movement_and_times(client, at, chosen, search) -> None:
    content = page(client, at("playground"), chosen)
    for key in ("bm25", "before", "after"):
        assert f'id="column-{key}"' in content
    assert content.count("data-hit ") == 9
    assert content.count("12 ms") == 3
    assert "<mark>book</mark>" in content
    assert '<span class="visually-hidden">moved up 1 place, from 2 to 1</span>' in content
    assert content.count("btn-primary") == 1
    assert "Tuned question writer (SPTAR), experiment 1" in content


def test_address_can_be_passed_on(client, at, chosen, search) -> None:
    answer = client.get(at("playground"), {"q": TEXT, "model": "1.seeds_only"})
    assert (answer.status_code, answer["Location"]) == (302, f"{at('playground')}?q=book+renewed&run=1&arm=seeds_only")
    content = page(client, answer["Location"])
    assert '<option value="1.seeds_only" selected>' in content
    assert f'value="http://testserver{at("playground")}?q=book+renewed&amp;run=1&amp;arm=seeds_only"' in content


def test_searching_with_htmx_brings_the_columns_and_the_address(client, at, model, search) -> None:
    answer = client.get(at("playground_results"), {"q": TEXT, "model": "1.sptar"}, headers=HTMX)
    assert answer["HX-Push-Url"] == f"{at('playground')}?q=book+renewed&run=1&arm=sptar"
    content = answer.content.decode()
    assert content.startswith('<section id="results"')
    assert content.count("data-hit ") == 9
    plain = client.get(at("playground_results"), {"q": TEXT, "run": "1", "arm": "sptar"})
    assert plain["Location"] == f"{at('playground')}?q=book+renewed&run=1&arm=sptar"


def test_before_a_question_it_says_which_searches_are_ready(client, at, model, search) -> None:
    search.says["after"] = SearchUnavailable("It has not been built yet.", "absent")
    content = page(client, at("playground"))
    assert content.count(" Ready.</p>") == 2
    assert "It has not been built yet." in content
    assert "Make it ready" in content
    assert "Save the question" not in content


def test_without_documents_there_is_one_thing_to_do(client, at, project) -> None:
    content = page(client, at("playground"))
    assert "Documents first" in content
    assert "data-hit" not in content


def test_without_a_trained_model_two_columns_answer(client, at, project, corpus, search) -> None:
    content = page(client, at("playground"), {"q": TEXT})
    assert "There is no trained search model in this project yet" in content
    assert content.count("data-hit ") == 6


def test_model_that_is_not_there_is_replaced_and_said_so(client, at, model, search) -> None:
    content = page(client, at("playground"), {"q": TEXT, "run": "99", "arm": "sptar"})
    assert "is not there (any more)" in content
    assert content.count("data-hit ") == 9


def test_column_being_built_looks_again_by_itself(client, at, chosen, search) -> None:
    search.says["after"] = SearchUnavailable("The index is still being built (40 %).", "building", 4, 10)
    content = page(client, at("playground"), chosen)
    assert 'value="40"' in content
    assert f'hx-get="{at("playground_column", "after")}?q=book+renewed&amp;run=1&amp;arm=sptar"' in content
    column = page(client, at("playground_column", "after"), chosen, headers=HTMX)
    assert 'hx-trigger="every 2s"' in column
    del search.says["after"]
    ready = client.get(at("playground_column", "after"), chosen, headers=HTMX)
    content = ready.content.decode()
    assert "every 2s" not in content
    assert f'hx-get="{at("playground_results")}?q=book+renewed&amp;run=1&amp;arm=sptar" hx-trigger="load"' in content
    assert "is ready" in ready["HX-Trigger"]


def test_unknown_column_is_not_found(client, at, chosen, search) -> None:
    assert client.get(at("playground_column", "nonsense"), chosen, headers=HTMX).status_code == 404
    plain = client.get(at("playground_column", "after"), chosen)
    assert plain["Location"].startswith(at("playground"))


def test_service_that_is_down_is_said_in_words(client, at, chosen, search) -> None:
    for key in search.rankings:
        search.says[key] = SearchUnavailable("The search service is not running.", "down")
    content = page(client, at("playground"), chosen)
    assert content.count("The search service is not running.") == 3
    assert content.count('hx-trigger="every 2s"') == 3


def test_editor_has_the_index_built(client, at, chosen, search, model) -> None:
    answer = client.post(at("playground_prepare"), chosen)
    assert answer["Location"] == f"{at('playground')}?q=book+renewed&run=1&arm=sptar"
    errand = Errand.objects.get()
    assert (errand.kind, errand.subject) == ("model.index", model.stage.pk)
    client.post(at("playground_prepare"), chosen)
    assert Errand.objects.count() == 1


def test_without_a_model_the_untrained_one_is_prepared(client, at, corpus, search) -> None:
    client.post(at("playground_prepare"), {"q": TEXT})
    assert search.prepared == ["base"]
    assert not Errand.objects.exists()


def document(project, doc_id: str) -> int:
    return project.corpus.rows.get(doc_id=doc_id).pk


def test_grade_changes_all_columns_that_show_the_document(client, at, chosen, search, project) -> None:
    number = document(project, "d3")
    values = {**chosen, "doc": number, "grade": "3", "seen": "", "column": "after", "in": ["bm25", "before"]}
    answer = client.post(at("playground_grade"), values, headers=HTMX)
    content = answer.content.decode()
    assert content.count('aria-pressed="true"') == 3
    assert content.count('hx-swap-oob="true"') == 2
    assert content.lstrip().startswith(f'<div id="grade-after-{number}"')
    named = re.findall('name="in" value="([a-z0-9]+)"', content.split("grade-before-")[0])
    assert named == ["bm25", "before", "after", "before"]
    assert "Saved: exactly this." in answer["HX-Trigger"]
    assert Judgement.objects.get().source == "playground"
    assert Query.objects.get().status == "skipped"


def test_grade_without_javascript_comes_back_to_the_document(client, at, chosen, search, project) -> None:
    number = document(project, "d3")
    values = {**chosen, "doc": number, "grade": "1", "column": "before"}
    answer = client.post(at("playground_grade"), values)
    assert answer["Location"].endswith(f"arm=sptar#hit-before-{number}")
    assert page(client, at("playground"), chosen).count("Grade 1, by") == 3


@pytest.mark.parametrize("change", [{"grade": "7"}, {"doc": "x"}, {"grade": "nan"}])
def test_nonsense_is_no_grade(client, at, chosen, search, project, change) -> None:
    values = {**chosen, "doc": document(project, "d3"), "grade": "1", **change}
    assert client.post(at("playground_grade"), values).status_code == 302
    assert not Query.objects.exists()


def test_document_of_another_project_is_not_found(client, at, chosen, search, project) -> None:
    """T36: an id in a body."""
    from webapp.models import Corpus, Document, Project

    other = Corpus.objects.create(project=Project.objects.create(name="Other"), number=1)
    foreign = Document.objects.create(corpus=other, doc_id="d3", text="x")
    assert client.post(at("playground_grade"), {**chosen, "doc": foreign.pk, "grade": "1"}).status_code == 404
    assert not Query.objects.exists()


def test_conflict_is_shown_where_it_was_pressed(client, at, chosen, search, project, login, member) -> None:
    values = {**chosen, "doc": document(project, "d3"), "grade": "1", "column": "bm25"}
    client.post(at("playground_grade"), values, headers=HTMX)
    second = login(member("reviewer")).post(at("playground_grade"), {**values, "grade": "2"}, headers=HTMX)
    assert "has changed this meanwhile" in second.content.decode()
    assert Judgement.objects.get().grade == 1


def test_viewer_sees_and_cannot_press(client, at, chosen, search, login, member) -> None:
    content = page(login(member("viewer")), at("playground"), chosen)
    assert content.count("data-hit ") == 9
    for word in ('class="grades"', "Save the question", "Compare blind"):
        assert word not in content


def test_question_is_saved_as_a_test_question(client, at, chosen, search, project) -> None:
    client.post(at("playground_grade"), {**chosen, "doc": document(project, "d3"), "grade": "2"})
    answer = client.post(at("playground_save"), {**chosen, "as": "test"})
    assert answer["Location"].startswith(at("playground"))
    row = Query.objects.get()
    assert (row.split, row.status) == ("test", "done")
    content = page(client, at("playground"), chosen)
    assert "one of your examples (test)" in content
    assert 'class="grades"' not in content
    assert "Save the question" not in content


def test_saved_without_grades_it_is_opened_to_be_judged(client, at, chosen, search) -> None:
    answer = client.post(at("playground_save"), {**chosen, "as": "train"})
    assert answer["Location"] == at("example", Query.objects.get().pk)
    refused = client.post(at("playground_save"), {**chosen, "as": "test"}, follow=True)
    assert "one of the examples already" in refused.content.decode()


def test_user_text_is_escaped(client, at, chosen, search, project) -> None:
    evil = '"><script>alert(1)</script>'
    project.corpus.rows.update(title=evil, text=f"book {evil}")
    content = page(client, at("playground"), {**chosen, "q": f"{evil} book"})
    assert "<script>alert" not in content
    assert "&lt;script&gt;" in content


@pytest.mark.parametrize(
    "values", [{"run": "9" * 40}, {"run": "x", "arm": "../"}, {"model": "."}, {"q": "\0"}, {"q": "x" * 9000}]
)
def test_nonsense_in_the_address_is_no_error(client, at, model, search, values) -> None:
    assert client.get(at("playground"), values, follow=True).status_code == 200


def blind(client, at, chosen, against="base"):
    return client.post(at("playground_blind"), {**chosen, "against": against})


def test_blind_comparison_hides_the_names_until_the_choice(client, at, chosen, search, model) -> None:
    address = blind(client, at, chosen)["Location"]
    row = Preference.objects.get()
    assert address == at("playground_pair", row.pk)
    content = page(client, address)
    assert content.count("<article") == 6
    for word in ("untrained", "ms</span>", "moved", "prefer", TEXT.replace(" ", "+"), "same-mark"):
        assert word not in content, word
    order = re.findall(r"Rule (\d+)", content)
    assert order == (["4", "3", "9", "3", "4", "1"] if row.after_left else ["3", "4", "1", "4", "3", "9"])
    client.post(at("playground_choose", row.pk), {"side": "left"})
    content = page(client, address)
    assert f"You preferred {'the trained model' if row.after_left else 'the untrained model'}." in content
    assert "Too few to tell" in content


def test_blind_comparison_asks_a_question_of_its_own(client, at, chosen, search) -> None:
    for values in (chosen, {}):
        content = page(client, at("playground"), values)
        form = content[content.index('action="' + at("playground_blind")) :].split("</form>")[0]
        assert 'name="q"' in form
        assert TEXT not in form  # its results stand on this page under their names


def test_choice_stands_when_it_is_sent_twice(client, at, chosen, search) -> None:
    blind(client, at, chosen)
    row = Preference.objects.get()
    client.post(at("playground_choose", row.pk), {"side": "same"})
    again = client.post(at("playground_choose", row.pk), {"side": "left"}, follow=True)
    assert "the first choice stands" in again.content.decode()
    assert Preference.objects.get().choice == "same"


def test_other_people_do_not_see_it(client, at, chosen, search, login, member) -> None:
    blind(client, at, chosen)
    other, row = login(member("owner")), Preference.objects.get()
    assert other.get(at("playground_pair", row.pk)).status_code == 404
    assert other.post(at("playground_choose", row.pk), {"side": "left"}).status_code == 404
    assert Preference.objects.get().choice == ""


def test_equal_lists_are_no_comparison(client, at, chosen, search) -> None:
    search.rankings["after"] = search.rankings["base"]
    answer = client.post(at("playground_blind"), {**chosen, "against": "base"}, follow=True)
    assert "there is nothing to choose" in answer.content.decode()
    assert not Preference.objects.exists()


@pytest.mark.parametrize("reason", ["building", "down", "absent"])
def test_search_that_is_not_ready_is_no_comparison(client, at, chosen, search, reason: str) -> None:
    search.says["after"] = SearchUnavailable("Not now.", reason)
    answer = client.post(at("playground_blind"), {**chosen, "against": "base"}, follow=True)
    assert "cannot be compared now. Not now." in answer.content.decode()
    assert not Preference.objects.exists()


@pytest.mark.parametrize("change", [{"against": "x"}, {"q": ""}])
def test_comparison_without_a_question_or_a_search_is_refused(client, at, chosen, search, change) -> None:
    answer = client.post(at("playground_blind"), {**chosen, "against": "base", **change})
    assert answer["Location"].startswith(at("playground"))
    assert not Preference.objects.exists()


def test_page_says_what_blind_comparisons_found(client, at, chosen, search, owner, project, model) -> None:
    for number in range(6):
        Preference.objects.create(
            project=project, experiment=model.experiment, arm="sptar", before="base", text=f"q{number}",
            after_left=True, choice="after", person=owner,
        )  # fmt: skip
    content = page(client, at("playground"), chosen)
    assert "p 0.031, n = 6): people likely do prefer the trained model." in content
    assert "Nobody has compared these two" in content


def test_page_costs_few_queries(client, at, chosen, search, django_assert_max_num_queries) -> None:
    page(client, at("playground"), chosen)
    with django_assert_max_num_queries(14):
        page(client, at("playground"), chosen)
