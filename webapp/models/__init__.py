"""The tables. Results live on disk (webapp.places); these are people's labels and who asked for what."""

from webapp.models.corpora import Chunking, Corpus, Document, Upload
from webapp.models.experiments import CurvePoint, Experiment, StageRun, WeakQuery
from webapp.models.labels import Decision, Grade, Guideline, Judgement, Query, Split
from webapp.models.people import Event, Invitation, LoginLink, Membership, Project, Role, User
from webapp.models.work import Errand, State, Work

__all__ = [
    "Chunking", "Corpus", "CurvePoint", "Decision", "Document", "Errand", "Event", "Experiment", "Grade", "Guideline",
    "Invitation", "Judgement", "LoginLink", "Membership", "Project", "Query", "Role", "Split", "StageRun", "State",
    "Upload", "User", "WeakQuery", "Work",
]  # fmt: skip
