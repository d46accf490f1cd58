"""Addresses of log-in, profile and invitations."""

from django.urls import path

from webapp.views import people, sessions, tokens

urlpatterns = [
    path("login/", people.log_in, name="login"),
    path("login/link/<str:token>/", people.login_link, name="login_link"),
    path("logout/", people.log_out, name="logout"),
    path("sign-up/", people.sign_up, name="sign_up"),
    path("invitation/<str:token>/", people.invitation, name="invitation"),
    path("profile/", people.profile, name="profile"),
    path("profile/password/", people.password, name="password"),
    path("profile/sessions/", sessions.listing, name="sessions"),
    path("profile/sessions/end/", sessions.end_others, name="sessions_end"),
    path("profile/sessions/<int:pk>/end/", sessions.end, name="session_end"),
    path("profile/tokens/", tokens.tokens, name="tokens"),
    path("profile/tokens/<int:pk>/revoke/", tokens.revoke, name="token_revoke"),
]
