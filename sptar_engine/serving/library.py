"""What a request may name: a corpus below the data folder, an encoder of the catalogue or one trained in there."""

from __future__ import annotations

import importlib.metadata
import re
import time
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.artifacts import sha256_json
from sptar_engine.catalog import ENCODER, describe, entries
from sptar_engine.data.beir import CORPUS_FILE
from sptar_engine.errors import ArtifactError, SptarError
from sptar_engine.retrieval.fusion import Fusion, read_fusion
from sptar_engine.retrieval.kinds import BI_ENCODER, model_type
from sptar_engine.retrieval.reordering import reading_fusion
from sptar_engine.serving.wire import Refusal

MAX_LENGTH = 256  # tokens of a text that an encoder reads unless its name says otherwise, as evaluate's default
BASE = "base"

_LAYOUT = 1  # of the files that are kept for a corpus: raise when what is written changes
_FRESH = 1.0  # seconds that an encoder is known: a search asks several times, and each look reads folders
_REMEMBERED = 100
_DIGEST = re.compile("[0-9a-f]{64}")
_NAME = re.compile(r"(?P<model>.+?)(?::(?P<tokens>[1-9][0-9]{1,3}))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CorpusName:
    """A corpus.jsonl, the digest of its content, and the folder of all that is made from it."""

    path: Path
    sha256: str
    folder: Path


@dataclass(frozen=True, slots=True)
class EncoderName:
    """The folder of an encoder, and how many tokens of a text it reads; `key` names its weights and that number.

    One that `reads` has no vectors of its own here: it puts the first hits of BM25 in order (late interaction, a
    cross-encoder, a sparse encoder).
    """

    folder: Path
    key: str
    max_length: int
    reads: bool = False


class Library:
    """Turns the names in a request into files, and refuses what lies elsewhere."""

    def __init__(self, root: Path, cache: Path, models: Path, base: str) -> None:
        """Only files below `root` are read; `base` is the encoder that requests call `base`."""
        self.root = root.resolve()
        self.cache = cache
        self._models = models
        self._base = base
        self._known: dict[str, tuple[float, EncoderName]] = {}

    def corpus(self, path: object, digest: object) -> CorpusName:
        """Raises Refusal for anything but a corpus.jsonl below the root."""
        if not isinstance(path, str) or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise Refusal("refused", "A corpus is named by the path of its corpus.jsonl and the SHA-256 of it.")
        file = self._inside(path)
        if file.name != CORPUS_FILE:
            raise Refusal("refused", f"Only files named {CORPUS_FILE} can be searched.")
        return CorpusName(file, digest, self._folder(digest))

    def encoder(self, name: object) -> EncoderName:
        """An encoder by its name in the catalogue or by its folder; `NAME:128` reads 128 tokens of a text.

        Raises Refusal for a model that is neither in the catalogue nor below the root, or cannot be used.
        """
        at, known = self._known.get(str(name), (0.0, None))
        if known is not None and time.monotonic() - at < _FRESH:
            return known
        found = self._look_up(name)
        if len(self._known) >= _REMEMBERED:
            self._known = {}
        self._known[str(name)] = (time.monotonic(), found)
        return found

    def fusion(self, folder: str) -> Fusion:
        """How two searches are put together, by the folder of a finished fuse step.

        Raises Refusal for one that lies elsewhere or has none.
        """
        try:
            return read_fusion(self._inside(folder))
        except ArtifactError as error:
            raise Refusal("refused", "How these two searches are put together is not on the disk any more.") from error

    def beside(self, encoder: EncoderName) -> Fusion | None:
        """How the scores of a model that reads BM25's hits are put together with BM25's; None where they stand alone.

        Raises Refusal when the file that says so is broken.
        """
        try:
            return reading_fusion(encoder.folder)
        except ArtifactError as error:
            raise Refusal("refused", "The files of this search model are damaged.") from error

    def _look_up(self, name: object) -> EncoderName:
        parts = _NAME.fullmatch(name) if isinstance(name, str) and "\0" not in name else None
        if parts is None:
            raise Refusal("refused", "A search model is named by its name in the catalogue or by its folder.")
        model, max_length = parts["model"], int(parts["tokens"] or MAX_LENGTH)
        chosen = self._base if model == BASE else model
        if Path(chosen).is_absolute():
            chosen = str(self._inside(chosen))
        elif chosen not in {entry.name for entry in entries(self._models)}:
            raise Refusal("refused", f"{chosen[:100]!r} is not in the list of models (`sptar models list`).")
        try:
            entry = describe(chosen, ENCODER, self._models)
            assert entry.folder is not None
            reads = model_type(entry.folder) != BI_ENCODER
        except SptarError as error:
            raise Refusal("refused", str(error)) from error
        return EncoderName(entry.folder, sha256_json([entry.name, entry.revision, max_length])[:16], max_length, reads)

    def _inside(self, path: str) -> Path:
        try:
            file = Path(path).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # NUL, a name that is too long, links in a circle
            raise Refusal("refused", "That is no path.") from error
        if not file.is_relative_to(self.root):
            raise Refusal("refused", "The search service reads files of its data folder only.")
        return file

    def _folder(self, digest: str) -> Path:
        """pyserini brings the Lucene that reads an index, so another release gets a folder of its own."""
        made_by = [_LAYOUT, importlib.metadata.version("pyserini"), digest]
        return self.cache / "corpora" / sha256_json(made_by)[:32]
