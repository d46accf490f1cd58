"""The REST API: the same services, permissions and limits as the pages, for programs."""
