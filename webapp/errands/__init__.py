"""The kinds of errands: short work on the queue `short`, each kind a module with a function `run`.

    def run(errand: Errand, attempt: Attempt) -> dict[str, Any]

It reports by `attempt.tick`, writes only inside `attempt.transaction()`, may be killed at any point and run again, and
returns the numbers of its result. What it raises as `sptar_engine.errors.SptarError` is shown as a sentence.
"""

KINDS: dict[str, str] = {
    "archive.make": "webapp.errands.archive_make",
    "upload.check": "webapp.errands.upload_check",
    "upload.import": "webapp.errands.upload_import",
    "corpus.discard": "webapp.errands.corpus_discard",
    "corpus.index": "webapp.errands.corpus_index",
    "corpus.topics": "webapp.errands.corpus_topics",
    "experiment.pair": "webapp.errands.experiment_pair",
    "experiment.rescore": "webapp.errands.experiment_rescore",
    "model.index": "webapp.errands.model_index",
    "pairs.import": "webapp.errands.pairs_import",
    "project.delete": "webapp.errands.project_delete",
    "review.bulk": "webapp.errands.review_bulk",
    "review.bulk_undo": "webapp.errands.review_bulk",
    "sample.load": "webapp.errands.sample_load",
    "sample.start": "webapp.errands.sample_start",
}
