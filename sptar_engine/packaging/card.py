"""The model card: what the retriever is made from, how it was measured, how to load it, and where it ends.

A card holds numbers, settings and names of models. It never holds text of the user's documents or queries, ids, or
paths, so an archive can be handed on without its data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sptar_engine.packaging.usage import USAGES, Usage

Cell = str | int | float | bool

_SPDX = {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0"}  # as model hubs write them


_TOWERS = (
    " Only the queries' side was trained; documents\nkeep the vectors of the base, so an index made with it can stay."
)
_TRAINED_LAYER = "Only the last layer,\none small adapter, was trained; the layers before it are those of the base."
_UNTRAINED_LAYER = (
    "The last layer,\none small adapter, leaves them as they are; the layers before it are those of the base."
)
_BESIDE = (
    " In the\nfigures below its score counts {own:.0%} and the keyword search's {other:.0%}, both brought to 0 to 1\n"
    "over these hits; `load_example.py` does the same."
)
_PROJECTED = ", projected to fewer dimensions"


@dataclass(frozen=True, slots=True)
class Measured:
    """The mean of a measure over the test queries with its 95 % bootstrap interval, all within 0 to 1."""

    measure: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Source:
    """A model that this one is made from or was taught by."""

    role: str
    name: str
    licence: str
    origin: str


@dataclass(frozen=True, slots=True)
class Step:
    """A stage that took part: what it said in one sentence, its numbers, its settings."""

    stage: str
    sentence: str
    numbers: Mapping[str, int | float]
    settings: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Together:
    """How a bi-encoder is put together with BM25 of `k1` and `b`, in a sentence, and how that was measured."""

    sentence: str
    k1: float
    b: float
    measured: Sequence[Measured]


@dataclass(frozen=True, kw_only=True, slots=True)
class CardFacts:
    """All a card says. `sources` begins with the base retriever; `dimensions` is the length of a vector.

    `family` is a name of `usage.USAGES`. `kept_untrained` says that no training did better than the base on the
    held-out queries, so the base was kept. `rerank_depth` is how many hits a cross-encoder puts in order, `weight`
    what its score counts there beside the keyword search's. A sparse model `predicts_words` when the places of its
    vectors stand for words. With `two_towers` documents keep the vectors of the base. The vectors of tokens are
    `projected` when they have fewer dimensions than the base gives.
    """

    name: str
    family: str
    kept_untrained: bool
    dimensions: int
    max_length: int
    similarity: str
    test_queries: int
    measured: Sequence[Measured]
    sources: Sequence[Source]
    steps: Sequence[Step]
    trained_with: Mapping[str, str]
    pins: Mapping[str, str]
    rerank_depth: int = 0
    weight: float = 1.0
    predicts_words: bool = False
    two_towers: bool = False
    projected: bool = False
    together: Together | None = None

    @property
    def usage(self) -> Usage:
        """How it is loaded and used."""
        return USAGES[self.family]


def write_card(facts: CardFacts) -> str:
    """The text of README.md: YAML front matter as model hubs read it, then Markdown."""
    parts = [
        _front_matter(facts), _introduction(facts), _use(facts), _measures(facts), *_together(facts), _sources(facts),
        _steps(facts), _settings(facts), _versions(facts), _limits(facts),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def write_requirements(pins: Mapping[str, str]) -> str:
    """The text of requirements.txt. A build's suffix, such as +cpu, is cut: each machine has its own."""
    return "".join(f"{name}=={version.partition('+')[0]}\n" for name, version in sorted(pins.items()))


def _front_matter(facts: CardFacts) -> str:
    base, usage = facts.sources[0], facts.usage
    known = base.licence.lower() in _SPDX
    licence = [f"license: {base.licence.lower()}"] if known else ["license: other", f'license_name: "{base.licence}"']
    tags = ", ".join(["sentence-transformers", *usage.tags, "sptar"])
    lines = ["library_name: sentence-transformers", f"pipeline_tag: {usage.task}", *licence, f"tags: [{tags}]"]
    return "\n".join(["---", *lines, "---"])


def _introduction(facts: CardFacts) -> str:
    base = facts.sources[0].name
    taught = next((source.name for source in facts.sources[1:]), None)
    by = f" and queries that {taught} wrote for documents without labels" if taught else ""
    training = f"A {facts.usage.title} search model: {base} trained further on queries labelled by people{by}."
    if facts.kept_untrained:
        untrained = facts.usage.untrained.format(projected=_PROJECTED if facts.projected else "")
        training = (
            f"A {facts.usage.title} search model: {base}, {untrained}. "
            f"Training on queries labelled by people{by}\n"
            "did not improve it on the held-out queries, so the untrained model was kept."
        )
    return (
        f"# {facts.name}\n\n{training}\n"
        "Made with SPTAR, after arXiv 2307.08303.\n\n"
        "This folder holds no text of the documents or queries that the model learned from."
    )


def _use(facts: CardFacts) -> str:
    usage = facts.usage
    kind = (
        "Each place stands for a word\nof its vocabulary, as in SPLADE."
        if facts.predicts_words
        else "It is a sparse autoencoder: its places\nstand for no words."
    )
    gives = usage.gives.format(
        towers=_TOWERS if facts.two_towers and not facts.kept_untrained else "",
        layer=_UNTRAINED_LAYER if facts.kept_untrained else _TRAINED_LAYER,
        dimensions=facts.dimensions,
        similarity=facts.similarity,
        rerank_depth=facts.rerank_depth,
        beside=_BESIDE.format(own=facts.weight, other=1 - facts.weight) if facts.weight < 1 else "",
        kind=kind,
    )
    together = " of query and document together" if facts.family == "cross_encoder" else ""
    return f"""## Use

    python -m pip install -r requirements.txt
    python load_example.py

```python
from sentence_transformers import {usage.loader}

model = {usage.loader}("{facts.name}")  # this folder
```

{gives}
Give a document as its title, a space, and its text. Beyond {facts.max_length} tokens{together} a text is not read.
`sha256sum --check SHA256SUMS` verifies the files."""


def _measures(facts: CardFacts) -> str:
    return (
        f"## Measured\n\nOn {facts.test_queries} test queries, which took no part in training or choice.\n\n"
        + _figures(facts.measured)
        + "\n\nIntervals are bootstraps over the queries: they say how far the mean depends on which queries were\n"
        "asked, and nothing about other collections. nDCG is trec_eval's, with linear gain."
    )


def _together(facts: CardFacts) -> Iterator[str]:
    if (both := facts.together) is not None:
        yield (
            "## Together with keyword search\n\n"
            "`python load_example_hybrid.py` puts this model's hits together with those of a keyword search (BM25),\n"
            f"as `fusion.json` says. It was chosen on the held-out queries, with k1 = {both.k1:g} and b = {both.b:g}.\n"
            f"{both.sentence}\n\nOn the same test queries both together have:\n\n{_figures(both.measured)}"
        )


def _figures(measured: Sequence[Measured]) -> str:
    rows = [[one.measure, f"{one.mean:.4f}", f"{one.low:.4f} to {one.high:.4f}"] for one in measured]
    return _table(["measure", "mean", "95 % interval"], rows)


def _sources(facts: CardFacts) -> str:
    rows = [[source.role, source.name, source.licence, source.origin] for source in facts.sources]
    return "## Made from\n\n" + _table(["role", "model", "licence", "from"], rows)


def _steps(facts: CardFacts) -> str:
    said = [f"- {step.stage}: {step.sentence}" for step in facts.steps if step.sentence]
    rows = [[step.stage, name, value] for step in facts.steps for name, value in step.numbers.items()]
    return "## Data and training\n\n" + "\n".join(said) + "\n\n" + _table(["step", "number", "value"], rows)


def _settings(facts: CardFacts) -> str:
    rows = [[f"{step.stage}.{name}", value] for step in facts.steps for name, value in step.settings.items()]
    return "## Settings\n\n" + _table(["setting", "value"], rows)


def _versions(facts: CardFacts) -> str:
    names = sorted(facts.trained_with.keys() | facts.pins.keys())
    rows = [[name, facts.trained_with.get(name, ""), facts.pins.get(name, "")] for name in names]
    return f"## Versions\n\n{facts.usage.releases}\n\n" + _table(
        ["package", "trained with", "load check passed with"], rows
    )


def _limits(facts: CardFacts) -> str:
    base = facts.sources[0].name
    fitted = f"It was fitted to one collection. On other documents it may be worse than {base}, which it started from."
    if facts.kept_untrained:
        fitted = "That training did not improve it was seen on one collection, and says nothing about others."
    return f"""## Limits

- {fitted}
- It knows the languages that {base} knows, and carries over what is wrong or unfair in it.
- The measures come from {facts.test_queries} queries of one group of people; read the interval, not the mean alone.
- Documents that nobody judged count as not relevant, which is hard on every search model that finds something new.
- Using and passing it on is subject to the licences under "Made from"."""


def _table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return " ".join(str(cell).replace("|", "\\|").split())
