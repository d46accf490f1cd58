"""Reading, writing, checking and splitting datasets."""
