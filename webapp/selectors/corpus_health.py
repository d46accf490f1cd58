"""The health report of a version in words: what was found, whether it matters, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf.locale import LANG_INFO

from webapp.charts import Rows, draw_rows
from webapp.models import Chunking, Corpus, Upload

GOOD, WARN = "good", "warn"

LONG_SHARE = 0.2
"""Share of documents over the model's window from which cutting is offered (PAGES, warnings)."""

_FEW = 50  # documents; below, any search finds everything
_SHORT = 8  # words; a median below it looks like a wrong column
_DUPLICATE_SHARE = 0.01
_ONE_LANGUAGE = 0.8
_COVERED = ("en",)  # of the bundled encoder


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding. `state` is good or warn; `todo` is empty where nothing needs doing."""

    state: str
    name: str
    sentence: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """For templates/documents/_health.html. `pieces` is set where cutting the documents is offered."""

    remarks: list[Remark]
    chart: Rows | None
    pieces: int = 0
    words: Mapping[str, Any] | None = None

    @property
    def warnings(self) -> int:
        """How many findings want something done."""
        return sum(remark.state == WARN for remark in self.remarks)


def health_of(corpus: Corpus) -> Health:
    """Read the stored report of a version; its upload must be loaded with it."""
    report = corpus.health
    if not report:
        return Health([], None)
    remarks = [
        _size(corpus.documents), _length(report), _long(report, corpus), _duplicates(report, corpus.documents),
        _rows(report), _language(report),
    ]  # fmt: skip
    is_long = report["long_share"] > LONG_SHARE
    return Health(remarks, _chart(report), _offered_pieces(corpus) if is_long else 0, report["words"])


def _offered_pieces(corpus: Corpus) -> int:
    upload = corpus.upload
    if upload is None or corpus.chunking != Chunking.NONE or _has_labels(upload):
        return 0
    pieces = upload.options.get("found", {}).get("pieces", 0)
    return int(pieces) if pieces > corpus.documents else 0


def _has_labels(upload: Upload) -> bool:
    """A dataset's judgements name whole documents, so they are never cut."""
    return upload.kind == Upload.Kind.BEIR and bool(upload.options.get("found", {}).get("splits"))


def _size(documents: int) -> Remark:
    if documents < _FEW:
        sentence = f"There are only {documents:,}. So few can be read one by one, and a trained search gains little."
        return Remark(WARN, "Number", sentence, "Upload more documents if there are any.")
    return Remark(GOOD, "Number", f"{documents:,} documents are searched.")


def _length(report: Mapping[str, Any]) -> Remark:
    words = report["words"]
    sentence = f"Half of them have up to {words['median']:,} words, the longest has {words['longest']:,}."
    if words["median"] < _SHORT:
        return Remark(
            WARN, "Length", sentence, "That is very short: check that the right column was used as the text."
        )  # fmt: skip
    return Remark(GOOD, "Length", sentence)


def _long(report: Mapping[str, Any], corpus: Corpus) -> Remark:
    share, window = report["long_share"], report["window_tokens"]
    if share == 0:
        return Remark(GOOD, "Reading window", "The search model reads all of them to their end.")
    sentence = (
        f"{_percent(share)} are longer than what the search model reads at once ({window} tokens, about 200 words). "
        "It does not see the rest of them."
    )
    if share <= LONG_SHARE:
        return Remark(GOOD, "Reading window", sentence)
    if corpus.chunking == Chunking.NONE:
        return Remark(WARN, "Reading window", sentence, "Cut long documents at paragraphs.")
    return Remark(WARN, "Reading window", sentence, "Their paragraphs are long or hold many rare words; this is fine.")


def _duplicates(report: Mapping[str, Any], documents: int) -> Remark:
    count = report["duplicate_documents"]
    if not count:
        return Remark(GOOD, "Duplicates", "No two documents have the same text.")
    ids = ", ".join(report["duplicate_ids"][:3])
    sentence = f"{count:,} {_repeat(count)} the text of an earlier one, such as {ids}."
    if count <= _DUPLICATE_SHARE * documents:
        return Remark(GOOD, "Duplicates", sentence)
    return Remark(
        WARN, "Duplicates", sentence, "They compete with each other in the results: leave them out of the file."
    )  # fmt: skip


def _rows(report: Mapping[str, Any]) -> Remark:
    left_out, changed = report.get("left_out", 0), report.get("changed_rows", 0)
    parts = []
    if left_out:
        parts.append(f"{left_out:,} bad or empty {_rows_word(left_out)} of the file {_were(left_out)} left out.")
    if changed:
        parts.append(f"In {changed:,} {_rows_word(changed)} characters that nothing can store were replaced by �.")
    if not parts:
        return Remark(GOOD, "Rows", "All rows of the file were good; none was empty.")
    return Remark(GOOD, "Rows", " ".join(parts))


def _language(report: Mapping[str, Any]) -> Remark:
    code, share = report["language"], report["language_share"]
    name = LANG_INFO.get(code, {}).get("name", code)
    if code == "und":
        return Remark(WARN, "Language", "The language could not be told.", "Check that the texts are not garbled.")
    if share < _ONE_LANGUAGE:
        guesses = ", ".join(
            f"{LANG_INFO.get(one, {}).get('name', one)} {_percent(part)}" for one, part in report["languages"].items()
        )
        return Remark(
            WARN, "Language", f"Several languages, as it seems: {guesses}.",
            "One project for each language gives better results.",
        )  # fmt: skip
    sentence = f"{name}, as it seems ({_percent(share)} of a sample)."
    if code not in _COVERED:
        return Remark(
            WARN, "Language", sentence,
            "The bundled models know English best: choose others for this language if your operator has added some.",
        )  # fmt: skip
    return Remark(GOOD, "Language", sentence)


def _chart(report: Mapping[str, Any]) -> Rows | None:
    bars = [(_bar_name(bar), bar["documents"]) for bar in report["words"]["histogram"]]
    while bars and not bars[-1][1]:
        bars.pop()
    return draw_rows(
        key="lengths", title="Documents by number of words",
        description="How many documents have how many words. Each group is twice as wide as the one before.",
        names=("words", "documents"), rows=bars,
    )  # fmt: skip


def _bar_name(bar: Mapping[str, Any]) -> str:
    return f"from {bar['low']:,}" if bar["high"] is None else f"{bar['low']:,} to {bar['high'] - 1:,}"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{round(100 * share)} %"


def _repeat(count: int) -> str:
    return "repeats" if count == 1 else "repeat"


def _rows_word(count: int) -> str:
    return "row" if count == 1 else "rows"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
