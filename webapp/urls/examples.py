"""Addresses of a project's examples."""

from django.urls import path

from webapp.views import agreement, bulk, documents_asked, examples, examples_import, guidelines, labelling

urlpatterns = [
    path("", examples.listing, name="examples"),
    path("gauge/", examples.gauge, name="examples_gauge"),
    path("export/<str:kind>/", examples.export, name="examples_export"),
    path("bulk/", bulk.bulk, name="examples_bulk"),
    path("steps/", examples.steps, name="examples_steps"),
    path("steps/<int:pk>/undo/", examples.undo_step, name="example_undo"),
    path("guidelines/", guidelines.guidelines, name="guidelines"),
    path("label/", labelling.label, name="label"),
    path("label/write/", labelling.write, name="question_write"),
    path("label/advice/", labelling.advice, name="question_advice"),
    path("label/meaning/", labelling.prepare_meaning, name="prepare_meaning"),
    path("label/document/", documents_asked.ask, name="label_document"),
    path("label/document/<int:doc>/skip/", documents_asked.skip, name="document_skip"),
    path("<int:pk>/", labelling.example, name="example"),
    path("<int:pk>/hits/", labelling.hits, name="example_hits"),
    path("<int:pk>/waiting/", labelling.waiting, name="example_waiting"),
    path("<int:pk>/grade/", labelling.grade, name="example_grade"),
    path("<int:pk>/rest/", labelling.rest, name="example_rest"),
    path("<int:pk>/finish/", labelling.finish, name="example_finish"),
    path("<int:pk>/skip/", labelling.skip, name="example_skip"),
    path("<int:pk>/reopen/", labelling.reopen, name="example_reopen"),
    path("<int:pk>/flag/", labelling.flag, name="example_flag"),
    path("<int:pk>/note/", labelling.note, name="example_note"),
    path("<int:pk>/edit/", examples.edit, name="example_edit"),
    path("<int:pk>/delete/", examples.delete, name="example_delete"),
    path("import/", examples_import.start, name="pairs_import"),
    path("import/<int:upload>/", examples_import.status, name="pairs_upload"),
    path("import/<int:upload>/accept/", examples_import.accept, name="pairs_accept"),
    path("import/<int:upload>/discard/", examples_import.discard, name="pairs_discard"),
    path("import/<int:upload>/problems/", examples_import.problems, name="pairs_problems"),
    path("together/", agreement.together, name="together"),
    path("together/<int:pk>/", agreement.second, name="second"),
    path("together/<int:pk>/grade/", agreement.give, name="second_grade"),
    path("agreement/", agreement.agreement, name="agreement"),
    path("disagreements/", agreement.disagreements, name="disagreements"),
    path("disagreements/<int:pk>/settle/", agreement.settle, name="settle"),
]
