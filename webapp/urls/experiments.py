"""Addresses of a project's experiments."""

from django.urls import path

from webapp.views import experiment_parts, experiments, jobs

urlpatterns = [
    path("", experiments.listing, name="experiments"),
    path("new/", experiments.new, name="experiment_new"),
    path("<int:number>/", experiments.detail, name="experiment"),
    path("<int:number>/part/<slug:name>/", experiment_parts.part, name="experiment_part"),
    path("<int:number>/describe/", experiments.describe, name="experiment_describe"),
    path("<int:number>/repeat/", experiments.repeat, name="experiment_repeat"),
    path("<int:number>/cancel/", experiments.cancel, name="experiment_cancel"),
    path("<int:number>/retry/", experiments.retry, name="experiment_retry"),
    path("<int:number>/download/", experiments.download, name="experiment_download"),
    path("stages/<int:pk>/cancel/", jobs.cancel_stage, name="stage_cancel"),
    path("stages/<int:pk>/retry/", jobs.retry_stage, name="stage_retry"),
    path("errands/<int:pk>/cancel/", jobs.cancel_errand, name="errand_cancel"),
    path("errands/<int:pk>/retry/", jobs.retry_errand, name="errand_retry"),
]
