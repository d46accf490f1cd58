"""Addresses of what review and filter change: another threshold, another training, new examples, learning curves."""

from django.urls import path

from webapp.views import feedback, filtering, learning_curves

_OF = "review/<int:number>/<slug:arm>/"

urlpatterns = [
    path(_OF + "filter/", filtering.what_if, name="filter"),
    path(_OF + "filter/use/", filtering.use, name="filter_use"),
    path(_OF + "effect/", feedback.effect, name="review_effect"),
    path(_OF + "promote/", feedback.promote_all, name="promote_all"),
    path(_OF + "questions/<int:pk>/promote/", feedback.promote, name="promote"),
    path("experiments/<int:number>/retrain/", feedback.retrain, name="retrain"),
    path("experiments/<int:number>/learning-curve/", learning_curves.new, name="learning_curve_new"),
    path("learning-curves/", learning_curves.listing, name="learning_curves"),
    path("learning-curves/<slug:series>/", learning_curves.curve, name="learning_curve"),
]
