"""The standard library's docstrings as documents. Run as a script, it prints them as JSON.

builder.py runs it in an interpreter of its own, because a process that has loaded other libraries no longer
shows the library as it is: torch replaces inspect.getfile, pytest sys.unraisablehook. So nothing of ours, and
nothing from site-packages, is imported here.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import NamedTuple

MIN_WORDS = 12  # shorter docstrings ("Return the name.") answer no question on their own

# Every module whose import is silent, quick and free of side effects, on a machine without a display.
# Where two objects share a text, the module listed first keeps it, so C accelerators come last.
# fmt: off
MODULES = (
    "abc", "argparse", "array", "ast", "asyncio", "asyncio.base_events", "asyncio.events",
    "asyncio.exceptions", "asyncio.locks", "asyncio.protocols", "asyncio.queues", "asyncio.runners",
    "asyncio.streams", "asyncio.taskgroups", "asyncio.tasks", "asyncio.threads", "asyncio.timeouts",
    "asyncio.transports", "atexit", "base64", "bdb", "binascii", "bisect", "builtins", "bz2",
    "calendar", "cmath", "cmd", "code", "codecs", "codeop", "collections", "collections.abc",
    "compileall", "concurrent.futures", "concurrent.futures._base", "concurrent.futures.process",
    "concurrent.futures.thread", "configparser", "contextlib", "contextvars", "copy", "cProfile", "csv",
    "ctypes", "dataclasses", "datetime", "dbm", "decimal", "difflib", "dis", "doctest", "email",
    "email.charset", "email.encoders", "email.errors", "email.generator", "email.header",
    "email.headerregistry", "email.iterators", "email.message", "email.parser", "email.policy",
    "email.utils", "enum", "errno", "faulthandler", "filecmp", "fileinput", "fnmatch", "fractions",
    "ftplib", "functools", "gc", "getopt", "getpass", "gettext", "glob", "graphlib", "gzip", "hashlib",
    "heapq", "hmac", "html", "html.parser", "http", "http.client", "http.cookiejar", "http.cookies",
    "http.server", "imaplib", "importlib", "importlib.abc", "importlib.metadata",
    "importlib.resources.abc", "importlib.util", "inspect", "io", "ipaddress", "itertools", "json",
    "json.decoder", "json.encoder", "keyword", "linecache", "locale", "logging", "logging.config",
    "logging.handlers", "lzma", "mailbox", "marshal", "math", "mimetypes", "mmap", "modulefinder",
    "multiprocessing.connection", "multiprocessing.context", "multiprocessing.managers",
    "multiprocessing.pool", "multiprocessing.process", "multiprocessing.shared_memory", "netrc",
    "numbers", "operator", "optparse", "os", "pathlib", "pdb", "pickle", "pickletools", "pkgutil",
    "platform", "plistlib", "poplib", "pprint", "profile", "pstats", "pyclbr", "queue", "quopri",
    "random", "re", "reprlib", "runpy", "sched", "secrets", "select", "selectors", "shelve", "shlex",
    "shutil", "signal", "site", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "stat",
    "statistics", "string", "struct", "subprocess", "symtable", "sys", "sysconfig", "tabnanny",
    "tarfile", "tempfile", "textwrap", "threading", "time", "timeit", "tokenize", "tomllib",
    "tomllib._parser", "trace", "traceback", "tracemalloc", "types", "typing", "unicodedata",
    "unittest", "unittest.async_case", "unittest.case", "unittest.loader", "unittest.main",
    "unittest.mock", "unittest.result", "unittest.runner", "unittest.suite", "urllib.error",
    "urllib.parse", "urllib.request", "urllib.response", "urllib.robotparser", "uuid", "venv",
    "warnings", "wave", "weakref", "webbrowser", "wsgiref.handlers", "wsgiref.headers",
    "wsgiref.simple_server", "wsgiref.util", "wsgiref.validate", "xml.dom", "xml.dom.minidom",
    "xml.etree.ElementTree", "xml.sax", "xml.sax.handler", "xml.sax.saxutils", "xml.sax.xmlreader",
    "xmlrpc.client", "xmlrpc.server", "zipapp", "zipfile", "zipimport", "zlib", "zoneinfo",
    "genericpath", "posix", "posixpath",
    "_asyncio", "_bisect", "_bz2", "_codecs", "_contextvars", "_csv", "_functools", "_hashlib",
    "_heapq", "_io", "_json", "_lzma", "_operator", "_pickle", "_queue", "_signal", "_socket",
    "_sqlite3", "_ssl", "_stat", "_struct", "_thread", "_tracemalloc", "_weakref",
)
# fmt: on

# Where people import a thing from, when it is not where it says it lives. A module without an entry is
# known by its parent package (asyncio.locks.Lock is asyncio.Lock) or by its name without the underscore.
PUBLIC_HOMES: Mapping[str, str] = {
    "genericpath": "os.path",
    "posix": "os",
    "posixpath": "os.path",
    "_thread": "threading",
}


class Entry(NamedTuple):
    """A document as it is printed."""

    doc_id: str
    title: str
    text: str


def collect(modules: Iterable[str] = MODULES) -> tuple[list[Entry], list[str]]:
    """The documents of these modules, sorted by id, each text once; and the modules that do not import here."""
    by_text: dict[str, Entry] = {}
    skipped: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some modules hold deprecated names that warn when looked at
        for name in modules:
            try:
                module = importlib.import_module(name)
            except ImportError:
                skipped.append(name)
                continue
            for entry in sorted(_module_entries(module)):
                by_text.setdefault(entry.text, entry)
    return sorted(by_text.values()), skipped


def _module_entries(module: ModuleType) -> Iterator[Entry]:
    described: list[tuple[str, object]] = [("", module)]
    for name, member in vars(module).items():
        if _is_defined_in(module, name, member):
            described.append((name, member))
            if inspect.isclass(member):
                described.extend((f"{name}.{key}", value) for key, value in _own_methods(member))
    for qualname, thing in described:
        docstring = getattr(thing, "__doc__", None)
        text = inspect.cleandoc(docstring) if isinstance(docstring, str) else ""
        if len(text.split()) >= MIN_WORDS:
            doc_id = f"{module.__name__}.{qualname}".rstrip(".")
            yield Entry(doc_id, _public_name(module, qualname), text)


def _is_defined_in(module: ModuleType, name: str, member: object) -> bool:
    """Whether this is a public class or function under its own name, not an import or an alias."""
    if name.startswith("_") or not (inspect.isclass(member) or inspect.isroutine(member)):
        return False
    home, qualname = getattr(member, "__module__", None), getattr(member, "__qualname__", None)
    return home == module.__name__ and qualname == name


def _own_methods(owner: type) -> Iterator[tuple[str, object]]:
    """Public methods and properties of the class body itself, under their own names."""
    for name, member in vars(owner).items():
        is_method = inspect.isroutine(member) or inspect.isdatadescriptor(member)
        if is_method and not name.startswith("_") and getattr(member, "__name__", name) == name:
            yield name, member


def _public_name(module: ModuleType, qualname: str) -> str:
    """The name people use: asyncio.Lock for asyncio.locks.Lock, csv.reader for _csv.reader, str.split."""
    name = qualname.partition(".")[0]
    if not name:
        return module.__name__
    if module.__name__ == "builtins":
        return qualname
    package, _, last = module.__name__.rpartition(".")
    home = PUBLIC_HOMES.get(module.__name__) or package or last.removeprefix("_")
    is_there = getattr(importlib.import_module(home), name, None) is getattr(module, name)
    return f"{home if is_there else module.__name__}.{qualname}"


if __name__ == "__main__":
    json.dump(collect(), sys.stdout)
