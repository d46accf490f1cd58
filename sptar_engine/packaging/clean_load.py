"""Loads a packaged retriever as a stranger would. Run as a file, in a process of its own, by load_check.py.

    python -I clean_load.py FOLDER NUMBERS.npy < SENTENCES.json

It imports nothing of this project, runs no code of the model's, and any attempt to reach the network ends it.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

_NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostby")
_LOADERS = ("SentenceTransformer", "MultiVectorEncoder", "CrossEncoder", "SparseEncoder")


def forbid_network() -> None:
    """Make every attempt to resolve a name or to connect raise. An audit hook cannot be taken away again."""

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_NETWORK):
            raise RuntimeError(f"the model reached for the network ({event})")

    sys.addaudithook(refuse)


def load(folder: str) -> Any:
    """The model in a folder, by the class that its settings name."""
    import sentence_transformers

    settings = json.loads(Path(folder, "config_sentence_transformers.json").read_text(encoding="utf-8"))
    loader = settings.get("model_type", _LOADERS[0])
    if loader not in _LOADERS:
        raise ValueError(f"{loader} is none of {', '.join(_LOADERS)}")
    return getattr(sentence_transformers, loader)(
        folder, device="cpu", trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
    )


def compute(model: Any, sentences: list[str]) -> Any:
    """What the model makes of sentences, a float array.

    Their vectors as queries, then as documents; or its scores of each one with each one.
    """
    kind = type(model).__name__
    if kind == "CrossEncoder":
        pairs = [(one, other) for one in sentences for other in sentences]
        return model.predict(pairs, show_progress_bar=False)
    if kind == "MultiVectorEncoder":
        queries = model.encode_query(sentences, show_progress_bar=False)
        return model.similarity(queries, model.encode_document(sentences, show_progress_bar=False)).numpy()
    if kind == "SparseEncoder":
        return model.encode(sentences, convert_to_sparse_tensor=False, show_progress_bar=False).numpy()
    import numpy as np

    sides = (model.encode_query, model.encode_document)  # may be a tower each
    return np.concatenate([encode(sentences, show_progress_bar=False) for encode in sides])


def main(folder: str, target: str) -> None:
    """Save what the model makes of the sentences of standard input, then run the folder's own examples."""
    forbid_network()
    import numpy as np

    np.save(target, compute(load(folder), json.load(sys.stdin)))
    for example in sorted(Path(folder).glob("load_example*.py")):
        runpy.run_path(str(example), run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
