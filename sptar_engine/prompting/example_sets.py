"""Sets of labelled pairs to try as examples, drawn from all training queries or from those of one style."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

from sptar_engine.configs import SelectConfig
from sptar_engine.data.query_styles import STYLES, by_style
from sptar_engine.errors import ConfigError, InputError
from sptar_engine.records import SeedPair

ANY, MIXED = "any", "mixed"
LEAST = 2  # training queries that make a style: with one there is nothing to choose

Examples = tuple[SeedPair, ...]
Seeds = Mapping[str, tuple[SeedPair, ...]]


def style_sets(seeds: Seeds, config: SelectConfig) -> dict[str, list[Examples]]:
    """Candidate sets for each style that `select.style` asks for; under "" when any will do.

    A style's sets come from its own queries and have as many pairs as there are when these are fewer than
    `select.examples`. With `mixed` every style of two queries or more takes part. Raises ConfigError when there are
    fewer queries than examples, InputError, saying how many more are needed, for a style of fewer than two.
    """
    if config.style == ANY:
        return {"": candidate_sets(seeds, config.examples, config.candidates, config.seed)}
    styles = by_style(seeds)
    wanted = [style for style in STYLES if config.style in (style, MIXED)]
    enough = [style for style in wanted if len(styles[style]) >= LEAST]
    if not enough:
        raise _too_few(config.style, max(len(styles[style]) for style in wanted))
    sizes = {style: min(config.examples, len(styles[style])) for style in enough}
    return {style: candidate_sets(styles[style], sizes[style], config.candidates, config.seed) for style in enough}


def candidate_sets(seeds: Mapping[str, Sequence[SeedPair]], size: int, wanted: int, seed: int) -> list[Examples]:
    """Distinct sets of `size` pairs, each pair of another query, in a random order of their own.

    All there are when these are fewer than `wanted`. They depend on nothing but the arguments, so the arms with
    and without a soft prompt choose among the same. Raises ConfigError when there are fewer queries than `size`.
    """
    if size > len(seeds):
        raise ConfigError("select.examples", f"{size} examples need as many train queries, and there are {len(seeds)}")
    rng = random.Random(seed)
    if count_sets([len(pairs) for pairs in seeds.values()], size) > 2 * wanted:
        return _draw(seeds, size, wanted, rng)
    every = list(_all_sets(seeds, size))
    return [tuple(rng.sample(examples, size)) for examples in rng.sample(every, min(wanted, len(every)))]


def _too_few(style: str, there: int) -> InputError:
    kind = "one style" if style == MIXED else f"the style {style}"
    more = LEAST - there
    return InputError(
        f"select.style={style} needs {LEAST} training queries of {kind} as examples, and there "
        f"{'is 1' if there else 'is none'}: write {more} more, and say in queries.jsonl what they are, "
        f'"metadata": {{"style": "{STYLES[0] if style == MIXED else style}"}}.'
    )


def _draw(seeds: Mapping[str, Sequence[SeedPair]], size: int, wanted: int, rng: random.Random) -> list[Examples]:
    # A query with many documents is drawn no more often than one with few. At least half of all sets are new at any
    # time, so this ends.
    drawn: dict[frozenset[tuple[str, str]], Examples] = {}
    while len(drawn) < wanted:
        examples = tuple(rng.choice(seeds[query_id]) for query_id in rng.sample(list(seeds), size))
        drawn.setdefault(frozenset((pair.query.query_id, pair.document.doc_id) for pair in examples), examples)
    return list(drawn.values())


def _all_sets(seeds: Mapping[str, Sequence[SeedPair]], size: int) -> Iterator[Examples]:
    for query_ids in itertools.combinations(seeds, size):
        yield from itertools.product(*(seeds[query_id] for query_id in query_ids))


def count_sets(counts: Sequence[int], size: int) -> int:
    """How many sets of `size` pairs of different queries there are, given the pairs of each query."""
    sets = [1] + [0] * size  # by size, over the queries seen so far
    for count in counts:
        sets = [1] + [sets[k] + sets[k - 1] * count for k in range(1, size + 1)]
    return sets[size]
