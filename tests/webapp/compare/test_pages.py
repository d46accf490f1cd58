"""The pages of the comparison: what they show, who may do what, and that odd addresses do no harm."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.urls import reverse

from webapp.models import Document, Errand, Experiment, Judgement, Project, Query, Rescoring, StageRun, State, User
from webapp.services import pairings, rescoring

Do = Callable[[Errand], dict[str, Any]]
HTMX = {"HTTP_HX_REQUEST": "true"}


def url(project: Project, name: str, *more: Any) -> str:
    return reverse(name, args=[project.slug, *more])


def text_of(client: Client, address: str, **query: Any) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200, (answer.status_code, address)
    return answer.content.decode()


@pytest.fixture
def page(measured_one: Experiment, client: Client, ready: Project) -> str:
    return text_of(client, url(ready, "experiment_compare", 1))


def test_the_headline_says_whether_it_is_better_than_keyword_search(page: str) -> None:
    assert "finds better results than keyword search (BM25): nDCG@10 1.000 against 0.500, +0.500" in page
    assert "8 test questions: likely real" in page
    assert "than the untrained model: nDCG@10 1.000 against 0.631, +0.369" in page


def test_baselines_stand_first_and_every_measure_has_its_interval(page: str) -> None:
    table = page[page.index('id="comparison"') :]
    names = re.findall(r'<th scope="row">([^<]+)</th>', table[: table.index("</table>")])
    assert names == ["Keyword search", "Base model, untrained", "Tuned question writer (SPTAR)"]
    assert "0.500 to 0.500" in table
    assert "Only 8 test examples" in page
    assert "Judged@10</a>" not in page  # nobody has given grade 0
    assert "nobody has marked a result of these questions as not relevant" in page


def test_every_bar_opens_its_question(page: str) -> None:
    svg = re.search(r"<svg class=\"chart deltas\".*?</svg>", page, re.DOTALL)
    assert svg
    bars = re.findall(r'<a href="([^"]+)"', svg[0])
    assert len(bars) == 8
    assert "/compare/1/question/?id=q14&amp;arm=sptar&amp;against=bm25" in bars[0]
    assert "better for 8, the same for 0 and worse for 0 of 8 questions" in svg[0]
    assert page.count("?id=q14&amp;") == 2  # in the plot, and in the table for everybody


def test_other_arms_can_be_chosen_and_nonsense_is_not(measured_one: Experiment, client: Client, ready: Project) -> None:
    page = text_of(client, url(ready, "experiment_compare", 1), arm="bm25", against="sptar")
    assert "better for 0, the same for 0 and worse for 8" in page
    odd = text_of(client, url(ready, "experiment_compare", 1), arm="'\"><b>", against="sptar", judgements="9" * 40)
    assert "<b>" not in odd
    same = text_of(client, url(ready, "experiment_compare", 1), arm="sptar", against="sptar")
    assert "better for 8" in same


def test_an_experiment_without_figures_teaches(
    make_experiment: Callable[..., Experiment], client: Client, ready: Project
) -> None:
    make_experiment()
    assert "Nothing of this experiment is measured yet" in text_of(client, url(ready, "experiment_compare", 1))
    assert "Nothing is measured yet" in text_of(client, url(ready, "compare"))
    for kind in ("report", "figures", "questions", "qrels", "means-chart", "questions-chart"):
        assert client.get(url(ready, "compare_export", 1, kind)).status_code == 404


def test_figures_of_which_the_files_are_gone_are_still_shown(
    measured_one: Experiment, client: Client, ready: Project
) -> None:
    StageRun.objects.update(folder="gone")
    page = text_of(client, url(ready, "experiment_compare", 1))
    assert "finds better results than keyword search" in page
    assert client.get(url(ready, "compare_question", 1), {"id": "q14"}).status_code == 404
    assert client.get(url(ready, "compare_run_file", 1, "bm25", 1)).status_code == 404
    assert "Result" in text_of(client, url(ready, "compare_export", 1, "report"))


def test_the_number_of_pairs_is_said(measured_one: Experiment, client: Client, ready: Project) -> None:
    measured_one.stages.filter(stage="train").update(metrics={"seed_pairs": 20, "weak_pairs": 634})
    page = text_of(client, url(ready, "experiment_compare", 1))
    assert "“Tuned question writer (SPTAR)” on 20 example pairs and 634 generated questions" in page


# One question ---------------------------------------------------------------------------------------------------------


def ask(client: Client, project: Project, **query: str) -> str:
    return text_of(client, url(project, "compare_question", 1), **query)


def test_a_question_shows_three_searches_side_by_side(measured_one: Experiment, client: Client, ready: Project) -> None:
    page = ask(client, ready, id="q14")
    heads = re.findall(r'<h2 id="column-\d">([^<]+)</h2>', page)
    assert heads == ["Keyword search", "Base model, untrained", "Tuned question writer (SPTAR)"]
    # d14 stands third, second, first; the others have never been judged.
    assert page.count("9 of 10 never judged") == 3
    assert page.count("1 place, from ") >= 2
    assert "nDCG@10 <strong>0.631</strong>" in page
    assert "Test question 1 of 8" in page
    assert "<strong>11</strong> of 11 still to judge" in page or "still to judge" in page


def test_results_that_todays_documents_lack_are_not_called_judged(
    measured_one: Experiment, client: Client, ready: Project
) -> None:
    Document.objects.filter(corpus=ready.corpus).exclude(doc_id="d14").delete()
    page = ask(client, ready, id="q14")
    assert "9 of 10 never judged" in page
    assert "Nothing can be judged here: " in page
    assert "has been judged." not in page


def test_a_repeated_training_says_what_its_value_is_of(
    measured_one: Experiment, client: Client, ready: Project
) -> None:
    assert "mean of" not in ask(client, ready, id="q14")
    Experiment.objects.update(seeds=3)
    assert "nDCG@10 is the mean of 3 repeats, and the list is the first one's" in ask(client, ready, id="q14")


def test_an_unknown_question_is_not_there(measured_one: Experiment, client: Client, ready: Project) -> None:
    for odd in ("", "q0", "nothing", "x" * 5000, "\0"):
        assert client.get(url(ready, "compare_question", 1), {"id": odd}).status_code == 404


def document(project: Project, doc_id: str) -> int:
    return Document.objects.get(corpus=project.corpus, doc_id=doc_id).pk


def test_a_grade_is_kept_with_its_source_and_the_fragment_comes_back(
    measured_one: Experiment, client: Client, ready: Project, owner: User
) -> None:
    data = {"id": "q14", "doc": document(ready, "d39"), "grade": "2", "seen": ""}
    answer = client.post(url(ready, "compare_judge", 1), data, **HTMX)
    page = answer.content.decode()
    assert page.strip().startswith('<div id="results"') or '<div id="results"' in page[:200]
    row = Judgement.objects.get(query__query_id="q14", doc_id="d39")
    assert (row.grade, row.source, row.judge) == (2, "unjudged", owner)
    assert "Saved: relevant." in answer["HX-Trigger"]
    assert "grade 2" in page
    # It can be changed, and taken off, from the same place.
    seen = f"{row.pk}.{row.revision}"
    client.post(url(ready, "compare_judge", 1), data | {"grade": "0", "seen": seen})
    row.refresh_from_db()
    assert row.grade == 0
    client.post(url(ready, "compare_judge", 1), data | {"grade": "", "seen": f"{row.pk}.{row.revision}"})
    assert not Judgement.objects.filter(query__query_id="q14", doc_id="d39").exists()


def test_a_grade_that_somebody_else_gave_meanwhile_is_not_overwritten(
    measured_one: Experiment, client: Client, ready: Project, stranger: User
) -> None:
    query = ready.queries.get(query_id="q14")
    Judgement.objects.create(query=query, doc_id="d39", grade=1, judge=stranger, source="unjudged")
    data = {"id": "q14", "doc": document(ready, "d39"), "grade": "3", "seen": ""}
    page = client.post(url(ready, "compare_judge", 1), data, **HTMX).content.decode()
    assert "changed this meanwhile" in page
    assert Judgement.objects.get(query=query, doc_id="d39").grade == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [({"id": "q0"}, 404), ({"doc": "999999"}, 404), ({"grade": "7"}, 400), ({"doc": "x"}, 400), ({"id": ""}, 400)],
)
def test_only_results_of_a_test_question_are_judged_here(
    measured_one: Experiment, client: Client, ready: Project, change: dict[str, str], status: int
) -> None:
    data = {"id": "q14", "doc": str(document(ready, "d39")), "grade": "1"} | change
    before = Judgement.objects.count()
    assert client.post(url(ready, "compare_judge", 1), data).status_code == status
    assert Judgement.objects.count() == before


def test_what_was_judged_otherwise_or_not_found_is_refused(
    measured_one: Experiment, client: Client, ready: Project
) -> None:
    for doc_id in ("d14", "d0"):  # judged while labelling; among the results of no search
        data = {"id": "q14", "doc": document(ready, doc_id), "grade": "0"}
        page = client.post(url(ready, "compare_judge", 1), data, **HTMX).content.decode()
        assert "not among the results that wait to be judged here" in page
    assert not Judgement.objects.filter(source="unjudged").exists()


def test_a_document_of_another_project_is_not_found(
    measured_one: Experiment, client: Client, ready: Project, owner: User
) -> None:
    from webapp.models import Corpus, Membership

    other = Project.objects.create(name="Other")
    Membership.objects.create(project=other, user=owner, role="owner")
    corpus = Corpus.objects.create(project=other, number=1, ready=True)
    foreign = Document.objects.create(corpus=corpus, doc_id="d39", title="x", text="y")
    data = {"id": "q14", "doc": foreign.pk, "grade": "1"}
    assert client.post(url(ready, "compare_judge", 1), data).status_code == 404


def test_a_reworded_or_removed_question_is_shown_and_not_judged(
    measured_one: Experiment, client: Client, ready: Project
) -> None:
    ready.queries.filter(query_id="q14").update(text="Something else?")
    page = ask(client, ready, id="q14")
    assert "reworded since" in page
    assert 'name="grade"' not in page
    data = {"id": "q14", "doc": document(ready, "d39"), "grade": "1"}
    assert "reworded since" in client.post(url(ready, "compare_judge", 1), data, follow=True).content.decode()
    Query.objects.filter(query_id="q15").delete()
    assert "removed from the examples since" in ask(client, ready, id="q15")
    assert not Judgement.objects.filter(source="unjudged").exists()


def test_markup_in_questions_titles_and_names_is_text(measured_one: Experiment, client: Client, ready: Project) -> None:
    bad = '<img src=x onerror="alert(1)">'
    Document.objects.update(title=bad, text=bad)
    Experiment.objects.update(name=bad, note=bad)
    from webapp.selectors.artifacts import stage_folder

    folder = stage_folder(ready, measured_one.stages.get(stage="prepare"))
    assert folder is not None
    text = (folder / "queries.jsonl").read_text().replace("What is q14?", bad.replace('"', '\\"'))
    (folder / "queries.jsonl").write_text(text)
    for page in (
        ask(client, ready, id="q14"), ask(client, ready, id="q15"),
        text_of(client, url(ready, "experiment_compare", 1)), text_of(client, url(ready, "compare")),
        text_of(client, url(ready, "compare_export", 1, "report")),
        text_of(client, url(ready, "compare_export", 1, "questions-chart")),
    ):  # fmt: skip
        assert "<img" not in page
    assert "&lt;img" in text_of(client, url(ready, "compare_export", 1, "questions-chart"))


# What changes something -----------------------------------------------------------------------------------------------


def test_new_figures_are_asked_for_followed_and_shown(
    measured_one: Experiment, client: Client, ready: Project, do: Do
) -> None:
    data = {"id": "q14", "doc": document(ready, "d39"), "grade": "1", "seen": ""}
    client.post(url(ready, "compare_judge", 1), data)
    assert "<strong>1</strong> grade of test questions is new" in text_of(client, url(ready, "experiment_compare", 1))
    client.post(url(ready, "compare_score", 1))
    waiting = text_of(client, url(ready, "experiment_compare", 1))
    assert 'hx-trigger="every 2s"' in waiting
    assert 'id="score"' not in waiting
    errand = Errand.objects.get(kind=rescoring.KIND)
    do(errand)
    fragment = client.get(url(ready, "compare_scoring", 1), **HTMX)
    assert "Judgements 1</strong> are in the figures: 9" in fragment.content.decode()
    assert "hx-trigger" not in fragment.content.decode()
    assert "ready" in fragment["HX-Trigger"]
    assert client.get(url(ready, "compare_scoring", 1)).status_code == 302
    page = text_of(client, url(ready, "experiment_compare", 1))
    assert "?judgements=0" in page
    assert "judgements=1" not in page
    first = text_of(client, url(ready, "experiment_compare", 1), judgements="0")
    assert "These are the figures by the judgements of the start" in first
    assert "nDCG@10 1.000 against 0.500" in first
    assert "By judgements 1." in text_of(client, url(ready, "experiment", 1))
    listed = text_of(client, url(ready, "experiments"))
    assert "against untrained" in listed
    assert Rescoring.objects.get().comparison["arms"]["bm25"]["nDCG@10"]["mean"] > 0.5


def test_a_failed_measuring_says_why_and_can_be_asked_for_again(
    measured_one: Experiment, client: Client, ready: Project, owner: User
) -> None:
    errand = rescoring.ask(experiment=measured_one, actor=owner)
    Errand.objects.filter(pk=errand.pk).update(state=State.FAILED, error="The disk is full.")
    page = text_of(client, url(ready, "experiment_compare", 1))
    assert "The disk is full." in page
    assert 'id="score"' in page


@pytest.mark.parametrize(
    ("state", "said", "shown"),
    [
        (State.CANCELLED, "The figures stay as they are.", "The measuring was stopped"),
        (State.FAILED, "could not be made", "could not be made"),
    ],
)
def test_figures_that_were_not_made_are_not_called_ready(
    measured_one: Experiment, client: Client, ready: Project, owner: User, state: str, said: str, shown: str
) -> None:
    errand = rescoring.ask(experiment=measured_one, actor=owner)
    Errand.objects.filter(pk=errand.pk).update(state=state)
    fragment = client.get(url(ready, "compare_scoring", 1), **HTMX)
    assert said in fragment["HX-Trigger"]
    assert shown in fragment.content.decode()
    assert "No judgement of these test questions has changed" not in fragment.content.decode()


@pytest.mark.parametrize("state", [State.CANCELLED, State.FAILED])
def test_a_comparison_that_was_not_made_is_not_called_ready(
    measured_one: Experiment, another: Experiment, client: Client, ready: Project, owner: User, state: str
) -> None:
    errand = pairings.ask(before=measured_one, after=another, actor=owner)
    Errand.objects.filter(pk=errand.pk).update(state=state)
    fragment = client.get(f"{url(ready, 'compare_progress')}?a=1&b=2", **HTMX)
    assert "not made" in fragment["HX-Trigger"]
    assert "is ready" not in fragment.content.decode()
    assert "Try again" in fragment.content.decode()


def test_the_note_and_the_pin_are_kept(measured_one: Experiment, client: Client, ready: Project) -> None:
    client.post(url(ready, "compare_note", 1), {"note": "Try more examples."})
    client.post(url(ready, "compare_pin", 1), {"pinned": "1"})
    ready.refresh_from_db()
    measured_one.refresh_from_db()
    assert (measured_one.note, ready.baseline) == ("Try more examples.", measured_one)
    assert "is the <strong>baseline</strong>" in text_of(client, url(ready, "experiment_compare", 1))
    assert "Try more examples." in text_of(client, url(ready, "compare"))
    client.post(url(ready, "compare_pin", 1), {"pinned": "0"})
    ready.refresh_from_db()
    assert ready.baseline is None
    page = client.post(url(ready, "compare_note", 1), {"note": "x" * 5001}, follow=True).content.decode()
    assert "Not saved" in page


def test_the_pinned_experiment_stands_first(
    measured_one: Experiment, another: Experiment, client: Client, ready: Project
) -> None:
    def order() -> list[str]:
        return re.findall(r'name="b" value="(\d)"', text_of(client, url(ready, "compare")))

    assert order() == ["2", "1"]
    client.post(url(ready, "compare_pin", 1), {"pinned": "1"})
    assert order() == ["1", "2"]
    assert "Against the baseline, experiment 1" in text_of(client, url(ready, "experiment_compare", 2))


@pytest.fixture
def many(measured_one: Experiment) -> int:
    """Experiments 2 to 23, measured; the last two are points of a learning curve."""
    for number in range(2, 24):
        Experiment.objects.create(
            project=measured_one.project, number=number, request_token=str(number), preset="fast", arms=["bm25"],
            corpus=measured_one.corpus, labels_version=1, dataset="0" * 32, state=State.DONE,
            comparison=measured_one.comparison, series="curve" if number > 21 else "",
        )  # fmt: skip
    return 23


def listed(page: str) -> tuple[list[int], dict[str, int]]:
    """The experiments of a page, and which of them are chosen."""
    found = re.findall(r'name="(a|b)" value="(\d+)"[^>]*?( checked)? required', page)
    return [int(value) for name, value, _ in found if name == "b"], {name: int(n) for name, n, on in found if on}


def test_two_experiments_of_different_pages_are_chosen(many: int, client: Client, ready: Project) -> None:
    path = url(ready, "compare")
    first = text_of(client, path)
    # Not a point of the curve: the newest of the others, and the one before it.
    assert listed(first) == ([*range(23, 3, -1)], {"a": 20, "b": 21})
    assert 'name="before" value="4"' in first and 'name="after"' not in first
    last = text_of(client, path, a="20", b="22", before="4")
    assert listed(last) == ([22, 20, 3, 2, 1], {"a": 20, "b": 22})
    assert 'name="after" value="3"' in last and 'name="before"' not in last
    assert "as soon as a second one is measured" not in last
    back = text_of(client, path, a="2", b="22", after="3")
    assert listed(back) == ([2, *range(23, 3, -1)], {"a": 2, "b": 22})


def test_pages_between_lead_both_ways(many: int, client: Client, ready: Project) -> None:
    middle = text_of(client, url(ready, "compare"), after="2")
    assert listed(middle)[0][:20] == [*range(22, 2, -1)]
    assert 'name="after" value="22"' in middle and 'name="before" value="3"' in middle


@pytest.mark.parametrize("query", ["a=x&b=-1", "before=0", "after=999", "before=x&after=x", "a=99&b=99"])
def test_nonsense_in_the_address_of_the_list_gives_the_first_page(
    many: int, client: Client, ready: Project, query: str
) -> None:
    assert listed(text_of(client, f"{url(ready, 'compare')}?{query}"))[0] == [*range(23, 3, -1)]


def test_learning_curves_are_linked(measured_one: Experiment, client: Client, ready: Project) -> None:
    curves, new = url(ready, "learning_curves"), url(ready, "learning_curve_new", 1)
    assert curves in text_of(client, url(ready, "compare"))
    overview = text_of(client, url(ready, "experiment_compare", 1))
    assert curves in overview and new in overview
    Experiment.objects.update(series="abc")
    assert url(ready, "learning_curve", "abc") in text_of(client, url(ready, "experiment_compare", 1))


@pytest.mark.parametrize("name", ["compare_score", "compare_pin", "compare_note", "compare_judge"])
def test_a_viewer_changes_nothing(
    measured_one: Experiment, ready: Project, member: Callable[[str], User], login: Callable[[User], Client], name: str
) -> None:
    viewer = login(member("viewer"))
    assert viewer.post(url(ready, name, 1)).status_code == 403
    assert viewer.get(url(ready, name, 1)).status_code == 405 or viewer.get(url(ready, name, 1)).status_code == 403
    page = viewer.get(url(ready, "experiment_compare", 1)).content.decode()
    assert 'id="score"' not in page
    assert 'name="pinned"' not in page
    assert 'name="grade"' not in viewer.get(url(ready, "compare_question", 1), {"id": "q14"}).content.decode()


# Two experiments ------------------------------------------------------------------------------------------------------


def test_before_and_after_is_one_press(
    measured_one: Experiment, another: Experiment, client: Client, ready: Project, do: Do
) -> None:
    assert "Before and after review" in text_of(client, url(ready, "experiment_compare", 2))
    answer = client.post(url(ready, "compare_test"), {"a": 1, "b": 2})
    assert answer["Location"] == f"{url(ready, 'compare_runs')}?a=1&b=2"
    waiting = text_of(client, answer["Location"])
    assert 'hx-trigger="every 2s"' in waiting
    do(Errand.objects.get(kind="experiment.pair"))
    fragment = client.get(f"{url(ready, 'compare_progress')}?a=1&b=2", **HTMX)
    assert "The comparison is ready" in fragment.content.decode()
    page = text_of(client, answer["Location"])
    assert "<h1>Before and after review</h1>" in page
    assert "8 test questions that both have" in page
    assert "worse for 8 of 8" in page
    assert "Nothing: the same data and the same settings." in page
    # Pressed again: the result is there, and nothing is computed.
    client.post(url(ready, "compare_test"), {"a": 1, "b": 2})
    assert Errand.objects.filter(kind="experiment.pair").count() == 1


@pytest.mark.parametrize("query", ["", "?a=1", "?a=x&b=2", "?a=-1&b=2", f"?a={10**30}&b=1", "?a=1&b=1"])
def test_an_address_without_two_experiments_leads_to_choosing(
    measured_one: Experiment, client: Client, ready: Project, query: str
) -> None:
    answer = client.get(url(ready, "compare_runs") + query)
    assert (answer.status_code, answer["Location"]) == (302, url(ready, "compare"))


def test_an_experiment_that_does_not_exist_is_not_found(
    measured_one: Experiment, client: Client, ready: Project
) -> None:
    assert client.get(url(ready, "compare_runs") + "?a=1&b=7").status_code == 404
    assert client.post(url(ready, "compare_test"), {"a": 1, "b": 7}).status_code == 404
    assert client.post(url(ready, "compare_test"), {"a": "x"}).status_code == 404


def test_one_that_is_not_measured_is_compared_by_its_settings_only(
    measured_one: Experiment, make_experiment: Callable[..., Experiment], client: Client, ready: Project
) -> None:
    make_experiment(arms=["bm25"])
    page = client.post(url(ready, "compare_test"), {"a": 1, "b": 2}, follow=True).content.decode()
    assert "Nothing of experiment 2 is measured yet" in page
    assert "What differs" in page
    assert not Errand.objects.filter(kind="experiment.pair").exists()


def test_a_viewer_sees_and_does_not_start(
    measured_one: Experiment, another: Experiment, ready: Project, member: Callable[[str], User],
    login: Callable[[User], Client],
) -> None:  # fmt: skip
    viewer = login(member("viewer"))
    page = viewer.get(f"{url(ready, 'compare_runs')}?a=1&b=2").content.decode()
    assert "An editor of the project can have it worked out" in page
    assert viewer.post(url(ready, "compare_test"), {"a": 1, "b": 2}).status_code == 403


def test_a_bar_of_two_experiments_leads_to_the_question_in_both(
    measured_one: Experiment, another: Experiment, client: Client, ready: Project, owner: User, do: Do
) -> None:
    do(pairings.ask(before=measured_one, after=another, actor=owner))
    page = text_of(client, f"{url(ready, 'compare_runs')}?a=1&b=2")
    assert page.count("By the judgements of its start") == 2
    bar = re.search(r'href="([^"]+besides=1)"', page)
    assert bar is not None
    there = client.get(bar[1].replace("&amp;", "&")).content.decode()
    link = re.search(r'id="besides" href="([^"]+)"', there)
    assert link is not None
    assert link[1].startswith(url(ready, "compare_question", 1))
    assert "The same question in experiment 2" in client.get(link[1].replace("&amp;", "&")).content.decode()
    for odd in ("2", "7", "x", "", "-1"):
        assert (
            'id="besides"'
            not in client.get(url(ready, "compare_question", 2), {"id": "q14", "besides": odd}).content.decode()
        )


def test_differences_and_the_plot_of_another_arm(
    measured_one: Experiment, another: Experiment, client: Client, ready: Project, owner: User, do: Do
) -> None:
    another.stages.filter(stage="train").update(config={"epochs": 9})
    do(pairings.ask(before=measured_one, after=another, actor=owner))
    page = text_of(client, f"{url(ready, 'compare_runs')}?a=1&b=2&arm=bm25")
    assert "the same for 8" in page
    assert "epochs" in page


# Files ----------------------------------------------------------------------------------------------------------------


def rows_of(client: Client, address: str) -> list[list[str]]:
    answer = client.get(address)
    assert answer["Content-Disposition"].startswith("attachment")
    content = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert content.startswith("\ufeff")
    return list(csv.reader(io.StringIO(content[1:])))


def test_figures_as_csv(measured_one: Experiment, client: Client, ready: Project) -> None:
    rows = rows_of(client, url(ready, "compare_export", 1, "figures"))
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    sptar = [row for row in table if row["search"] == "sptar"]
    assert [row["against"] for row in sptar] == ["bm25", "zero_shot"]
    assert float(sptar[0]["nDCG@10"]) == pytest.approx(1)
    assert (float(sptar[0]["difference"]), sptar[0]["verdict"]) == (pytest.approx(0.5), "better")


def test_values_by_question_as_csv_run_nothing(measured_one: Experiment, client: Client, ready: Project) -> None:
    from webapp.downloads import restored_cell
    from webapp.selectors.artifacts import stage_folder

    folder = stage_folder(ready, measured_one.stages.get(stage="prepare"))
    assert folder is not None
    formula = '=cmd|"/c calc"!A1'
    text = (folder / "queries.jsonl").read_text().replace("What is q14?", formula.replace('"', '\\"'))
    (folder / "queries.jsonl").write_text(text)
    rows = rows_of(client, url(ready, "compare_export", 1, "questions"))
    assert len(rows) == 9
    first = next(row for row in rows if row[0] == "q14")
    assert first[1] == f"'{formula}"
    assert restored_cell(first[1]) == formula
    column = rows[0].index("bm25 nDCG@10")
    assert float(first[column]) == pytest.approx(0.5)


def test_run_files_and_judgements_are_those_of_trec(measured_one: Experiment, client: Client, ready: Project) -> None:
    answer = client.get(url(ready, "compare_run_file", 1, "sptar", 1))
    assert b"".join(answer.streaming_content).decode().startswith("q14 Q0 d14 1 ")  # type: ignore[attr-defined]
    assert answer["X-Content-Type-Options"] == "nosniff"
    qrels = client.get(url(ready, "compare_export", 1, "qrels"))
    assert b"".join(qrels.streaming_content).decode().splitlines()[0] == "q14 0 d14 1"  # type: ignore[attr-defined]
    for arm, repeat in (("sptar", 0), ("sptar", 2), ("seeds_only", 1), ("nothing", 1)):
        assert client.get(url(ready, "compare_run_file", 1, arm, repeat)).status_code == 404


@pytest.mark.parametrize("kind", ["means-chart", "questions-chart"])
def test_a_chart_is_a_picture_of_its_own(measured_one: Experiment, client: Client, ready: Project, kind: str) -> None:
    answer = client.get(url(ready, "compare_export", 1, kind))
    assert answer["Content-Type"].startswith("image/svg+xml")
    svg = ET.fromstring(answer.content.decode().partition("?>")[2])  # noqa: S314  our own
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    text = answer.content.decode()
    assert "fill: var(--c1)" in text
    assert "<a " not in text


def test_the_report_is_one_file_that_fetches_nothing(measured_one: Experiment, client: Client, ready: Project) -> None:
    measured_one.note = "What we tried."
    measured_one.save()
    answer = client.get(url(ready, "compare_export", 1, "report"))
    text = answer.content.decode()
    assert answer["Content-Disposition"].startswith("attachment")
    for needed in (
        "finds better results than keyword search", "0.500 to 0.500", "What we tried.", "sign-flip permutation test",
        "40, version 1", "10 training (20 pairs), 4 held-out, 6 test", "prefers-color-scheme: dark", "sptar experiment",
        "epochs", "How it was measured", "virtual_tokens", "likely real", "as at the start (this report)",
    ):  # fmt: skip
        assert needed in text, needed
    assert not re.search(r"<(?:script|link|img|iframe)\b|\bsrc=|\bhref=|url\(|@import", text)
    assert re.findall(r"https?://\S+", text) == ['http://www.w3.org/2000/svg">'] * 2
    assert text.count("<h1") == 1


def test_other_kinds_of_files_do_not_exist(measured_one: Experiment, client: Client, ready: Project) -> None:
    assert client.get(url(ready, "compare_export", 1, "everything")).status_code == 404
