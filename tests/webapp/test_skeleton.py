"""What the code as a whole must keep to: light imports, and templates that a strict policy allows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.template import engines
from django.utils.text import slugify

from webapp.glossary import TERMS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
OURS = [path for folder in ("css", "js") for path in sorted((ROOT / "static" / folder).rglob("*.*"))]
HEAVY = ("torch", "transformers", "peft", "sentence_transformers", "pyserini", "jnius")

_PROBE = """
import sys
import webapp.wsgi
from django.urls import get_resolver
def load(patterns):
    for pattern in patterns:
        load(getattr(pattern, "url_patterns", []))
load(get_resolver().url_patterns)
import pkgutil, importlib, webapp
for module in pkgutil.walk_packages(webapp.__path__, "webapp."):
    if not module.name.startswith(("webapp.management", "webapp.migrations")):
        importlib.import_module(module.name)
print([name for name in {heavy!r} if name in sys.modules])
"""


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_web_process_loads_no_machine_learning_library_and_no_java() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.replace("{heavy!r}", repr(HEAVY))],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]"), done.stdout


@pytest.mark.parametrize("path", TEMPLATES, ids=names)
def test_a_template_can_be_parsed(path: Path) -> None:
    if path.suffix == ".html":
        engines["django"].get_template(str(path.relative_to(ROOT / "templates")))


_FORBIDDEN = {
    "an address of another host": r'(?:src|href|action|hx-\w+|poster|data)\s*=\s*["\']?\s*(?:https?:)?//',
    "a style attribute": r"<[^>{%]*\sstyle\s*=",
    "an event attribute": r"<\w[^>]*\son[a-z]+\s*=",
    "an htmx event attribute": r"hx-on",
    "an inline script": r"<script(?![^>]*\ssrc=)",
    "a style element": r"<style\b",
    "text that is not escaped": r"\|\s*safe\b|autoescape\s+off|\|\s*safeseq",
    "a javascript address": r"javascript:",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=names)
def test_a_template_holds_nothing_that_the_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".svg":
        return
    for what, pattern in _FORBIDDEN.items():
        assert not re.search(pattern, text, re.IGNORECASE), f"{names(path)} holds {what}"


@pytest.mark.parametrize("path", OURS, ids=names)
def test_styles_and_scripts_fetch_nothing_from_other_hosts(path: Path) -> None:
    text = re.sub(r"http://www\.w3\.org/\S+", "", path.read_text(encoding="utf-8"))  # names of XML, never fetched
    assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", text)
    assert not re.search(r"\beval\s*\(|new Function|innerHTML\s*=|document\.write", text)


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.name.startswith("_")], ids=names)
def test_a_fragment_has_one_root(path: Path) -> None:
    """Comments, tags and loads of the template language may stand around it."""
    assert "{% extends" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.suffix == ".html"], ids=names)
def test_what_htmx_does_works_without_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for tag in re.findall(r"<[a-z][^>]*\shx-get=[^>]*>", text):
        follows = re.search(r"\s(?:href|action|data-poll)[=\s>]|hx-trigger", tag)
        assert follows, f"{names(path)}: {tag[:80]} has no address without JavaScript"
    for tag in re.findall(r"<[a-z][^>]*\shx-(?:post|put|patch|delete)=[^>]*>", text):
        control = tag.startswith(("<form", "<button", "<input", "<select", "<textarea"))
        assert control or "hx-include=" in tag, f"{names(path)}: {tag[:80]} stands in no form"


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.suffix == ".html"], ids=names)
def test_every_page_has_a_title_and_one_heading(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if '{% extends "base.html" %}' not in text:
        return
    assert "{% block title %}" in text
    included = [ROOT / "templates" / name for name in re.findall(r'{%\s*include "([^"]+)"', text)]
    whole = text + "".join(one.read_text(encoding="utf-8") for one in included if one.exists())
    assert "<h1" in whole


def test_every_term_of_the_pages_stands_in_the_glossary() -> None:
    anchors = [anchor for term in TERMS for anchor in (term.anchor, *term.other_anchors)]
    assert len(set(anchors)) == len(anchors)
    used = set()
    for path in TEMPLATES:
        if path.suffix == ".html":
            for _, technical, anchor in re.findall(
                r'{%\s*term\s+"([^"]+)"\s+"([^"]+)"(?:\s+"([^"]+)")?', path.read_text(encoding="utf-8")
            ):
                used.add(anchor or slugify(technical))
    assert used <= set(anchors), f"not in the glossary: {used - set(anchors)}"


def test_every_icon_of_the_pages_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'id="([a-z0-9-]+)"', (ROOT / "static/vendor/icons/sprite.svg").read_text()))
    used = {
        name
        for path in TEMPLATES
        if path.suffix == ".html"
        for name in re.findall(r'{%\s*icon "([a-z0-9-]+)"', path.read_text(encoding="utf-8"))
    }
    assert used <= sprite, f"not in the sprite: {used - sprite}"


def test_vendored_files_carry_their_licence_and_checksum() -> None:
    import hashlib

    listed = (ROOT / "static/vendor/VENDOR.md").read_text()
    for path in sorted((ROOT / "static/vendor").rglob("*")):
        if path.suffix in (".css", ".js", ".svg"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in listed, names(path)
            assert (path.parent / "LICENSE").exists()
