"""Every address of the application: who may open it, by which methods, and where its ids come from.

`ids` names for each argument a field of tests.webapp.rows.Rows, or holds a value in a tuple when it is no id of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from webapp.models import Role

GET, POST, BOTH = ("GET",), ("POST",), ("GET", "POST")


@dataclass(frozen=True)
class Case:
    """One address. Without `role` it belongs to no project."""

    methods: tuple[str, ...]
    role: Role | None = None
    ids: Mapping[str, str | tuple[str]] = field(default_factory=dict)
    public: bool = False
    staff: bool = False


def below(role: Role, methods: tuple[str, ...], **ids: str | tuple[str]) -> Case:
    """An address of a project."""
    return Case(methods, role, ids)


VIEWER, REVIEWER, EDITOR, OWNER = Role.VIEWER, Role.REVIEWER, Role.EDITOR, Role.OWNER

CASES: dict[str, Case] = {
    "home": Case(GET),
    "jobs": Case(GET),
    "jobs_tray": Case(GET),
    "project_new": Case(BOTH),
    "sample": Case(POST),
    "glossary": Case(GET),
    "theme": Case(POST, public=True),
    "system": Case(GET, staff=True),
    "login": Case(BOTH, public=True),
    "login_link": Case(BOTH, ids={"token": ("x" * 43,)}, public=True),
    "logout": Case(POST),
    "sign_up": Case(BOTH, public=True),
    "invitation": Case(BOTH, ids={"token": ("x" * 43,)}, public=True),
    "profile": Case(BOTH),
    "password": Case(BOTH),
    "project": below(VIEWER, GET),
    "project_settings": below(VIEWER, GET),
    "project_change": below(OWNER, POST),
    "project_delete": below(OWNER, POST),
    "project_leave": below(VIEWER, POST),
    "member_role": below(OWNER, POST, user_id="user"),
    "member_remove": below(OWNER, POST, user_id="user"),
    "invite": below(OWNER, POST),
    "invitation_revoke": below(OWNER, POST, pk="invitation"),
    "project_events": below(VIEWER, GET),
    "project_events_csv": below(VIEWER, GET),
    "documents": below(VIEWER, GET),
    "document": below(VIEWER, GET, doc="document"),
    "versions": below(VIEWER, GET),
    "version_use": below(EDITOR, POST, number="version"),
    "version_cut": below(EDITOR, POST, number="version"),
    "upload_new": below(EDITOR, BOTH),
    "upload": below(VIEWER, GET, upload="upload"),
    "upload_preview": below(EDITOR, BOTH, upload="upload"),
    "upload_check": below(EDITOR, POST, upload="upload"),
    "upload_progress": below(VIEWER, GET, upload="upload"),
    "upload_import": below(EDITOR, POST, upload="upload"),
    "upload_reopen": below(EDITOR, POST, upload="upload"),
    "upload_retry": below(EDITOR, POST, upload="upload"),
    "upload_cancel": below(EDITOR, POST, upload="upload"),
    "upload_problems": below(VIEWER, GET, upload="upload"),
    "examples": below(VIEWER, GET),
    "examples_gauge": below(VIEWER, GET),
    "examples_export": below(VIEWER, GET, kind=("csv",)),
    "examples_bulk": below(EDITOR, POST),
    "examples_steps": below(VIEWER, GET),
    "example_undo": below(REVIEWER, POST, pk="step"),
    "guidelines": below(VIEWER, BOTH),
    "label": below(VIEWER, GET),
    "question_write": below(EDITOR, POST),
    "question_advice": below(VIEWER, POST),
    "prepare_meaning": below(EDITOR, POST),
    "label_document": below(EDITOR, BOTH),
    "document_skip": below(EDITOR, POST, doc="document"),
    "example": below(VIEWER, GET, pk="example"),
    "example_hits": below(VIEWER, GET, pk="example"),
    "example_waiting": below(VIEWER, GET, pk="example"),
    "example_grade": below(REVIEWER, POST, pk="example"),
    "example_rest": below(REVIEWER, POST, pk="example"),
    "example_finish": below(REVIEWER, POST, pk="example"),
    "example_skip": below(REVIEWER, POST, pk="example"),
    "example_reopen": below(REVIEWER, POST, pk="example"),
    "example_flag": below(REVIEWER, POST, pk="example"),
    "example_note": below(REVIEWER, POST, pk="example"),
    "example_edit": below(EDITOR, BOTH, pk="example"),
    "example_delete": below(EDITOR, POST, pk="example"),
    "pairs_import": below(EDITOR, BOTH),
    "pairs_upload": below(VIEWER, GET, upload="pairs"),
    "pairs_accept": below(EDITOR, POST, upload="pairs"),
    "pairs_discard": below(EDITOR, POST, upload="pairs"),
    "pairs_problems": below(VIEWER, GET, upload="pairs"),
    "together": below(REVIEWER, GET),
    "second": below(REVIEWER, GET, pk="example"),
    "second_grade": below(REVIEWER, POST, pk="example"),
    "agreement": below(VIEWER, GET),
    "disagreements": below(VIEWER, GET),
    "settle": below(REVIEWER, POST, pk="example"),
    "experiments": below(VIEWER, GET),
    "experiment_new": below(EDITOR, BOTH),
    "experiment": below(VIEWER, GET, number="experiment"),
    "experiment_part": below(VIEWER, GET, number="experiment", name=("progress",)),
    "experiment_describe": below(EDITOR, POST, number="experiment"),
    "experiment_repeat": below(EDITOR, BOTH, number="experiment"),
    "experiment_cancel": below(EDITOR, BOTH, number="experiment"),
    "experiment_retry": below(EDITOR, BOTH, number="experiment"),
    "experiment_download": below(VIEWER, GET, number="experiment"),
    "stage_cancel": below(EDITOR, BOTH, pk="stage"),
    "stage_retry": below(EDITOR, BOTH, pk="stage"),
    "errand_cancel": below(EDITOR, BOTH, pk="errand"),
    "errand_retry": below(EDITOR, BOTH, pk="errand"),
}
