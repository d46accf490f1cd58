"""Addresses of the review of generated questions: a number and an arm name whose questions they are."""

from django.urls import path

from webapp.views import review, review_bulk, review_list, review_together

_OF = "<int:number>/<slug:arm>/"

urlpatterns = [
    path("", review.start, name="review"),
    path(_OF, review.overview, name="review_batch"),
    path(_OF + "cards/<slug:queue>/", review.cards, name="review_cards"),
    path(_OF + "cards/<slug:queue>/next/", review.next_card, name="review_next"),
    path(_OF + "list/", review_list.listing, name="review_list"),
    path(_OF + "bulk/", review_bulk.bulk, name="review_bulk"),
    path(_OF + "bulk/<int:pk>/", review_bulk.status, name="review_bulk_status"),
    path(_OF + "bulk/<int:pk>/undo/", review_bulk.undo, name="review_bulk_undo"),
    path(_OF + "agreement/", review_together.agreement, name="review_agreement"),
    path(_OF + "disagreements/", review_together.disagreements, name="review_disagreements"),
    path(_OF + "steps/<int:pk>/undo/", review.undo, name="review_undo"),
    path(_OF + "questions/<int:pk>/", review_list.question, name="review_question"),
    path(_OF + "questions/<int:pk>/verdict/", review.give, name="review_give"),
    path(_OF + "questions/<int:pk>/skip/", review.skip, name="review_skip"),
    path(_OF + "questions/<int:pk>/like/", review_list.like, name="review_like"),
    path(_OF + "questions/<int:pk>/settle/", review_together.settle, name="review_settle"),
]
