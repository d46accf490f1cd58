"""The tables. Results live on disk (webapp.places); these are people's labels and who asked for what."""

from webapp.models.corpora import Chunking, Corpus, Document, Upload
from webapp.models.experiments import CurvePoint, Experiment, StageRun, WeakQuery
from webapp.models.labels import Decision, Grade, Guideline, Judgement, Query, SkippedDocument, Split
from webapp.models.people import (
    Event,
    EventsAreKept,
    Invitation,
    LoginAttempt,
    LoginLink,
    Membership,
    Project,
    Role,
    User,
)
from webapp.models.work import Errand, State, Work

__all__ = [
    "Chunking", "Corpus", "CurvePoint", "Decision", "Document", "Errand", "Event", "EventsAreKept", "Experiment",
    "Grade", "Guideline", "Invitation", "Judgement", "LoginAttempt", "LoginLink", "Membership", "Project", "Query",
    "Role", "SkippedDocument", "Split", "StageRun", "State", "Upload", "User", "WeakQuery", "Work",
]  # fmt: skip
