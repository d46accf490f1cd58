"""The verbs of the event log in words. A verb that is not listed is shown as its noun and past verb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sptar_engine.arms import BI_ENCODER, read_cell
from webapp.experiment_words import FAMILY_WORDS, SHORT_ARM_WORDS, STAGE_WORDS, VARIANT_WORDS
from webapp.models import Grade
from webapp.selectors.jobs import ERRANDS

VERBS: dict[str, str] = {
    "project.created": "created the project “{name}”",
    "project.changed": "changed the name or description of the project to “{name}”",
    "project.deleted": "deleted the project “{name}”",
    "project.baseline_pinned": "pinned experiment {experiment} as the baseline",
    "project.baseline_unpinned": "took the pin off the baseline",
    "member.invited": "made an invitation for the role {role}",
    "member.joined": "joined as {role}",
    "member.changed": "changed the role of {member} from {before} to {role}",
    "member.removed": "removed {member} ({role})",
    "member.left": "left the project",
    "invitation.revoked": "withdrew an invitation for the role {role}",
    "upload.received": "uploaded “{name}”",
    "upload.check_started": "had {file} checked",
    "upload.checked": "checked {file}: {good:good row}, {bad:bad one}",
    "upload.refused": "refused {file}",
    "upload.accepted": "imported the good rows of {file} and left {left_out} out",
    "upload.reopened": "went back to the choices of {file}",
    "upload.retried": "tried {file} again",
    "upload.cancelled": "cancelled {file}",
    "upload.discarded": "discarded {file}",
    "corpus.imported": "made version {version} of the documents, {documents} in all",
    "corpus.used": "switched to version {version} of the documents",
    "corpus.cut": "made version {version} of the documents by cutting them anew",
    "corpus.topics_found": "found {topics:topic} in version {version} of the documents",
    "document.set_aside": "set document {doc_id} aside in experiment {experiment}: the step failed on it twice",
    "guideline.written": "wrote version {version} of the guidelines",
    "query.written": "wrote {questions:question}",
    "query.promoted": "made {questions:example} of generated questions",
    "query.edited": "reworded {question}",
    "query.annotated": "wrote a note on {question}",
    "query.deleted": "deleted {question}",
    "query.finished": "finished {question}",
    "query.flagged": "flagged or unflagged {question}",
    "query.reopened": "opened {question} again",
    "query.skipped": "skipped {question}",
    "judgement.given": "graded a document for {question}: {grade}",
    "judgement.rest": "graded the rest of the results of {question} as not relevant: {documents:document}",
    "judgement.seconded": "judged {question} as a second person",
    "judgement.settled": "settled a disagreement on {question}: {grade}",
    "example.imported": "imported examples: {questions:new question}, {pairs:grade}",
    "example.bulk": "changed {examples:example} at once: {action}",
    "example.undone": "undid: {step}",
    "example.document_skipped": "skipped a suggested document",
    "review.given": "reviewed the generated question “{text}”: {verdict}",
    "review.settled": "settled a disagreement on the generated question “{text}”: {verdict}",
    "review.undone": "took back a verdict on the generated question “{text}”",
    "review.bulk_started": "began a bulk review: {verdict}",
    "review.bulk_done": "finished a bulk review, {questions:question}: {verdict}",
    "review.bulk_undone": "took a bulk review back: {verdict}",
    "experiment.started": "started experiment {experiment} (preset {preset})",
    "experiment.repeated": "ran experiment {experiment} as an exact repetition",
    "experiment.reviewed": "started experiment {experiment} with the verdicts on generated questions",
    "experiment.refiltered": "started experiment {experiment} with another threshold",
    "experiment.curve": "started experiment {experiment} for a learning curve",
    "experiment.described": "changed name or note of experiment {experiment}",
    "experiment.cancelled": "cancelled experiment {experiment}",
    "experiment.retried": "had experiment {experiment} go on",
    "experiment.rescored": "measured experiment {experiment} by new judgements: version {version}, {judged:judgement}",
    "experiment.done": "finished experiment {experiment}",
    "experiment.failed": "could not finish experiment {experiment}",
    "experiment.model_prepared": "had “{model}” of experiment {experiment} made ready to try",
    "query.tried": "judged {question} in the playground",
    "query.saved": "saved {question} from the playground as {used}",
    "preference.given": "compared two searches without their names for “{words}”",
    "stage.cancelled": "cancelled the step “{stage}” of experiment {experiment}",
    "experiment.pushed": "pushed the search model of experiment {experiment} to {repository}",
    "archive.asked": "had a download made of experiment {experiment}: {what}",
    "archive.removed": "removed a download of experiment {experiment}: {what}",
    "errand.cancelled": "cancelled the job “{job}”",
}
"""What an event did, with the facts it needs; `{pairs:grade}` is counted: `1 grade`, `2 grades`.

The name of the person stands before it. `question`, `file`, `stage`, `job`, `grade` and `action` are put into words.
"""

NOUNS: dict[str, str] = {
    "upload": "Uploads",
    "corpus": "Versions of the documents",
    "document": "Documents",
    "query": "Questions",
    "judgement": "Grades",
    "preference": "Blind comparisons",
    "example": "Examples",
    "guideline": "Guidelines",
    "review": "Reviews of generated questions",
    "experiment": "Experiments",
    "stage": "Steps of experiments",
    "archive": "Downloads",
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
    return words.format_map(_Known({**facts, **_in_words(facts)}))


class _Known(dict[str, Any]):
    """Facts by name; one that an event lacks or that is nothing is a dash."""

    def __missing__(self, key: str) -> _Word:
        return _Word("-")

    def __getitem__(self, key: str) -> Any:
        found = super().__getitem__(key)
        return _Number(found) if isinstance(found, int) else _Word("-" if found is None else found)


class _Number(int):
    """Counts the noun that stands behind its colon."""

    def __format__(self, noun: str) -> str:
        return f"{int(self):,} {noun if self == 1 else f'{noun}s'}" if noun else str(int(self))


class _Word(str):
    """Stands in for a number that an old event did not keep, too."""

    __slots__ = ()

    def __format__(self, noun: str) -> str:
        return f"some {noun}s" if noun else str(self)


def _in_words(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a fact that is an id or a name of ours is called. Old events have the id and no text."""
    found = {}
    if "query" in facts:
        found["question"] = f"“{facts['text']}”" if facts.get("text") else f"question {facts['query']}"
    if "upload" in facts:
        found["file"] = f"“{facts['name']}”" if facts.get("name") else f"upload {facts['upload']}"
    if "step" in facts:
        stage, _, rest = str(facts["step"]).partition(".")
        cell = read_cell(rest.partition(".")[0])
        named = [SHORT_ARM_WORDS.get(cell.arm, cell.arm)]
        if cell.family != BI_ENCODER and cell.family in FAMILY_WORDS:
            named.append(FAMILY_WORDS[cell.family].name.lower())
        if cell.variant in VARIANT_WORDS:
            named.append(VARIANT_WORDS[cell.variant])
        found["stage"] = STAGE_WORDS.get(stage, stage) + (f": {', '.join(named)}" if cell.arm else "")
    if "kind" in facts:
        found["job"] = ERRANDS.get(facts["kind"], str(facts["kind"]))
    if "grade" in facts:
        grade = facts["grade"]
        found["grade"] = Grade(grade).label if grade in Grade.values else "no grade any more"
    if "action" in facts:
        found["action"] = str(facts.get("words") or facts["action"]).replace("-", " ")
    return found


def _plain(facts: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in facts.items() if isinstance(value, str | int | float) and value != ""}
    shown = [f"{name.replace('_', ' ')} {value}" for name, value in plain.items()]
    return f" ({', '.join(shown)})" if shown else ""
