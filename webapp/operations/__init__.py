"""Running the application: its processes under one supervisor, its secrets, backup and restore."""
