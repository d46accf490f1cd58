"""What was uploaded, and the versions of a project's documents made from it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from webapp.models.people import Project, User


class Chunking(models.TextChoices):
    """Whether long documents are cut into pieces, each with the title."""

    NONE = "none", "Keep documents whole"
    PARAGRAPHS = "paragraphs", "Cut long documents at paragraphs"


class Upload(models.Model):
    """A file on its way into a project. The file lies in webapp.places.upload_folder(upload)."""

    class Kind(models.TextChoices):
        """What the file holds."""

        JSONL = "jsonl", "JSON lines (BEIR corpus.jsonl)"
        TABLE = "table", "CSV or TSV table"
        TEXTS = "texts", "Zip of text, PDF or Word files"
        BEIR = "beir", "Zip of a whole BEIR dataset"
        PDF = "pdf", "PDF document"
        DOCX = "docx", "Word document (.docx)"
        PAIRS = "pairs", "Examples: CSV, TSV or JSON lines of pairs"
        QRELS = "qrels", "Examples: judgements (qrels) with queries"

    class Stage(models.TextChoices):
        """How far it got."""

        RECEIVED = "received", "Uploaded"
        MAPPING = "mapping", "Waiting for the choice of columns"
        CHECKING = "checking", "Being checked"
        QUESTION = "question", "Some rows are bad: waiting for your decision"
        IMPORTING = "importing", "Being imported"
        DONE = "done", "Imported"
        REFUSED = "refused", "Refused"
        CANCELLED = "cancelled", "Cancelled"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="uploads")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.RECEIVED)
    name = models.CharField(max_length=255)
    """The file's name as the person had it; never used as a path."""
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    options = models.JSONField(default=dict)
    """Choices of the person: columns, encoding, delimiter, chunking."""
    rows_good = models.BigIntegerField(default=0)
    rows_bad = models.BigIntegerField(default=0)
    rows_changed = models.BigIntegerField(default=0)
    """Rows in which NUL or lone surrogates were replaced."""
    problems = models.JSONField(default=list)
    """The first problems, each {line, reason, fix}; all of them are in the report file."""
    counts = models.JSONField(default=dict)
    """Problems by reason."""
    error = models.TextField(blank=True)
    uploaded_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Corpus(models.Model):
    """One version of a project's documents. A run keeps the version it used."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="corpora")
    number = models.PositiveIntegerField()
    upload = models.ForeignKey(Upload, on_delete=models.SET_NULL, null=True, related_name="corpora")
    chunking = models.CharField(max_length=12, choices=Chunking.choices, default=Chunking.NONE)
    ready = models.BooleanField(default=False)
    """All rows and corpus.jsonl (in webapp.places.corpus_folder) are there."""
    documents = models.PositiveIntegerField(default=0)
    """Number of documents; kept here because counting a million rows takes seconds."""
    sha256 = models.CharField(max_length=64, blank=True)
    """Of corpus.jsonl."""
    health = models.JSONField(default=dict)
    """The engine's health report (sptar_engine.data.health)."""
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "number"], name="corpus_numbers_once")]

    def __str__(self) -> str:
        return f"version {self.number} of {self.project}"


class Document(models.Model):
    """A document, or a piece of one, as it is searched."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="rows")
    doc_id = models.CharField(max_length=512)
    title = models.TextField(blank=True)
    text = models.TextField()
    source_id = models.CharField(max_length=512, blank=True)
    """Of a piece: the id of the whole document."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["corpus", "doc_id"], name="document_ids_once")]
        indexes: ClassVar = [models.Index(fields=["corpus", "id"], name="document_by_corpus")]

    def __str__(self) -> str:
        return self.doc_id
