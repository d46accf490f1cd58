"""What a cell that kept the untrained model is worth against searches without training (DESIGN section 4).

Its weights are those of the base. A late-interaction model searches otherwise than the bi-encoder of the same weights,
and may find more; that is the family's doing, and no training made it better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sptar_engine.arms import BI_ENCODER, HYBRID, untrained

BETTER, WORSE, CANNOT_TELL = "better", "worse", "cannot tell"
UNTRAINED = (untrained(BI_ENCODER), untrained(HYBRID))
KEPT = "kept the untrained model: not better"
"""What is said of such a cell that finds more than an untrained search."""


def has_learned(found: Mapping[str, Any]) -> bool:
    """False when every training of a cell kept the untrained model; `found` is the cell's part of a comparison."""
    return not all(one["kept_untrained"] for one in found["training"]) if found.get("training") else True


def is_none_the_better(versus: Mapping[str, Any]) -> bool:
    """Whether a comparison with an untrained search leaves a cell that has not learned at `KEPT`."""
    return bool(versus["verdict"] != WORSE and versus["difference"] > 0)


def stands_untrained(arms: Mapping[str, Mapping[str, Any]], arm: str, other: str) -> bool:
    """Whether all there is to say of a cell against another one is `KEPT`."""
    return other in UNTRAINED and not has_learned(arms[arm]) and is_none_the_better(arms[arm]["versus"][other])


def settle(arms: Mapping[str, Mapping[str, Any]]) -> None:
    """Make "better" of cells that have not learned, against untrained searches, "cannot tell"; both ways round.

    `arms` is what `compare_arms` returns with `training` beside it, and is changed in place.
    """
    for name, found in arms.items():
        for other in UNTRAINED:
            if not has_learned(found) and found["versus"].get(other, {}).get("verdict") == BETTER:
                found["versus"][other]["verdict"] = CANNOT_TELL
                arms[other]["versus"][name]["verdict"] = CANNOT_TELL
