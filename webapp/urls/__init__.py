"""Addresses. One module per area; everything of a project lies below /p/<slug>/."""

from django.urls import include, path

urlpatterns = [
    path("", include("webapp.urls.site")),
    path("", include("webapp.urls.people")),
    path("p/<slug:slug>/", include("webapp.urls.projects")),
    path("p/<slug:slug>/documents/", include("webapp.urls.documents")),
    path("p/<slug:slug>/examples/", include("webapp.urls.examples")),
    path("p/<slug:slug>/experiments/", include("webapp.urls.experiments")),
]

handler400 = "webapp.views.errors.bad_request"
handler403 = "webapp.views.errors.forbidden"
handler404 = "webapp.views.errors.not_found"
handler500 = "webapp.views.errors.broken"
