"""Where files lie below settings.DATA_DIR. Paths are made from numbers and slugs only, never from a user's text."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from webapp.models import Archive, Corpus, Errand, Experiment, Project, StageRun, Upload


def models_folder() -> Path:
    """Unpacked and added models, shared by all projects (sptar_engine.catalog)."""
    return Path(settings.DATA_DIR) / "models"


def project_folder(project: Project) -> Path:
    """Everything of one project."""
    return Path(settings.DATA_DIR) / "projects" / project.slug


def upload_folder(upload: Upload) -> Path:
    """The uploaded file (`original`), what was made of it, and the problems report (`problems.csv`)."""
    return project_folder(upload.project) / "uploads" / str(upload.pk)


def corpus_folder(corpus: Corpus) -> Path:
    """`corpus.jsonl` of a version, in BEIR's layout: what search, health report and snapshots read."""
    return project_folder(corpus.project) / "corpora" / str(corpus.number)


def snapshot_folder(project: Project, name: str) -> Path:
    """The dataset of an experiment in BEIR's layout; `name` is the hash of its content."""
    return project_folder(project) / "datasets" / name


def decisions_file(project: Project, name: str) -> Path:
    """Verdicts on generated questions as an experiment used them; `name` is the hash of its content."""
    return project_folder(project) / "decisions" / f"{name}.jsonl"


def qrels_folder(project: Project, name: str) -> Path:
    """Test judgements of a later day, in BEIR's layout; `name` is the hash of their content."""
    return project_folder(project) / "qrels" / name


def archive_folder(archive: Archive) -> Path:
    """The one file of an archive, once it is made."""
    return project_folder(archive.project) / "archives" / archive.slug


def store_folder(project: Project) -> Path:
    """The engine's store: `stages/` with finished stages, `cache/` (sptar_engine.pipeline.Store)."""
    return project_folder(project) / "store"


def search_cache() -> Path:
    """Indexes and vectors of the search service, named by content; may be deleted at any time."""
    return Path(settings.DATA_DIR) / "search"


def experiment_folder(experiment: Experiment) -> Path:
    """`experiment.json` and `comparison.json` as the command line keeps them; their paths lead into the store."""
    return project_folder(experiment.project) / "experiments" / experiment.slug


def log_file(work: StageRun | Errand) -> Path:
    """What the processes of a step or an errand said, one attempt after the other."""
    project = work.experiment.project if isinstance(work, StageRun) else work.project
    folder = project_folder(project) if project else Path(settings.DATA_DIR)
    return folder / "logs" / f"{'stage' if isinstance(work, StageRun) else 'errand'}-{work.pk}.log"
