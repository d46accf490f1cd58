"""The child of webapp.reading.extraction: reads the files named on its input, writes one line of JSON for each.

`python -m webapp.reading.extraction_child MEGABYTES SECONDS PAGES CHARACTERS`
"""

from __future__ import annotations

import ctypes
import json
import logging
import re
import resource
import signal
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from xml.sax import ContentHandler, SAXException

_PR_SET_PDEATHSIG = 1
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.spawn",
    "os.posix_spawn",
    "ftplib.",
    "urllib.",
)
_BLANKS = re.compile(r"[ \t\u00a0]+")


class Refused(Exception):
    """The file is not read; the message says why."""


class _Limits:
    def __init__(self, megabytes: int, seconds: int, pages: int, characters: int) -> None:
        self.megabytes, self.seconds, self.pages, self.characters = megabytes, seconds, pages, characters


def main(arguments: list[str]) -> None:
    """Answer until the input ends."""
    limits = _Limits(*(int(value) for value in arguments))
    _load_readers()
    _lock_in(limits)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _allow_seconds(limits.seconds)
        sys.stdout.buffer.write(json.dumps(_reply(Path(request["path"]), request["kind"], limits)).encode() + b"\n")
        sys.stdout.buffer.flush()


def _load_readers() -> None:
    import defusedxml.sax
    import docx
    import pypdf

    for module in (defusedxml.sax, docx, pypdf):
        logging.getLogger(module.__name__).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")


def _lock_in(limits: _Limits) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (limits.megabytes << 20, limits.megabytes << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse_the_outside)


def _refuse_the_outside(event: str, arguments: tuple[Any, ...]) -> None:
    """Nothing is fetched and nothing is started, whatever a file asks for."""
    if event.startswith(_FORBIDDEN):
        raise Refused("it asks for something outside of itself, which is not allowed")


def _allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, resource.RLIM_INFINITY))


def _reply(path: Path, kind: str, limits: _Limits) -> dict[str, str]:
    try:
        title, text = (_read_pdf if kind == "pdf" else _read_docx)(path, limits)
    except Refused as error:
        return {"refused": str(error)}
    except RecursionError:
        return {"refused": "it is nested too deeply to read; save it again, or save it as text"}
    except Exception:  # the readers raise whatever a broken file makes them raise
        if _was_out_of_memory(limits):
            needed = f"it needs more than {limits.megabytes} MB of memory to read"
            return {"refused": f"{needed}; split it, or save it as text", "broken": "yes"}
        return {"refused": "it is damaged, or not what its name says; save it again"}
    if not text.strip():
        return {"refused": _NO_TEXT[kind]}
    return {"title": _one_line(title)[:300], "text": text}


def _was_out_of_memory(limits: _Limits) -> bool:
    """lxml turns a lack of memory into errors of many names, so the peak decides."""
    peak = re.search(r"VmPeak:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return peak is not None and int(peak[1]) >= 0.9 * (limits.megabytes << 10)


_NO_TEXT = {
    "pdf": "it holds no text; it is probably a scan, so run text recognition (OCR) on it first",
    "docx": "it holds no text",
}


def _read_pdf(path: Path, limits: _Limits) -> tuple[str, str]:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    reader = PdfReader(path)
    if reader.is_encrypted:
        try:
            if not reader.decrypt(""):
                _refuse_password()
        except DependencyError:
            _refuse_password()
    pages = len(reader.pages)
    if pages > limits.pages:
        raise Refused(f"it has {pages:,} pages; at most {limits.pages:,} are read, so split it")
    text = _join((_tidy(page.extract_text()) for page in reader.pages), limits)
    return str(reader.metadata.get("/Title") or "") if reader.metadata else "", text


def _refuse_password() -> NoReturn:
    raise Refused("it is protected by a password; remove the protection and upload it again")


def _read_docx(path: Path, limits: _Limits) -> tuple[str, str]:
    with path.open("rb") as stream:
        if stream.read(4) == b"\xd0\xcf\x11\xe0":
            _refuse_password()  # Word wraps protected files in its old format
    _check_parts(path, limits)
    from docx import Document

    document = Document(str(path))
    text = _join(_paragraphs(document.iter_inner_content()), limits)
    return document.core_properties.title or "", text


def _check_parts(path: Path, limits: _Limits) -> None:
    """Refuse a file that unpacks to too much, or whose XML declares entities: python-docx has no guard of its own."""
    from defusedxml import DefusedXmlException
    from defusedxml.sax import parse

    unpacked = 0
    with zipfile.ZipFile(path) as parts:
        for info in parts.infolist():
            with parts.open(info) as stream:
                while block := stream.read(1 << 18):
                    unpacked += len(block)
                    if unpacked > limits.megabytes << 18:
                        raise Refused(f"it unpacks to more than {limits.megabytes >> 2} MB; save it again")
            if info.filename.endswith((".xml", ".rels")):
                try:
                    with parts.open(info) as stream:
                        parse(stream, ContentHandler(), forbid_dtd=True)
                except DefusedXmlException:
                    raise Refused("it names external or repeated parts (XML entities), which are not read") from None
                except SAXException:
                    raise Refused("it is damaged; save it again") from None


def _paragraphs(blocks: Iterator[Any]) -> Iterator[str]:
    for block in blocks:
        if hasattr(block, "rows"):
            for row in block.rows:
                # A merged cell is given once for each column it covers.
                cells = dict.fromkeys(_one_line(cell.text) for cell in row.cells)
                yield " | ".join(cell for cell in cells if cell)
        else:
            yield block.text.strip()


def _join(parts: Iterator[str], limits: _Limits) -> str:
    kept, held = [], 0
    for part in parts:
        if part:
            kept.append(part)
            held += len(part) + 2
            if held > limits.characters:
                raise Refused(f"it has more than {limits.characters >> 20} million characters; split it")
    return "\n\n".join(kept)


def _tidy(page: str) -> str:
    """A page's lines without hyphens at their ends, each run of lines one paragraph."""
    lines = [_BLANKS.sub(" ", line).strip() for line in page.splitlines()]
    text = re.sub(r"(?<=\w)[-\u00ad]\n(?=[a-zß-ÿ])", "", "\n".join(lines))
    return re.sub(r"\n{2,}", "\n\n", text).strip()


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


if __name__ == "__main__":
    main(sys.argv[1:])
