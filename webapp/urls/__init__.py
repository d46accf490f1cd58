"""Addresses. One module per area; everything of a project lies below /p/<slug>/."""

from django.urls import include, path

urlpatterns = [
    path("", include("webapp.urls.site")),
    path("", include("webapp.urls.people")),
    path("api/v1/", include("webapp.urls.api")),
    path("p/<slug:slug>/", include("webapp.urls.projects")),
    path("p/<slug:slug>/documents/", include("webapp.urls.documents")),
    path("p/<slug:slug>/examples/", include("webapp.urls.examples")),
    path("p/<slug:slug>/experiments/", include("webapp.urls.experiments")),
    path("p/<slug:slug>/compare/", include("webapp.urls.compare")),
    path("p/<slug:slug>/playground/", include("webapp.urls.playground")),
    path("p/<slug:slug>/review/", include("webapp.urls.review")),
    path("p/<slug:slug>/", include("webapp.urls.feedback")),
    path("p/<slug:slug>/download/", include("webapp.urls.download")),
]

handler400 = "webapp.views.errors.bad_request"
handler403 = "webapp.views.errors.forbidden"
handler404 = "webapp.views.errors.not_found"
handler500 = "webapp.views.errors.broken"
