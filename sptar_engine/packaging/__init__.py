"""The archive a user downloads: its contents, its model card, and the proof that it loads elsewhere."""
