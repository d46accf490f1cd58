"""What a review comes to: how good the questions are, how far people agree, disagreements settled, and what follows."""

from __future__ import annotations

from typing import ClassVar

from django.http import Http404
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import Nothing, ProjectView, Shape, created, described
from webapp.api.experiments import find as find_experiment
from webapp.api.queries import QueryShape
from webapp.api.questions import TAG, QuestionDetail, find, shown
from webapp.forms.feedback import MAX_K
from webapp.models import Role, Verdict
from webapp.review_words import REJECT_REASONS
from webapp.selectors import filtering, review_agreement, review_effects
from webapp.selectors.review_batches import batch_or_404
from webapp.selectors.review_sample import sample_of
from webapp.services import promotion, reviews


class SampleShape(Shape):
    """The random sample, as far as it is reviewed."""

    size = serializers.IntegerField()
    looked_at = serializers.IntegerField()
    good = serializers.IntegerField()
    bad = serializers.IntegerField()
    flagged = serializers.IntegerField(help_text="Looked at, and counted neither way.")
    interval = serializers.ListField(
        child=serializers.FloatField(), help_text="Of the share of good questions, 95 % (Wilson)."
    )
    verdict = serializers.CharField(allow_blank=True, help_text="yes, maybe or no: enough to train; empty before.")
    sentence = serializers.CharField()


class AgreedShape(Shape):
    """How far two people agree."""

    n = serializers.IntegerField(help_text="Questions that both have judged.")
    kappa = serializers.FloatField(allow_null=True, help_text="Cohen's; null where it is not defined.")


class PairingShape(Shape):
    """Two people, of whom one gave second opinions, blind."""

    one = serializers.CharField()
    other = serializers.CharField()
    use = AgreedShape(help_text="On whether a question is of any use.")
    verdicts = AgreedShape(help_text="On the exact verdict.")


class ReviewerShape(Shape):
    """What one person has done."""

    who = serializers.CharField()
    reviewed = serializers.IntegerField()
    second = serializers.IntegerField(help_text="Of these, second opinions.")
    settled = serializers.IntegerField(source="settled_n")
    bulk = serializers.IntegerField(help_text="Questions that got a verdict by bulk actions of theirs.")


class AgreementShape(Shape):
    """How far people agree on the questions of an arm."""

    pairings = PairingShape(many=True)
    people = ReviewerShape(many=True)
    disputed = serializers.IntegerField(help_text="Disagreements that nobody has settled, counted up to 1,000.")


class Settlement(Shape):
    """The verdict that ends a disagreement."""

    verdict = serializers.ChoiceField(choices=[Verdict.ACCEPT.value, Verdict.REJECT.value, Verdict.EDIT.value])
    reason = serializers.ChoiceField(choices=list(REJECT_REASONS), required=False, allow_blank=True, default="")
    text = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)
    seen = serializers.CharField(max_length=16, help_text="`state` of the question as you read it.")


class EffectShape(Shape):
    """What the verdicts would change in a training, against one without any."""

    sentence = serializers.CharField()
    before = serializers.IntegerField(help_text="Pairs in the training set without verdicts.")
    after = serializers.IntegerField()
    removed = serializers.IntegerField()
    replaced = serializers.IntegerField()
    added = serializers.IntegerField()
    confirmed = serializers.IntegerField()
    flagged = serializers.IntegerField()
    promotable = serializers.IntegerField(help_text="Questions that may become examples (…/promote/).")


class PromotedShape(Shape):
    """What became of the accepted questions."""

    made = serializers.IntegerField(help_text="New training examples.")
    known = serializers.IntegerField(help_text="Were examples already.")


class ThresholdQuery(Shape):
    """Which threshold."""

    k = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_K, help_text="The experiment's own when left out."
    )


class DroppedShape(Shape):
    """How many questions go for a reason."""

    reason = serializers.CharField(source="words")
    count = serializers.IntegerField()


class WhatIfShape(Shape):
    """What a threshold of the filter would keep. Nothing is started."""

    k = serializers.IntegerField()
    current = serializers.IntegerField(help_text="The experiment's own threshold.")
    most = serializers.IntegerField(help_text="The largest that can be tried without searching anew.")
    kept = serializers.IntegerField()
    kept_now = serializers.IntegerField(help_text="With the experiment's own.")
    written = serializers.IntegerField()
    reasons = DroppedShape(many=True)
    kept_by_k = serializers.ListField(child=serializers.IntegerField(), help_text="For the thresholds from 1 to most.")
    sentence = serializers.CharField()


class Sample(ProjectView):
    """The random sample."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "How good the generated questions are, by a random sample", name="sample", answers=SampleShape)
    def get(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """The share of good ones; its cards come from …/next/ with the queue sample."""
        return Response(SampleShape(sample_of(self.project, batch_or_404(self.project, number, arm).folder)).data)


class Agreement(ProjectView):
    """How far people agree."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "How far reviewers agree, and who reviewed how much", name="review_agreement", answers=AgreementShape
    )
    def get(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """By pairs of people; the disagreements are …/questions/ARM/?disputed=true."""
        folder = batch_or_404(self.project, number, arm).folder
        found = {
            "pairings": review_agreement.pairings(self.project, folder),
            "people": review_agreement.people(self.project, folder),
            "disputed": review_agreement.disputed(self.project, folder),
        }
        return Response(AgreementShape(found).data)


class Settle(ProjectView):
    """End a disagreement."""

    roles: ClassVar = {"POST": Role.REVIEWER}

    @described(
        TAG, "Settle a disagreement", name="question_settle", body=Settlement, answers=QuestionDetail, errors=[409],
        text="Everybody's own verdict stays. When the verdicts have changed since you read them it answers 409.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Decide it."""
        weak = find(self.project, pk)
        reviews.settle(project=self.project, actor=self.person, weak=weak, **self.body(Settlement))
        weak.refresh_from_db()
        return Response(shown(weak))


class Promote(ProjectView):
    """Make an example of a question."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(
        TAG, "Make a training example of an accepted question", name="question_promote", body=Nothing,
        answers=QueryShape, status=201,
    )  # fmt: skip
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Promote it."""
        made = promotion.promote(project=self.project, actor=self.person, weak=find(self.project, pk))
        return created(QueryShape(get_object_or_404(self.project.queries, pk=made.pk)).data)


class PromoteAll(ProjectView):
    """Make examples of all accepted questions."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Make training examples of the accepted questions", name="questions_promote", body=Nothing,
        answers=PromotedShape,
        text=f"The least risky first, {promotion.MAX_AT_ONCE} at once; ask again until none is made.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """Promote them."""
        batch = batch_or_404(self.project, number, arm)
        done = promotion.promote_all(project=self.project, actor=self.person, batch=batch.folder)
        return Response(PromotedShape(done).data)


class Effect(ProjectView):
    """What the verdicts change."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "What the verdicts on an arm's questions would change in a training", name="review_effect",
        answers=EffectShape, text="…/with-verdicts/ trains with them. 404 until the questions are filtered.",
    )  # fmt: skip
    def get(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """Counted from the verdicts as they are now."""
        found = review_effects.effect_of(batch_or_404(self.project, number, arm))
        if found is None:
            raise Http404("These questions are not filtered yet, so nobody knows what is in the training.")
        return Response(EffectShape(found).data)


class WhatIf(ProjectView):
    """Another threshold of the filter."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "What another threshold of the filter would keep", name="filter_what_if", answers=WhatIfShape,
        query=[ThresholdQuery], text="…/with-threshold/ trains with it. 404 until the questions are filtered.",
    )  # fmt: skip
    def get(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """Counts with this threshold and with every other one."""
        k = self.query(ThresholdQuery).get("k")
        batch, experiment = batch_or_404(self.project, number, arm), find_experiment(self.project, number)
        generated, filtered = filtering.stages_of(batch)
        found = filtering.what_if(experiment, generated, filtered, k) if generated and filtered else None
        if fixed := filtering.why_no_threshold(filtered):
            raise Http404(fixed)
        if found is None or filtered is None:
            raise Http404("These questions are not filtered yet, or the filter's result is not on the disk.")
        counts = {name: getattr(found, name) for name in WhatIfShape().fields if name != "kept_by_k"}
        curve = filtering.curve_of(experiment, filtered)[: found.most]
        return Response(WhatIfShape({**counts, "kept_by_k": curve}).data)
