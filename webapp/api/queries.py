"""Questions of the experts and the grades of documents for them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import Nothing, ProjectView, Shape, created, described
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.models import Judgement, Project, Query, Role, Split
from webapp.selectors.examples import NO_SPLIT, Filter
from webapp.selectors.judgements import judgements_of
from webapp.services import judgements, queries

TAG = "Examples"
_MOST_TEXT = 4000  # characters that are looked at; the service says what is kept


class QueryQuery(PageQuery):
    """Which questions."""

    text = serializers.CharField(required=False, max_length=200, help_text="In question or note.")
    split = serializers.ChoiceField(required=False, choices=[*Split.values, NO_SPLIT])
    status = serializers.ChoiceField(required=False, choices=Query.Status.choices)
    flagged = serializers.BooleanField(required=False, default=False)
    disputed = serializers.BooleanField(required=False, default=False)
    unanswered = serializers.BooleanField(required=False, default=False, help_text="Nothing relevant yet.")


class NewQuery(Shape):
    """A question, or with `doc_id` an example: the question that this document answers."""

    text = serializers.CharField(max_length=_MOST_TEXT)
    doc_id = serializers.CharField(required=False, max_length=512, trim_whitespace=False)


class QueryChange(Shape):
    """What is to be different. `seen` is the revision that you read: somebody else's change is not overwritten."""

    seen = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    text = serializers.CharField(required=False, max_length=_MOST_TEXT)
    split = serializers.ChoiceField(
        required=False, allow_blank=True, choices=Split.choices, help_text="Empty: the app chooses."
    )


class QueryShape(Shape):
    """A question."""

    id = serializers.IntegerField(source="pk")
    query_id = serializers.CharField()
    text = serializers.CharField()
    status = serializers.ChoiceField(choices=Query.Status.choices)
    split = serializers.ChoiceField(choices=Split.choices, allow_blank=True)
    split_fixed = serializers.BooleanField(help_text="A person or an import chose the split.")
    relevant = serializers.IntegerField(help_text="Documents judged relevant.")
    judged = serializers.IntegerField()
    disputed = serializers.BooleanField()
    flagged = serializers.BooleanField()
    note = serializers.CharField(allow_blank=True)
    origin = serializers.CharField()
    revision = serializers.IntegerField()
    created = serializers.DateTimeField()


class GradeShape(Shape):
    """The grade that counts for a document."""

    doc_id = serializers.CharField()
    grade = serializers.IntegerField(help_text="0 not relevant, 1 partly, 2 relevant, 3 exactly this.")
    judge = serializers.CharField(allow_blank=True, help_text="Who gave it.")
    settled = serializers.BooleanField(help_text="It decides a disagreement.")
    source = serializers.CharField()
    at = serializers.DateTimeField()
    seen = serializers.CharField(help_text="Names this grade as it is; send it along to change it.")


class GradesShape(Shape):
    """The judged documents of a question."""

    results = GradeShape(many=True)


class NewGrade(Shape):
    """A grade for a document; null takes it off. To change a grade, send the `seen` that you read."""

    doc_id = serializers.CharField(max_length=512, trim_whitespace=False)
    grade = serializers.IntegerField(allow_null=True, min_value=0, max_value=3)
    seen = serializers.CharField(required=False, allow_blank=True, default="", max_length=50)


class Queries(ProjectView):
    """The questions."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}

    @described(TAG, "Questions, newest first", name="queries", answers=page_shape(QueryShape), query=[QueryQuery])
    def get(self, request: Request, slug: str) -> Response:
        """A page of them."""
        chosen = self.query(QueryQuery)
        wanted = Filter(**{name: value for name, value in chosen.items() if name not in ("cursor", "limit")})
        rows = wanted.apply(self.project)
        return page_of(request, rows, chosen, lambda found: QueryShape(found, many=True).data)

    @described(
        TAG, "Write a question", name="query_create", body=NewQuery, answers=QueryShape, status=201,
        also={200: QueryShape},
        text="With doc_id the document is judged relevant in the same step. A question that is there already is "
        "answered with 200 and is not changed; with doc_id that is an error.",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """A new question."""
        given = self.body(NewQuery)
        if "doc_id" in given:
            row = queries.add_for_document(project=self.project, actor=self.person, **given)
            return created(_fresh(row))
        added = queries.add(project=self.project, texts=[given["text"]], actor=self.person)
        if added.known:
            return Response(QueryShape(added.known[0]).data)
        return created(_fresh(added.made[0]))


class OneQuery(ProjectView):
    """One question."""

    roles: ClassVar = {"GET": Role.VIEWER, "PATCH": Role.EDITOR, "DELETE": Role.EDITOR}

    @described(TAG, "A question", name="query", answers=QueryShape)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """The question."""
        return Response(QueryShape(_find(self.project, pk)).data)

    @described(
        TAG, "Reword a question or choose its split", name="query_change", body=QueryChange, answers=QueryShape,
        errors=[409],
    )  # fmt: skip
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        """Change it."""
        query = _find(self.project, pk)
        given = self.body(QueryChange)
        kept = {"text": query.text, "split": query.split if query.split_fixed else ""}
        row = queries.edit(query=query, actor=self.person, **{**kept, **given})
        return Response(_fresh(row))

    @described(TAG, "Delete a question with its grades", name="query_delete", status=204)
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        """Delete it; the page Examples can take that back."""
        queries.delete(query=_find(self.project, pk), actor=self.person)
        return Response(status=204)


class FinishQuery(ProjectView):
    """Say that a question is judged."""

    roles: ClassVar = {"POST": Role.REVIEWER}

    @described(
        TAG, "Say that a question is judged as far as it will be", name="query_finish", body=Nothing,
        answers=QueryShape, errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Finish it."""
        return Response(_fresh(queries.finish(query=_find(self.project, pk), actor=self.person)))


class Judgements(ProjectView):
    """The grades of one question."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.REVIEWER}

    @described(TAG, "The judged documents of a question", name="judgements", answers=GradesShape)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """The grades that count."""
        query = _find(self.project, pk)
        return Response({"results": [_grade(rows) for rows in judgements_of([query.pk])[query.pk].values()]})

    @described(
        TAG, "Give a document a grade, change it or take it off", name="judgement_give", body=NewGrade,
        answers=GradesShape, errors=[409],
        text="Where two people have judged the document already, this settles their disagreement. Answers with the "
        "grade as it is then: an empty list when it was taken off.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Give the grade."""
        query = _find(self.project, pk)
        given = self.body(NewGrade)
        judgements.grade(query=query, actor=self.person, source="api", **given)
        rows = judgements_of([query.pk])[query.pk].get(given["doc_id"], [])
        return Response({"results": [_grade(rows)] if rows else []})


def _find(project: Project, pk: int) -> Query:
    return get_object_or_404(project.queries.select_related("project"), pk=pk)


def _fresh(row: Query) -> dict[str, Any]:
    """A question as it stands after the step, which counts its grades and may choose its split."""
    row.refresh_from_db()
    return dict(QueryShape(row).data)


def _grade(rows: list[Judgement]) -> dict[str, Any]:
    row = rows[0]
    row.seen = judgements.version_of(rows)  # type: ignore[attr-defined]  # for the shape
    shown = dict(GradeShape(row).data)
    return {**shown, "judge": str(row.judge) if row.judge else ""}
