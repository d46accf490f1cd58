"""The verbs of the event log in words. A verb that is not listed is shown as its noun and past verb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERBS: dict[str, str] = {
    "project.created": "created the project “{name}”",
    "project.changed": "changed the name or description of the project to “{name}”",
    "project.deleted": "deleted the project “{name}”",
    "member.invited": "made an invitation for the role {role}",
    "member.joined": "joined as {role}",
    "member.changed": "changed the role of {member} from {before} to {role}",
    "member.removed": "removed {member} ({role})",
    "member.left": "left the project",
    "invitation.revoked": "withdrew an invitation for the role {role}",
    "upload.received": "uploaded “{name}”",
    "upload.check_started": "had upload {upload} checked",
    "upload.checked": "checked upload {upload}: {good} good rows, {bad} bad ones",
    "upload.refused": "refused upload {upload}",
    "upload.accepted": "imported the good rows of upload {upload} and left {left_out} out",
    "upload.reopened": "went back to the choices of upload {upload}",
    "upload.retried": "tried upload {upload} again",
    "upload.cancelled": "cancelled upload {upload}",
    "upload.discarded": "discarded upload {upload}",
    "corpus.imported": "made version {version} of the documents, {documents} in all",
    "corpus.used": "switched to version {version} of the documents",
    "corpus.cut": "made version {version} of the documents by cutting them anew",
    "corpus.topics_found": "found the topics of version {version} of the documents",
    "document.set_aside": "set document {doc_id} aside in experiment {experiment}: the step failed on it twice",
    "guideline.written": "wrote version {version} of the guidelines",
    "query.written": "wrote questions: {questions}",
    "query.edited": "reworded question {query}",
    "query.annotated": "wrote a note on question {query}",
    "query.deleted": "deleted question {query}",
    "query.finished": "finished question {query}",
    "query.flagged": "flagged or unflagged question {query}",
    "query.reopened": "opened question {query} again",
    "query.skipped": "skipped question {query}",
    "judgement.given": "graded a document for question {query}: {grade}",
    "judgement.rest": "graded the rest of the results of question {query} as not relevant: {documents}",
    "judgement.seconded": "judged question {query} as a second person",
    "judgement.settled": "settled a disagreement on question {query}: {grade}",
    "example.imported": "imported examples",
    "example.bulk": "changed several examples at once",
    "example.undone": "undid: {step}",
    "example.document_skipped": "skipped a suggested document",
    "experiment.started": "started experiment {experiment} (preset {preset})",
    "experiment.repeated": "ran experiment {experiment} as an exact repetition",
    "experiment.described": "changed name or note of experiment {experiment}",
    "experiment.cancelled": "cancelled experiment {experiment}",
    "experiment.retried": "had experiment {experiment} go on",
    "experiment.done": "finished experiment {experiment}",
    "experiment.failed": "could not finish experiment {experiment}",
    "stage.cancelled": "cancelled the step {step} of experiment {experiment}",
    "errand.cancelled": "cancelled a job ({kind})",
}
"""What an event did, with the facts it needs. The name of the person stands before it."""

NOUNS: dict[str, str] = {
    "upload": "Uploads",
    "corpus": "Versions of the documents",
    "document": "Documents",
    "query": "Questions",
    "judgement": "Grades",
    "example": "Examples",
    "guideline": "Guidelines",
    "experiment": "Experiments",
    "stage": "Steps of experiments",
    "errand": "Background jobs",
    "member": "Members",
    "invitation": "Invitations",
    "project": "The project",
}
"""What an event is about, for the filter."""


def sentence(verb: str, facts: Mapping[str, Any]) -> str:
    """The event in words. Facts are a person's text: the template escapes them."""
    words = VERBS.get(verb)
    if words is None:
        noun, _, past = verb.partition(".")
        return f"{past.replace('_', ' ') or 'changed'}: {noun.replace('_', ' ')}{_plain(facts)}"
    return words.format_map(_Known(facts))


class _Known(dict[str, Any]):
    """Facts by name; one that an event lacks or that is nothing is a dash."""

    def __missing__(self, key: str) -> str:
        return "-"

    def __getitem__(self, key: str) -> Any:
        found = super().__getitem__(key)
        return "-" if found is None else found


def _plain(facts: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in facts.items() if isinstance(value, str | int | float) and value != ""}
    shown = [f"{name.replace('_', ' ')} {value}" for name, value in plain.items()]
    return f" ({', '.join(shown)})" if shown else ""
