"""Readers of uploaded files: whatever is in them becomes rows and problems, one by one, and never an exception
about a single row. Nothing here knows the database.
"""
