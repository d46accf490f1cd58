"""What an experiment compares: arms (ways to get training data) and families (kinds of retrievers)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sptar_engine.errors import ConfigError
from sptar_engine.presets import Settings

BM25, ZERO_SHOT = "bm25", "zero_shot"
BI_ENCODER, CROSS_ENCODER, HYBRID = "bi_encoder", "cross_encoder", "hybrid"
EQUAL_PAIRS = "equal_pairs"
"""The variant of an arm that trains on no more weak pairs than any other arm has."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to get training data. Baselines neither generate nor train. `settings` are laid over the experiment's."""

    name: str
    help: str
    trains: bool = False
    generates: bool = False
    tunes: bool = False
    settings: Settings = field(default_factory=dict)


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(BM25, "keyword search by Lucene, no model"),
        Arm(ZERO_SHOT, "the base retriever as it comes, untrained"),
        Arm("seeds_only", "trained on the labelled pairs alone", trains=True),
        Arm("inpars", "labelled pairs + queries by a hard prompt", trains=True, generates=True),
        Arm(
            "promptagator",
            "labelled pairs + queries by a task's description and up to 8 examples, kept when the untrained retriever "
            "finds their document first",
            trains=True,
            generates=True,
            settings={
                "select": {"examples": 8, "instruction": "Write the query that each document answers."},
                "filter": {"method": "round_trip", "top_k": 1},
            },
        ),
        Arm("sptar", "labelled pairs + queries by the tuned soft prompt", trains=True, generates=True, tunes=True),
    )
}


STANDARD_ARMS = tuple(name for name in ARMS if name != "promptagator")
"""What is compared unless somebody asks for more."""


@dataclass(frozen=True, slots=True)
class Variant:
    """An arm once more, with `settings` laid over all others; its cells stand beside the arm's own.

    With `equal_pairs` it trains on as many weak pairs as the arm that has the fewest.
    """

    arm: str
    name: str
    settings: Settings = field(default_factory=dict)
    equal_pairs: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of retriever. `retriever` is what evaluates it (`evaluate.retriever`).

    One that does not train puts BM25 and the arm's bi-encoder together.
    """

    name: str
    help: str
    retriever: str
    trains: bool = True


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(BI_ENCODER, "query and document become one vector each (DPR)", "dense"),
        Family("late_interaction", "one vector for each token, best matches added up (ColBERT)", "late_interaction"),
        Family(CROSS_ENCODER, "reads query and document together and puts BM25's first hits in order", "cross_encoder"),
        Family(
            "sparse", "long vectors of few values (a sparse autoencoder, unless the base is SPLADE's kind)", "sparse"
        ),
        Family("adapter", "the base's vectors through one small trained layer: minutes on a CPU", "dense"),
        Family(HYBRID, "BM25 and the bi-encoder, put together", "hybrid", trains=False),
    )
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the table of arms and families, and of variants of an arm."""

    arm: str
    family: str = BI_ENCODER
    variant: str = ""


def cell(arm: str, family: str, variant: str = "") -> str:
    """The name of a cell: `sptar` for the arm's bi-encoder, else `sptar/late_interaction`; `sptar:variant` for one."""
    name = arm if family in ("", BI_ENCODER) else f"{arm}/{family}"
    return f"{name}:{variant}" if variant else name


def ending(family: str) -> str:
    """What tells files and folders of a family's models from those of the bi-encoder, whose names have no ending."""
    return "" if family in ("", BI_ENCODER) else f"-{family.replace('_', '-')}"


def read_cell(name: str) -> Cell:
    """The cell of a name that `cell` made."""
    place, _, variant = name.partition(":")
    arm, _, family = place.partition("/")
    return Cell(arm, family or BI_ENCODER, variant)


def untrained(family: str) -> str:
    """The cell a family is measured against: an untrained hybrid for hybrids, for all others the bi-encoder.

    It is what one has without training. The heads of cross-encoders and autoencoders start from random values; late
    interaction does not, but untrained it is another search of the same weights, and none that anybody runs here.
    """
    return cell(ZERO_SHOT, HYBRID if family == HYBRID else BI_ENCODER)


def parse_arms(text: str) -> tuple[str, ...]:
    """Read `bm25,sptar` into arms in their standing order. Raises ConfigError for an unknown or missing name."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names):
        if name not in ARMS:
            raise ConfigError("--arms", f"{name!r} is not an arm; choose from {', '.join(ARMS)}")
    if not names:
        raise ConfigError("--arms", f"name at least one arm of {', '.join(ARMS)}")
    return tuple(name for name in ARMS if name in names)


def parse_families(text: str) -> tuple[str, ...]:
    """Read `bi_encoder,hybrid` into families in their standing order. Raises ConfigError.

    A hybrid needs the bi-encoder that it is made of, so that one is added.
    """
    names = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(names):
        if name not in FAMILIES:
            raise ConfigError("--families", f"{name!r} is not a family; choose from {', '.join(FAMILIES)}")
    if not names:
        raise ConfigError("--families", f"name at least one family of {', '.join(FAMILIES)}")
    if HYBRID in names:
        names.add(BI_ENCODER)
    return tuple(name for name in FAMILIES if name in names)
