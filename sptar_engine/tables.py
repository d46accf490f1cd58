"""What the command line prints at the end: the cells of an experiment side by side, and a few generated queries."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sptar_engine.arms import ARMS, BM25, EQUAL_PAIRS, FAMILIES, ZERO_SHOT, cell, read_cell, untrained

_MEASURES = ("nDCG@10", "RR@10", "R@100", "AP")
_MAIN = _MEASURES[0]
_RIVALS = (ZERO_SHOT, "seeds_only", "inpars")
_LOG_WIDTH = 200  # letters: a log has no width of its own, and a folded table is hard to read there

Cells = Mapping[str, Mapping[str, Any]]


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """Print what `workspace.compare` returns.

    First, of several families, the table of arms and families; then every cell with its measures, verdicts against
    both baselines and costs; what switches are worth and how prompts of different perplexity did, where there are
    such; and sentences: the family chosen on the held-out queries and how it stands, what is missing, what a step
    warned of.
    """
    console = _console()
    if _is_grid(comparison):
        console.print(_grid(comparison))
    console.print(_cells(comparison))
    if switches := comparison.get("switches"):
        console.print(_switches(switches))
    if prompts := comparison.get("prompts"):
        console.print(_prompts(prompts))
    for line in _sentences(comparison):
        console.print(line, markup=False, soft_wrap=True)


def print_queries(samples: Mapping[str, list[str]]) -> None:
    """Print generated queries, by arm."""
    console = _console()
    for arm, queries in samples.items():
        console.print(f"Generated queries ({arm}):")
        for query in queries:
            console.print(f"  - {query}", markup=False, soft_wrap=True)


def _cells(comparison: Mapping[str, Any]) -> Table:
    table = _table(f"Arms on {comparison['dataset']}, test queries (95 % intervals)")
    table.add_column("arm", no_wrap=True)
    for measure in _MEASURES:
        table.add_column(measure, justify="right", no_wrap=True)
    cells: Cells = comparison["arms"]
    baselines = [arm for arm in (BM25, ZERO_SHOT) if arm in cells]
    for baseline in baselines:
        table.add_column(f"against {baseline}")
    costs = any("seconds" in row for row in cells.values())
    for name in ("time", "memory") if costs else ():
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in cells.items():
        values = [_interval(row[_MAIN]) + _spread(row), *(f"{row[measure]['mean']:.3f}" for measure in _MEASURES[1:])]
        values += [_against(name, baseline, cells) for baseline in baselines]
        table.add_row(name, *values, *([_time(row["seconds"]), f"{row['peak_mib']:,} MiB"] if costs else []))
    return table


def _grid(comparison: Mapping[str, Any]) -> Table:
    """Arms in rows, families in columns: nDCG@10, and the verdict against the same family untrained."""
    cells: Cells = comparison["arms"]
    asked = [read_cell(name) for name in (*cells, *comparison["missing"])]
    families = [name for name in FAMILIES if any(one.family == name for one in asked if one.arm != BM25)]
    table = _table(f"{_MAIN} on {comparison['dataset']} (95 % intervals, against the untrained retriever)")
    table.add_column("arm", no_wrap=True)
    for family in families:
        table.add_column(family, no_wrap=True)
    for arm in (name for name in ARMS if any(one.arm == name for one in asked)):
        names = [cell(arm, family) for family in families]
        table.add_row(arm, *(_place(name, comparison) for name in names))
    return table


def _place(name: str, comparison: Mapping[str, Any]) -> str:
    """A cell of the grid, in one line or two; a cell that nobody asked for is empty."""
    cells: Cells = comparison["arms"]
    if name in comparison["missing"]:
        return "missing"
    if name not in cells:
        return ""
    base = untrained(read_cell(name).family)
    first = _interval(cells[name][_MAIN]) + _spread(cells[name])
    if name in (BM25, base) or base not in cells:
        return first
    return f"{first}\n{_verdict(cells[name]['versus'][base])}"


def _switches(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(f"What each part is worth: {_MAIN} with it minus {_MAIN} without it (95 % intervals)")
    for name in ("part", "family", "with it", "without it", "worth"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        absent = "changes nothing here" if row["same"] else "missing"
        worth = absent if row["worth"] is None else f"{_verdict(row['worth'])}, p {row['worth']['p']:.3f}"
        table.add_row(row["switch"], row["family"], row["with"], row["without"], worth)
    return table


def _prompts(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Prompts by held-out perplexity, and the retrievers that learned from their queries")
    for name in ("cell", "place among the candidates", "perplexity", "queries kept", f"{_MAIN} on test"):
        table.add_column(name, justify="left" if name == "cell" else "right", no_wrap=True)
    for row in rows:
        perplexity = f"{row['perplexity']:.2f}"
        table.add_row(row["cell"], str(row["place"]), perplexity, str(row["kept"]), _interval(row[_MAIN]))
    return table


def _sentences(comparison: Mapping[str, Any]) -> Iterator[str]:
    from sptar_engine.evaluation.compare import sentence  # numpy and scipy

    cells: Cells = comparison["arms"]
    chosen = {arm: cell(arm, found["chosen"]) for arm, found in comparison.get("families", {}).items()}
    if _is_grid(comparison):
        yield from (_choice(arm, name, comparison) for arm, name in chosen.items())
    last = [arm for arm in ARMS if any(read_cell(name).arm == arm for name in cells)][-1]
    subject = chosen.get(last, last)
    if subject in cells:
        others = dict.fromkeys((BM25, untrained(read_cell(subject).family)))
        yield from (sentence(subject, other, comparison) for other in others if other in cells and other != subject)
    for name in (name for name in cells if read_cell(name).variant == EQUAL_PAIRS):
        yield _at_equal_pairs(name, comparison)
    yield from (_related(one) for one in comparison.get("relations", ()))
    yield from _trainings(cells)
    yield from comparison.get("notes", ())
    if missing := comparison.get("missing"):
        yield f"Not measured yet: {', '.join(missing)}. Start the experiment again to go on."


def _trainings(cells: Cells) -> Iterator[str]:
    """What trainings said that did not help; a hybrid hangs on the one of its bi-encoder, which is told once."""
    told = [
        f"{training['step']}: {training['sentence']}"
        for row in cells.values()
        for training in row.get("training", ())
        if training["kept_untrained"] or training["trained_below_untrained"]
    ]
    yield from dict.fromkeys(told)


def _choice(arm: str, name: str, comparison: Mapping[str, Any]) -> str:
    """Which family of an arm did best on the held-out queries, and how it stands on the test queries."""
    found, cells = comparison["families"][arm], comparison["arms"]
    dev = ", ".join(f"{family} {score:.3f}" for family, score in found["dev"].items())
    family = found["chosen"]
    rivals = {rival: untrained(family) if rival == ZERO_SHOT else cell(rival, family) for rival in _RIVALS}
    stands = [
        f"against {rival} {_verdict(cells[name]['versus'][rival])}"
        for rival in rivals.values()
        if rival in cells and rival != name
    ]
    said = f"{arm}: {family} did best on the held-out queries ({_MAIN} {dev})"
    return f"{said}; on the test queries {'; '.join(stands)}." if stands else f"{said}."


def _at_equal_pairs(name: str, comparison: Mapping[str, Any]) -> str:
    """How many weak pairs an arm trained on, and how it stands against the others at the same number."""
    cells: Cells = comparison["arms"]
    family = read_cell(name).family
    pairs = max((training["weak_pairs"] for training in cells[name].get("training", ())), default=0)
    others = [
        other for other in cells
        if other != name and (one := read_cell(other)).variant == EQUAL_PAIRS and one.family == family
    ]  # fmt: skip
    stands = "; ".join(f"against {other} {_verdict(cells[name]['versus'][other])}" for other in others)
    return (
        f"{name}: {pairs} weak pairs, {_MAIN} {cells[name][_MAIN]['mean']:.3f}; {stands or 'the others are missing'}."
    )


def _related(one: Mapping[str, Any]) -> str:
    of = {"perplexity": "the prompt's perplexity", "kept": "the number of queries kept"}[one["of"]]
    found, name = one["relation"], cell(one["arm"], one["family"])
    if found is None:
        return f"{name}: too few prompts, or too like ones, to say how {_MAIN} goes with {of}."
    verdict = "which chance would rarely give" if found["p"] < 0.05 else "which chance gives as well: cannot tell"
    return (
        f"{name}: Spearman's correlation of {_MAIN} with {of} over {found['pairs']} prompts is "
        f"{found['spearman']:+.2f} (p {found['p']:.3f}), {verdict}."
    )


def _is_grid(comparison: Mapping[str, Any]) -> bool:
    """Whether there is more than one family to choose from."""
    asked = (*comparison["arms"], *comparison.get("missing", ()))
    return len({read_cell(name).family for name in asked}) > 1


def _against(name: str, baseline: str, cells: Cells) -> str:
    """The verdict against a baseline; a hybrid stands against the untrained hybrid."""
    other = untrained(read_cell(name).family) if baseline == ZERO_SHOT else baseline
    return "" if other == name or other not in cells else _verdict(cells[name]["versus"][other])


def _verdict(versus: Mapping[str, Any]) -> str:
    return f"{versus['difference']:+.3f} ({versus['low']:+.3f} to {versus['high']:+.3f}) {versus['verdict']}"


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} ({value['low']:.3f}-{value['high']:.3f})"


def _spread(row: Mapping[str, Any]) -> str:
    """The standard deviation over the training seeds, where there are several."""
    seeds = row.get("seeds")
    return f" ±{seeds['spread']:.3f} of {seeds['count']}" if seeds else ""


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left")


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
