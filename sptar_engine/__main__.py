"""`python -m sptar_engine` is the command `sptar`."""

import sys

from sptar_engine.cli import main

sys.exit(main())
