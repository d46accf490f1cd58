"""Addresses of a project's documents."""

from django.urls import path

from webapp.views import documents, uploads

urlpatterns = [
    path("", documents.documents_page, name="documents"),
    path("<int:doc>/", documents.document, name="document"),
    path("versions/", documents.versions, name="versions"),
    path("versions/<int:number>/use/", documents.version_use, name="version_use"),
    path("versions/<int:number>/cut/", documents.version_cut, name="version_cut"),
    path("upload/", uploads.upload_new, name="upload_new"),
    path("upload/<int:upload>/", uploads.upload_page, name="upload"),
    path("upload/<int:upload>/preview/", uploads.upload_preview, name="upload_preview"),
    path("upload/<int:upload>/check/", uploads.upload_check, name="upload_check"),
    path("upload/<int:upload>/progress/", uploads.upload_progress, name="upload_progress"),
    path("upload/<int:upload>/import/", uploads.upload_import, name="upload_import"),
    path("upload/<int:upload>/reopen/", uploads.upload_reopen, name="upload_reopen"),
    path("upload/<int:upload>/retry/", uploads.upload_retry, name="upload_retry"),
    path("upload/<int:upload>/cancel/", uploads.upload_cancel, name="upload_cancel"),
    path("upload/<int:upload>/problems/", uploads.upload_problems, name="upload_problems"),
]
