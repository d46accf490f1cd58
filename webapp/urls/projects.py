"""Addresses of a project's own pages."""

from django.urls import path

from webapp.views import members, projects

urlpatterns = [
    path("", projects.overview, name="project"),
    path("settings/", projects.settings_page, name="project_settings"),
    path("settings/change/", projects.change, name="project_change"),
    path("delete/", projects.delete, name="project_delete"),
    path("leave/", members.leave, name="project_leave"),
    path("members/<int:user_id>/role/", members.change_role, name="member_role"),
    path("members/<int:user_id>/remove/", members.remove, name="member_remove"),
    path("invitations/", members.invite, name="invite"),
    path("invitations/<int:pk>/revoke/", members.revoke, name="invitation_revoke"),
    path("events/", projects.event_log, name="project_events"),
    path("events/csv/", projects.event_csv, name="project_events_csv"),
]
