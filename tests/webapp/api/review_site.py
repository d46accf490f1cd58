"""Fills an installation with questions to review and people with tokens: `python -m tests.webapp.api.review_site N`."""

from __future__ import annotations

import json
import sys

import django

CLIENTS = 8


def main(questions: int) -> None:
    """Print the address of the queue and a token for each client."""
    from webapp.models import Corpus, Experiment, Membership, Project, StageRun, State, User, WeakQuery
    from webapp.services import api_tokens

    project = Project.objects.create(name="Review")
    corpus = Corpus.objects.create(project=project, number=1, ready=True)
    experiment = Experiment.objects.create(
        project=project, number=1, request_token="r", preset="fast", arms=["sptar"], corpus=corpus, labels_version=1,
        dataset="d", state=State.DONE,
    )  # fmt: skip
    StageRun.objects.create(
        experiment=experiment, position=0, step_id="generate.sptar", stage="generate", arms=["sptar"], queue="cpu",
        state=State.DONE, folder="batch",
    )  # fmt: skip
    WeakQuery.objects.bulk_create(
        WeakQuery(project=project, batch="batch", weak_id=f"w{n}", doc_id=f"d{n}", text=f"is it {n}", risk=1 / (n + 1))
        for n in range(questions)
    )  # fmt: skip
    tokens = []
    for number in range(CLIENTS):
        person = User.objects.create_user(f"reviewer{number}@example.org")
        Membership.objects.create(project=project, user=person, role="reviewer")
        tokens.append(api_tokens.make(user=person, name="client", scope="label")[1])
    sys.stdout.write(json.dumps({"slug": project.slug, "tokens": tokens}))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
