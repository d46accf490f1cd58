"""The model card: what stays, what goes, and that no text of people is on it unless somebody ticked it."""

from __future__ import annotations

import pytest

from sptar_engine.packaging.card import write_card
from tests.webapp.download.results import TEST_QUESTION, facts
from webapp import places
from webapp.archive_kinds import CARD_BOXES, KINDS, default_options
from webapp.models import Experiment
from webapp.selectors.model_cards import card_of

PACKED = write_card(facts())
STANDARD = default_options(KINDS["retriever"])
NONE = dict.fromkeys(STANDARD, False)
NO_TEXT = "holds no text of the documents or queries"


def test_nothing_that_people_wrote_is_ticked_beforehand() -> None:
    assert [box.key for box in CARD_BOXES if box.private] == ["name", "note", "examples"]
    for kind in KINDS.values():
        assert not [box for box in kind.boxes if box.private and box.ticked]


def test_the_standard_card_is_the_packed_one(experiment: Experiment) -> None:
    assert card_of(experiment, PACKED, STANDARD) == PACKED
    assert NO_TEXT in PACKED


def test_how_to_use_it_licences_versions_and_limits_always_stay(experiment: Experiment) -> None:
    card = card_of(experiment, PACKED, NONE)
    for title in ("## Use", "## Made from", "## Versions", "## Limits"):
        assert title in card
    for title in ("## Measured", "## Data and training", "## Settings"):
        assert title not in card
    assert card.startswith("---\nlibrary_name: sentence-transformers")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("name", r"Project: Library rules. Experiment: Winter."),
        ("note", "> Our \\<b\\>first\\</b\\> try\n> with the new examples\n"),
        ("examples", "## Example queries\n\n- what may a \\*reader\\* borrow?\n"),
    ],
)
def test_a_box_brings_in_its_own_words_and_no_markup_of_theirs(experiment: Experiment, box: str, words: str) -> None:
    card = card_of(experiment, PACKED, {**STANDARD, box: True})
    assert words in card
    assert "This folder holds no text" not in card
    assert card.index(words) < card.index("## Limits")


def test_only_test_questions_are_shown(experiment: Experiment) -> None:
    card = card_of(experiment, PACKED, {**STANDARD, "examples": True})
    assert TEST_QUESTION.replace("*", "\\*") in card
    assert "a training question" not in card


@pytest.mark.parametrize("name", ["queries.jsonl", "qrels/test.tsv"])
def test_a_snapshot_that_is_gone_or_broken_shows_none(experiment: Experiment, name: str) -> None:
    path = places.snapshot_folder(experiment.project, experiment.dataset) / name
    path.write_bytes(b"\xff{")
    assert "## Example queries" not in card_of(experiment, PACKED, {**STANDARD, "examples": True})
    path.unlink()
    assert "## Example queries" not in card_of(experiment, PACKED, {**STANDARD, "examples": True})


def test_an_empty_note_adds_nothing(experiment: Experiment) -> None:
    experiment.note = "  \n"
    assert card_of(experiment, PACKED, {**STANDARD, "note": True}) == PACKED
