"""What `benchmarks.playground` does inside the application, in a process of its own: `… playground_site fill N`.

The project of benchmarks.web_site with an experiment that has trained a search model; its folder is filled by the
benchmark. Prints one JSON line. SPTAR_DATA says where.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django

from benchmarks import web_site
from sptar_engine.data.beir import CORPUS_FILE


def fill(count: int) -> dict[str, Any]:
    """Make the project, and tell where its documents lie and where its trained model is to lie."""
    from webapp.models import Experiment, Project, StageRun, State
    from webapp.places import corpus_folder
    from webapp.selectors.trained_models import find_model

    about = web_site.fill(count)
    project = Project.objects.select_related("corpus").get(slug=about["slug"])
    made = Experiment.objects.create(
        project=project, number=1, request_token=about["slug"], preset="fast", arms=["bm25", "zero_shot", "sptar"],
        corpus=project.corpus, labels_version=1, dataset="0" * 32, state=State.DONE,
    )  # fmt: skip
    StageRun.objects.create(
        experiment=made, position=0, step_id="train.sptar", stage="train", queue="cpu", arms=["sptar"],
        state=State.DONE, folder="train",
    )  # fmt: skip
    corpus = corpus_folder(project.corpus) / CORPUS_FILE
    trained = str(find_model(made, "sptar").folder)
    return {**about, "corpus": str(corpus), "sha256": project.corpus.sha256, "trained": trained}


def main(words: list[str]) -> None:
    """Run it and print its line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    django.setup()
    print(json.dumps({"fill": fill}[words[0]](int(words[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
