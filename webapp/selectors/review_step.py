"""The step of the review: where it stands, and what the verdicts are good for."""

from __future__ import annotations

from dataclasses import replace

from django.urls import reverse

from webapp.models import Project
from webapp.selectors.experiment_steps import of_experiment
from webapp.selectors.review_queues import SAMPLE_SIZE
from webapp.selectors.step_facts import DONE, NAMES, OUTDATED, READY, WAITING, Facts, Step
from webapp.selectors.verdict_counts import BOUND
from webapp.selectors.words import plural


def review(project: Project, facts: Facts) -> Step:
    """Reading what was written and saying what is good; nothing waits for it."""
    step = of_experiment(project, facts, "generate", is_ready=False)
    if step.state not in (DONE, OUTDATED):
        why = "There are no finished generated questions yet."
        return replace(step, key="review", name=NAMES["review"], state=WAITING, label="Waiting", why=why, url="")
    state, label, why = _reviewed(facts)
    if step.state == OUTDATED:
        state, label, why = OUTDATED, step.label, step.why
    return Step("review", NAMES["review"], state, label, why, reverse("review", args=[project.slug]))


def _reviewed(facts: Facts) -> tuple[str, str, str]:
    found = facts.verdicts
    if not found.given:
        size = SAMPLE_SIZE
        return READY, "Not started", f"Read {size} generated questions, drawn at random, and see how many are good."
    label = f"{found.given:,}{'+' if found.given >= BOUND else ''} {plural(found.given, 'verdict')}"
    if not found.is_sampled:
        need, size = found.sample - found.looked_at, found.sample
        return READY, label, f"{need} of {size} random questions are left; they tell how good all of them are."
    if not found.are_used:
        who = "the search model can be trained with them" if facts.may_edit else "an editor can train with them"
        return READY, label, f"These verdicts are in no training yet: {who}."
    if found.used:
        return DONE, label, "The search model is trained with these verdicts."
    return DONE, label, "The random sample is reviewed, and no verdict changes the training."
