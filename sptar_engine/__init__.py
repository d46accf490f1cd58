"""SPTAR: a search model for your own documents from about fifty labelled examples (arXiv 2307.08303)."""
