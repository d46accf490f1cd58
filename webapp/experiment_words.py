"""What presets, arms and stages are called, and what each means to the person who chooses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """What a choice means to the person who makes it."""

    name: str
    help: str
    facts: tuple[str, ...] = ()


PRESET_WORDS = {
    "fast": Words(
        "Fast", "A first look.", ("150 documents get a question", "about 10 minutes on 2 cores", "for trying it out")
    ),
    "balanced": Words(
        "Balanced",
        "The usual choice.",
        ("1,000 documents get a question", "about 40 minutes on 2 cores", "for a search model that you will use"),
    ),
    "paper": Words(
        "Paper",
        "The settings of the research paper.",
        ("100,000 documents get a question", "days without a GPU", "for a GPU and a language model of 7 billion"),
    ),
}

ARM_WORDS = {
    "bm25": Words("Keyword search", "BM25 by Lucene: no model, the yardstick of every search."),
    "zero_shot": Words("Base model, untrained", "The base search model as it comes."),
    "seeds_only": Words("Trained on your examples only", "Shows what the generated questions add."),
    "inpars": Words("Plain prompt (InPars)", "Questions written by a prompt without tuning; shows what tuning adds."),
    "promptagator": Words(
        "Described task (Promptagator)",
        "Questions written by a prompt with a description of the task and up to eight of your examples, kept when a "
        "search by meaning finds their document first.",
    ),
    "sptar": Words("Tuned question writer (SPTAR)", "Questions written in the style of your examples."),
}

FAMILY_WORDS = {
    "bi_encoder": Words("Bi-encoder", "Turns question and document into one list of numbers each: the fastest search."),
    "late_interaction": Words(
        "Late interaction", "Compares word by word: often more exact, with a far larger index (ColBERT)."
    ),
    "cross_encoder": Words(
        "Cross-encoder",
        "Reads question and document together and puts keyword search's first results in order, its score beside "
        "that search's: slow.",
    ),
    "sparse": Words(
        "Learned sparse", "Long lists of mostly zeros, searched like keywords (SPLADE, or an autoencoder)."
    ),
    "adapter": Words("Adapter", "One small layer trained behind the unchanged model: minutes without a graphics card."),
    "hybrid": Words(
        "Hybrid", "Keyword search and the bi-encoder together; what each counts is chosen on held-out examples."
    ),
}
"""Kinds of search models. Each help is one plain sentence for the person who ticks it."""

VARIANT_WORDS = {"equal_pairs": "equal numbers"}
"""Arms once more, with something changed."""

SHORT_ARM_WORDS = {
    "bm25": "keyword search", "zero_shot": "untrained", "seeds_only": "examples only", "inpars": "plain prompt",
    "promptagator": "described task", "sptar": "SPTAR",
}  # fmt: skip

STAGE_WORDS = {
    "prepare": "Prepare the data",
    "tune": "Tune the question writer",
    "select": "Pick the best demonstrations",
    "generate": "Generate questions",
    "filter": "Keep questions that find their own document",
    "mine": "Look for hard negatives",
    "teach": "Let a teacher score documents",
    "train": "Train the search model",
    "fuse": "Put keyword search and bi-encoder together",
    "evaluate": "Measure",
    "package": "Pack the download",
}

SHORT_STAGE_WORDS = {
    "prepare": "Prepare", "tune": "Tune", "select": "Pick examples", "generate": "Generate", "filter": "Filter",
    "mine": "Hard negatives", "teach": "Teacher", "train": "Train", "fuse": "Put together", "evaluate": "Measure",
    "package": "Pack",
}  # fmt: skip
