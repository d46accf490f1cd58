#!/usr/bin/env python3
"""Django's command line for the web application."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    if sys.argv[1:2] == ["up"]:
        os.environ["SPTAR_MAKES_KEY"] = "1"  # the settings refuse to load without a key; `up` may make one
    execute_from_command_line(sys.argv)
