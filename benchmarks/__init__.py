"""Each module measures ours and a peer in one run and ends with one JSON line (issue 2)."""
