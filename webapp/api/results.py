"""What an experiment found: the comparison of its arms, values per question, and measuring anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from sptar_engine.arms import BM25, read_cell
from webapp.api.base import Nothing, ProjectView, Shape, described
from webapp.api.experiments import find
from webapp.api.paging import PageQuery, link
from webapp.models import Experiment, Role, State
from webapp.selectors import measured
from webapp.selectors.comparisons import ALL_MEASURES, JUDGED, cells_of, chosen_families, headlines_of, table_of
from webapp.selectors.measured import Version
from webapp.selectors.question_results import results_of
from webapp.services import rescoring

TAG = "Results"
_MEASURES = (*ALL_MEASURES, JUDGED)


class VersionQuery(Shape):
    """By which judgements."""

    judgements = serializers.IntegerField(
        required=False, min_value=0, max_value=2**31 - 1,
        help_text="0 are those of the experiment's start; left out, the newest ones.",
    )  # fmt: skip


class PerQueryQuery(PageQuery, VersionQuery):
    """Which part of the list, by which judgements."""


class ResultsQuery(VersionQuery):
    """Which test question."""

    query_id = serializers.CharField(max_length=512, trim_whitespace=False)


class ValueShape(Shape):
    """A mean over the test examples with its 95 % interval."""

    mean = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class VerdictShape(Shape):
    """How an arm stands against another one."""

    other = serializers.CharField()
    difference = serializers.CharField()
    low = serializers.CharField()
    high = serializers.CharField()
    p = serializers.CharField(help_text="Of a paired permutation test, corrected for their number (Holm).")
    state = serializers.ChoiceField(choices=["better", "worse", "open"])
    words = serializers.CharField()


class ArmShape(Shape):
    """A search of the comparison: an arm with a family of search models."""

    arm = serializers.CharField(help_text="An arm with its bi-encoder, ARM/FAMILY, or one of these with :equal_pairs.")
    family = serializers.CharField(help_text="Kind of search model; empty for keyword search.", allow_blank=True)
    name = serializers.CharField()
    measures = serializers.DictField(child=ValueShape(allow_null=True))
    verdicts = VerdictShape(many=True)


class ChosenShape(Shape):
    """Which family of an arm was best on the held-out examples; never chosen by the test examples."""

    chosen = serializers.CharField()
    dev = serializers.DictField(
        child=serializers.FloatField(), help_text="nDCG@10 on the held-out examples, by family."
    )


class ComparisonShape(Shape):
    """The comparison as far as it goes."""

    judgements = serializers.IntegerField(help_text="Number of the judgements it is by; 0 are those of the start.")
    newest = serializers.IntegerField(help_text="Number of the newest judgements that it was measured by.")
    headlines = serializers.ListField(child=serializers.CharField())
    caution = serializers.CharField(allow_blank=True)
    queries = serializers.IntegerField(help_text="Test examples.")
    arms = ArmShape(many=True)
    families = serializers.DictField(child=ChosenShape(), help_text="By arm; empty before anything is trained.")
    waiting = serializers.ListField(
        child=serializers.CharField(), help_text="Names of searches that are not measured yet."
    )
    missing = serializers.ListField(
        child=serializers.CharField(), help_text="The same as they stand in `arms`: asked for and not measured."
    )


class PerQueryShape(Shape):
    """A test question with the values of each arm."""

    query_id = serializers.CharField()
    text = serializers.CharField()
    values = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField()), help_text="By search and measure."
    )


class PerQueryPage(Shape):
    """A page of test questions, by their id."""

    results = PerQueryShape(many=True)
    next = serializers.URLField(allow_null=True)


class EntryShape(Shape):
    """A document that a search found."""

    rank = serializers.IntegerField()
    doc_id = serializers.CharField()
    grade = serializers.IntegerField(allow_null=True, help_text="The one that counts now; null when nobody judged it.")


class SearchShape(Shape):
    """The first ten results of one search."""

    arm = serializers.CharField()
    value = serializers.FloatField(
        allow_null=True,
        help_text="nDCG@10 of this question: of repeated trainings the mean, while the list is the first one's.",
    )
    entries = EntryShape(many=True)
    problem = serializers.CharField(allow_blank=True)


class QueryResultsShape(Shape):
    """What each search found for one test question."""

    query_id = serializers.CharField()
    text = serializers.CharField()
    query = serializers.IntegerField(allow_null=True, help_text="Id of the question, for judging; null when deleted.")
    searches = SearchShape(many=True)


class RescoringShape(Shape):
    """Judgements by which an experiment was measured."""

    number = serializers.IntegerField(help_text="0 are those of its start.")
    at = serializers.DateTimeField()
    who = serializers.CharField(allow_blank=True)
    judged = serializers.IntegerField()
    added = serializers.IntegerField(help_text="More than the ones before.")


class RescoringsShape(Shape):
    """All of them, the newest first."""

    results = RescoringShape(many=True)


class ErrandShape(Shape):
    """Work that was asked for."""

    id = serializers.IntegerField(source="pk")
    state = serializers.ChoiceField(choices=State.choices)


class Comparison(ProjectView):
    """The comparison of an experiment."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "How the arms of an experiment compare", name="comparison", answers=ComparisonShape, query=[VersionQuery]
    )
    def get(self, request: Request, slug: str, number: int) -> Response:
        """The comparison; without arms before anything is measured."""
        experiment = find(self.project, number)
        version, newest = _version(experiment, self.query(VersionQuery))
        table = table_of(experiment, version.comparison, _MEASURES)
        asked = cells_of(experiment)
        shown = {"judgements": version.number, "newest": newest, "headlines": headlines_of(version.comparison)}
        if table is None:
            empty = {"caution": "", "queries": 0, "arms": [], "families": {}, "waiting": [], "missing": asked}
            return Response({**shown, **empty})
        arms = [
            {
                "arm": row.arm,
                "family": "" if row.arm == BM25 else read_cell(row.arm).family,
                "name": row.name,
                "measures": {
                    name: asdict(value) if value else None for name, value in zip(_MEASURES, row.values, strict=True)
                },
                "verdicts": VerdictShape([verdict for verdict in row.verdicts if verdict], many=True).data,
            }
            for row in table.rows
        ]
        shown |= {"caution": table.caution, "queries": table.queries, "arms": arms, "waiting": table.waiting}
        shown["families"] = {arm: ChosenShape(found).data for arm, found in chosen_families(version.comparison).items()}
        shown["missing"] = [name for name in asked if name not in version.arms]
        return Response(shown)


class PerQuery(ProjectView):
    """Values per question."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "How good each search is for each test question", name="per_query", answers=PerQueryPage,
        query=[PerQueryQuery],
    )  # fmt: skip
    def get(self, request: Request, slug: str, number: int) -> Response:
        """A page of them; empty when the results are not on disk any more."""
        experiment = find(self.project, number)
        chosen = self.query(PerQueryQuery)
        version, _ = _version(experiment, chosen)
        scores, texts = measured.scores_of(experiment, version), measured.questions_of(experiment)
        start, limit = chosen.get("cursor", 0), chosen["limit"]
        ids = sorted(texts)[start : start + limit]
        rows = [{"query_id": one, "text": texts[one], "values": _values(scores, one)} for one in ids]
        following = link(request, start + limit) if start + limit < len(texts) else None
        return Response({"results": rows, "next": following})


class QueryResults(ProjectView):
    """One test question, side by side."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "What each search found for one test question", name="query_results", answers=QueryResultsShape,
        query=[ResultsQuery],
        text="Judge what has no grade with …/queries/{id}/judgements/, then measure anew with …/rescorings/.",
    )  # fmt: skip
    def get(self, request: Request, slug: str, number: int) -> Response:
        """The first ten of each."""
        experiment = find(self.project, number)
        chosen = self.query(ResultsQuery)
        version, _ = _version(experiment, chosen)
        texts, query_id = measured.questions_of(experiment), chosen["query_id"]
        if query_id not in texts:
            raise Http404("There is no such test question.")
        scores = measured.scores_of(experiment, version)
        runs = measured.runs_of(experiment)
        found = results_of(experiment, query_id, texts[query_id], list(runs), runs, scores)
        shown = {"query_id": query_id, "text": found.text, "query": found.query.pk if found.query else None}
        return Response({**shown, "searches": SearchShape(found.columns, many=True).data})


class Rescorings(ProjectView):
    """Measuring anew."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(TAG, "By which judgements an experiment was measured", name="rescorings", answers=RescoringsShape)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """All of them."""
        rows = measured.versions_of(find(self.project, number))
        return Response({"results": RescoringShape(rows, many=True).data})

    @described(
        TAG, "Measure the stored results by today's judgements", name="rescore", body=Nothing, answers=ErrandShape,
        status=202, errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Ask for it; asked again meanwhile, it is the same work."""
        errand = rescoring.ask(experiment=find(self.project, number), actor=self.person)
        return Response(ErrandShape(errand).data, status=202)


def _version(experiment: Experiment, chosen: Mapping[str, Any]) -> tuple[Version, int]:
    """The version that was asked for, and the number of the newest one."""
    versions = measured.versions_of(experiment)
    wanted = chosen.get("judgements", versions[0].number)
    found = next((version for version in versions if version.number == wanted), None)
    if found is None:
        raise Http404("It was never measured by such judgements.")
    return found, versions[0].number


def _values(scores: measured.Scores, query_id: str) -> dict[str, dict[str, float]]:
    return {
        arm: {measure: values[query_id] for measure, values in measures.items() if query_id in values}
        for arm, measures in scores.items()
    }
