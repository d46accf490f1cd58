"""Addresses of what a project has to download."""

from django.urls import path

from webapp.views import downloads_page

urlpatterns = [
    path("", downloads_page.page, name="download"),
    path("<int:number>/card/", downloads_page.card, name="model_card"),
    path("<int:number>/make/", downloads_page.make, name="archive_make"),
    path("archives/<slug:archive>/", downloads_page.archive, name="archive"),
    path("archives/<slug:archive>/file/", downloads_page.file, name="archive_file"),
    path("archives/<slug:archive>/again/", downloads_page.again, name="archive_again"),
    path("archives/<slug:archive>/stop/", downloads_page.stop, name="archive_stop"),
    path("archives/<slug:archive>/remove/", downloads_page.remove, name="archive_remove"),
]
