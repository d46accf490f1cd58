"""Addresses of pages that belong to no project."""

from django.urls import path

from webapp.views import jobs, projects, site

urlpatterns = [
    path("", site.home, name="home"),
    path("jobs/", jobs.listing, name="jobs"),
    path("jobs/tray/", jobs.tray, name="jobs_tray"),
    path("projects/new/", projects.new, name="project_new"),
    path("sample/", site.sample, name="sample"),
    path("glossary/", site.glossary, name="glossary"),
    path("theme/", site.theme, name="theme"),
    path("system/", site.system, name="system"),
]
