"""The tables. Results live on disk (webapp.places); these are people's labels and who asked for what."""

from webapp.models.access import ApiToken, OpenSession
from webapp.models.corpora import Chunking, Corpus, Document, Upload
from webapp.models.experiments import Change, CurvePoint, Experiment, StageRun
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
from webapp.models.results import Archive, Preference, Rescoring
from webapp.models.review import BulkReview, Review, ReviewLease, ReviewStep, Verdict, WeakQuery
from webapp.models.work import Errand, State, Work

__all__ = [
    "ApiToken", "Archive", "BulkReview", "Change", "Chunking", "Corpus", "CurvePoint", "Decision", "Document",
    "Errand", "Event", "EventsAreKept", "Experiment", "Grade", "Guideline", "Invitation", "Judgement", "LoginAttempt",
    "LoginLink", "Membership", "OpenSession", "Preference", "Project", "Query", "Rescoring", "Review", "ReviewLease",
    "ReviewStep", "Role", "SkippedDocument", "Split", "StageRun", "State", "Upload", "User", "Verdict", "WeakQuery",
    "Work",
]  # fmt: skip
