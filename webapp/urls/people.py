"""Addresses of log-in, profile and invitations."""

from django.urls import path

from webapp.views.pending import pending

urlpatterns = [
    path("login/", pending, name="login"),
    path("logout/", pending, name="logout"),
    path("profile/", pending, name="profile"),
]
