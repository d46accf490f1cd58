"""Loads a packaged retriever as a stranger would. Run as a file, in a process of its own, by load_check.py.

    python -I clean_load.py FOLDER VECTORS.npy < SENTENCES.json

It imports nothing of this project, runs no code of the model's, and any attempt to reach the network ends it.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

_NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostby")


def forbid_network() -> None:
    """Make every attempt to resolve a name or to connect raise. An audit hook cannot be taken away again."""

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_NETWORK):
            raise RuntimeError(f"the model reached for the network ({event})")

    sys.addaudithook(refuse)


def main(folder: str, target: str) -> None:
    """Encode the sentences of standard input into `target`, (sentences, dim), then run the folder's own example."""
    forbid_network()
    import numpy as np
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        folder, device="cpu", trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
    )
    np.save(target, model.encode(json.load(sys.stdin), show_progress_bar=False))
    runpy.run_path(str(Path(folder, "load_example.py")), run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
