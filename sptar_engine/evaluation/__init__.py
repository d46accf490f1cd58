"""Measures, paired tests and run files."""
