"""Does a prompt of lower perplexity make a better retriever? Several prompts of an arm, best to worst, side by side.

Each rung is a variant of the arm that takes another candidate of `select`'s ranked table; everything else stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sptar_engine.arms import ARMS, Variant, read_cell
from sptar_engine.comparison import Steps
from sptar_engine.configs import SelectConfig, build_config
from sptar_engine.errors import ConfigError
from sptar_engine.experiment import merge
from sptar_engine.presets import Settings

_RUNG = "prompt_"


def variants(arms: Sequence[str], prompts: int, settings: Settings) -> tuple[Variant, ...]:
    """Variants that take other candidates than the best, evenly spread down to the worst; the arm is the first rung.

    Raises ConfigError when no arm has a prompt, or for fewer than two prompts or more than there are candidates.
    """
    writers = [name for name in arms if ARMS[name].generates]
    if not writers:
        raise ConfigError("--arms", "name at least one arm that writes queries with a prompt, such as sptar")
    config = build_config("select", merge(settings)["select"])
    assert isinstance(config, SelectConfig)
    if config.take:
        raise ConfigError("select.take", "the prompts are taken one after the other here, so leave it out")
    if not 2 <= prompts <= config.candidates:
        reason = f"{prompts} is not from 2 to {config.candidates}, the number of candidates (select.candidates)"
        raise ConfigError("--prompts", reason)
    places = [round(rung * (config.candidates - 1) / (prompts - 1)) for rung in range(1, prompts)]
    return tuple(
        Variant(name, f"{_RUNG}{place + 1}", {"select": {"take": place}}) for name in writers for place in places
    )


def rungs(steps: Steps, comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By cell the place and perplexity of its prompt, the queries kept, and nDCG@10, lowest perplexity first.

    Empty for an experiment without such variants.
    """
    cells = {name: read_cell(name) for name in steps.measured}
    climbed = {(one.arm, one.family) for one in cells.values() if one.variant.startswith(_RUNG)}
    found = []
    for name, one in cells.items():
        if (one.arm, one.family) not in climbed or (one.variant and not one.variant.startswith(_RUNG)):
            continue
        select, keep = (steps.before(steps.measured[name][0], stage) for stage in ("select", "filter"))
        assert select is not None and keep is not None
        found.append({
            "cell": name, "arm": one.arm, "family": one.family, "place": int(one.variant.removeprefix(_RUNG) or 1),
            "perplexity": select["metrics"]["heldout_perplexity"], "kept": keep["metrics"]["kept"],
            "nDCG@10": comparison["arms"][name]["nDCG@10"],
        })  # fmt: skip
    return sorted(found, key=lambda row: (row["arm"], row["family"], row["perplexity"], row["cell"]))


def relations(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By arm and family how nDCG@10 goes with perplexity and with the number of queries kept (`evaluation.relation`).

    A relation is None for fewer than three prompts.
    """
    from sptar_engine.evaluation.relation import relate  # numpy and scipy

    relations = []
    # Prompts of different arms have perplexities of different heights, which would be taken for a relation.
    for arm, family in dict.fromkeys((row["arm"], row["family"]) for row in found):
        own = [row for row in found if (row["arm"], row["family"]) == (arm, family)]
        for measure in ("perplexity", "kept"):
            one = relate([(row[measure], row["nDCG@10"]["mean"]) for row in own])
            relations.append({"arm": arm, "family": family, "of": measure, "relation": asdict(one) if one else None})
    return relations
