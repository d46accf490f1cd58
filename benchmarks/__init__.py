"""Measurements against a peer in the same run. Each module prints one JSON line at its end (issue 2)."""

import os

# As the command line does, and before torch is imported: threads that spin while they wait ruin each other where other
# work runs, and by how much depends on what runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
