"""The sample dataset: the Python standard library's own help, with questions a person would ask of it."""
