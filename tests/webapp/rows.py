"""A project with a row in every table, for tests of access and deletion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from webapp import places
from webapp.models import (
    ApiToken,
    Archive,
    BulkReview,
    Corpus,
    CurvePoint,
    Decision,
    Document,
    Errand,
    Experiment,
    Guideline,
    Judgement,
    OpenSession,
    Preference,
    Project,
    Query,
    Rescoring,
    Review,
    ReviewLease,
    ReviewStep,
    Role,
    StageRun,
    State,
    Upload,
    User,
    WeakQuery,
)
from webapp.services import events, invitations


@dataclass(frozen=True)
class Rows:
    """Ids of the rows, as addresses use them."""

    project: Project
    slug: str
    user: int
    invitation: int
    upload: int
    pairs: int
    version: int
    document: int
    example: int
    step: int
    experiment: int
    stage: int
    errand: int
    weak: int
    review_step: int
    bulk: int
    archive: str
    token: int
    browser: int
    preference: int
    series: str


def furnish(project: Project, person: User, documents: int = 3) -> Rows:
    """Put a row into every table of a project, and a file into its folder."""
    upload = Upload.objects.create(project=project, kind="jsonl", name="a.jsonl", uploaded_by=person)
    pairs = Upload.objects.create(project=project, kind="pairs", name="pairs.csv", uploaded_by=person)
    corpus = Corpus.objects.create(
        project=project, number=1, upload=upload, documents=documents, ready=True, sha256="0" * 64
    )
    Document.objects.bulk_create(
        Document(corpus=corpus, doc_id=f"d{number}", title="A title", text="Some text") for number in range(documents)
    )
    Project.objects.filter(pk=project.pk).update(corpus=corpus)
    project.refresh_from_db()
    guideline = Guideline.objects.create(project=project, number=1, text="Ask as you speak.", author=person)
    query = Query.objects.create(
        project=project, query_id="q1", text="what is it", normalised="x", author=person, relevant=1, judged=1
    )
    Judgement.objects.create(query=query, doc_id="d1", grade=2, judge=person, guideline=guideline)
    step = Decision.objects.create(project=project, actor=person, kind="grade", label="graded")
    experiments = [_experiment(project, corpus, number) for number in (1, 2)]
    Experiment.objects.filter(pk=experiments[1].pk).update(
        repeat_of=experiments[0], based_on=experiments[0], change="seeds", series=f"s{project.slug[1:]}"
    )
    weak = WeakQuery.objects.create(project=project, batch="b", weak_id="w", doc_id="d1", text="how is it")
    bulk = BulkReview.objects.create(project=project, batch="b", verdict="accept", actor=person, last=weak.pk)
    Review.objects.create(weak=weak, reviewer=person, verdict="accept", source="bulk", bulk=bulk)
    ReviewLease.objects.create(weak=weak, reviewer=person, until=timezone.now() + timedelta(minutes=10))
    review_step = ReviewStep.objects.create(project=project, actor=person, weak=weak, verdict="accept")
    errand = Errand.objects.create(project=project, kind="upload.check", subject=upload.pk, state=State.DONE)
    archive = Archive.objects.create(project=project, experiment=experiments[0], kind="runs", fingerprint="f")
    token = ApiToken.objects.create(
        user=person, name="a token", prefix="sptar_abcdef", token_hash=project.slug, project=project
    )
    browser, _ = OpenSession.objects.get_or_create(user=person, session_key="x" * 32)  # of no project
    Rescoring.objects.create(experiment=experiments[0], number=1, qrels="q", labels_version=1, asked_by=person)
    preference = Preference.objects.create(
        project=project, experiment=experiments[0], arm="sptar", before="base", text="what is it", after_left=True,
        person=person,
    )  # fmt: skip
    invitation, _ = invitations.invite(project=project, actor=person, role=Role.VIEWER)
    events.record("upload.imported", project=project, actor=person)
    folder = places.upload_folder(upload)
    folder.mkdir(parents=True)
    (folder / "original").write_text('{"_id": "d1", "text": "Some text"}\n')
    return Rows(
        project=project, slug=project.slug, user=person.pk, invitation=invitation.pk, upload=upload.pk, pairs=pairs.pk,
        version=1, document=Document.objects.filter(corpus=corpus).latest("pk").pk, example=query.pk, step=step.pk,
        experiment=1, stage=StageRun.objects.filter(experiment=experiments[0]).get().pk, errand=errand.pk, weak=weak.pk,
        review_step=review_step.pk, bulk=bulk.pk,
        archive=archive.slug, token=token.pk, browser=browser.pk, preference=preference.pk,
        series=f"s{project.slug[1:]}",
    )  # fmt: skip


def _experiment(project: Project, corpus: Corpus, number: int) -> Experiment:
    made = Experiment.objects.create(
        project=project, number=number, request_token=str(number), preset="fast", arms=["bm25", "sptar"],
        corpus=corpus, labels_version=1, dataset="d", counts={"documents": 3}, state=State.DONE,
    )  # fmt: skip
    stage = StageRun.objects.create(
        experiment=made, position=1, step_id="generate.sptar", stage="generate", queue="gpu", arms=["sptar"],
        state=State.DONE, folder="b",
    )  # fmt: skip
    CurvePoint.objects.create(stage_run=stage, step=1, values={"loss": 1.0})
    return made
