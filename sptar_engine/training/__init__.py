"""Training loops of soft prompts and retrievers."""
