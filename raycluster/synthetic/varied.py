"""Generated sets to train on, beside labelled ones or alone."""

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from raycluster.storage.object_store import Store
from raycluster.synthetic.generator import write_parquet
from raycluster.synthetic.settings import PRESETS, SyntheticConfig

KINDS = ("demo", "long-tail", "dense", "large")
"""Presets that together hold identities of 1 to 500 rows, loose and tight, alike and apart."""
FIRST_SEED = 2**40
"""First seed of `write`. It is far from the seeds that people choose, so that no set they test with holds the same
identities."""
FIRST_VARIED_SEED = 2**41
"""First seed of `write_varied`, far from those of `write` as well."""
SEEDS_PER_FAMILY = 100_000
"""Sets of one family before their seeds meet those of the next."""
SIZES: dict[str, tuple[float, dict[str, Any]]] = {
    "tail": (0.28, {"mean_size": (1.5, 4.0), "tail_exponent": (1.8, 2.8), "max_size": [60, 250, 500]}),
    "few": (0.22, {"mean_size": (1.6, 6.0), "tail_exponent": (0.3, 2.0), "max_size": [8, 15, 30]}),
    "medium": (0.18, {"mean_size": (5.0, 20.0), "tail_exponent": (-0.5, 2.0), "max_size": [40, 100, 300]}),
    "dense": (
        0.2,
        {"mean_size": (30.0, 120.0), "tail_exponent": (-1.0, 1.0), "min_size": [5], "max_size": [400]},
    ),
    "huge": (0.07, {"mean_size": (150.0, 480.0), "tail_exponent": (0.0, 0.0), "min_size": [60], "max_size": [600]}),
    "alone": (0.05, {"mean_size": (1.02, 1.4), "tail_exponent": (2.0, 2.0), "max_size": [20]}),
}
"""How large identities are: the share of the sets, and what sizes are drawn from, (low, high) or a list of values."""
SMALL = ("tail", "few", "alone")
"""Sizes of sets whose identities may be relatives."""
KIN = 0.45
"""Share of the sets of such sizes whose identities are relatives throughout: clans of families."""
VERSIONS = 0.35
"""Share of those in which relatives lie hardly apart, as versions of a product do."""
LARGE = ("dense", "huge")
"""Sizes of sets whose identities may be topics."""
TOPICS = 0.4
"""Share of the sets of such sizes whose identities are topics, with many and distant modes."""
FAINT = 0.12
"""Share of the sets in which pairs of one identity are hardly nearer than strangers: noise, tiny pictures, short texts."""
ALIKE = 0.45
"""Share of the sets with tight identities in families of near lookalikes."""
WIDTHS = [64, 96, 128, 192, 256, 384, 512]
"""Dimensions of an embedding."""


def write(url: str, rows: int, seed: int) -> list[str]:
    """Write one set per preset in `KINDS`.

    What an earlier start wrote is kept.

    Parameters
    ----------
    url
        Folder or storage URL that the sets are written below.
    rows
        Rows of all sets together.
    seed
        From 0 up. Another seed gives other identities.

    Returns
    -------
    list
        URLs of the sets.
    """
    chosen = {
        kind: PRESETS[kind] | {"rows": rows // len(KINDS), "seed": FIRST_SEED + len(KINDS) * seed + number}
        for number, kind in enumerate(KINDS)
    }
    return _write(url, ((kind, SyntheticConfig(**values)) for kind, values in chosen.items()))


def write_varied(url: str, sets: int, seed: int) -> list[str]:
    """Write sets of many kinds, as `varied` draws them.

    What an earlier start wrote is kept.

    Parameters
    ----------
    url
        Folder or storage URL that the sets are written below.
    sets
        Number of sets.
    seed
        From 0 up. Another seed gives other sets.

    Returns
    -------
    list
        URLs of the sets.
    """
    return _write(url, ((f"varied-{number:04d}", varied(seed, number)) for number in range(sets)))


def _write(url: str, sets: Iterable[tuple[str, SyntheticConfig]]) -> list[str]:
    """Write the sets that are not whole yet; NAME.json is written last."""
    store, urls = Store(url), []
    for name, config in sets:
        if store.get(f"{name}.json") is None:
            store.delete_below(name)
            store.put(f"{name}.json", json.dumps(write_parquet(config, f"{url}/{name}")).encode())
        urls.append(f"{url}/{name}")
    return urls


def varied(seed: int, number: int) -> SyntheticConfig:
    """Return the settings of set `number` in a family of sets, drawn at random.

    Together the sets are to hold whatever real sets may. Identities have one row to hundreds; they are loose, tight or
    faint, with near copies. They stand in families of lookalikes, at times nearer to each other than to themselves
    (styles), or are topics of many modes. There are poor pictures, any width, and sets that are not centered.
    """
    # The order of the draws is the set: a draw moved up or down changes every set.
    random = np.random.default_rng([seed, number])
    shares = np.array([share for share, _ in SIZES.values()])
    kind = list(SIZES)[int(random.choice(len(SIZES), p=shares / shares.sum()))]
    is_kin = kind in SMALL and random.random() < KIN
    sizes: dict[str, Any] = {
        name: int(random.choice(values)) if isinstance(values, list) else float(random.uniform(*values))
        for name, values in SIZES[kind][1].items()
    }
    width = int(random.choice(WIDTHS))
    is_alike, is_faint = random.random() < ALIKE, random.random() < FAINT
    is_topic = kind in LARGE and random.random() < TOPICS
    config = _drawn(random, width, is_alike, is_faint, FIRST_VARIED_SEED + SEEDS_PER_FAMILY * seed + number)
    more: dict[str, Any] = _kin(random) if is_kin else {}
    if is_topic:
        more |= {"modes": int(random.integers(4, 17)), "mode_cosine": float(random.uniform(0.5, 0.9))}
    if is_faint and not is_kin:
        more |= {
            "same_cosine": float(random.uniform(0.12, 0.45)),
            "same_cosine_spread": float(random.uniform(0.02, 0.1)),
        }
    return dataclasses.replace(config, **sizes, **more)


def _drawn(random: np.random.Generator, width: int, is_alike: bool, is_faint: bool, seed: int) -> SyntheticConfig:
    """Return settings that all kinds start from, in wider ranges than real sets."""
    return SyntheticConfig(
        rows=int(_log_uniform(random, 2000, 12000)),
        width=width,
        seed=seed,
        effective_dimension=min(
            _log_uniform(random, 60, 400) if is_faint else _log_uniform(random, 14, 220), 0.8 * width
        ),
        same_cosine=float(random.uniform(0.65, 0.95) if is_alike else random.uniform(0.42, 0.85)),
        same_cosine_spread=float(random.uniform(0.02, 0.2)),
        modes=int(random.integers(1, 5)),
        mode_cosine=float(random.uniform(0.78, 0.97)),
        picture_spread=_often(random, 0.75, 0.0, 0.25),
        copy_share=_often(random, 0.5, 0.0, 0.6),
        copy_cosine=float(random.uniform(0.7, 0.99)),
        family_share=float(random.uniform(0.5, 1) if is_alike else random.uniform(0, 0.8)),
        family_size=int(_log_uniform(random, 2, 60)),
        family_cosine=float(random.uniform(0.6, 0.98) if is_alike else random.uniform(0.3, 0.75)),
        styles=int(_log_uniform(random, 2, 16)),
        style_cosine=float(random.uniform(0.6, 0.99)),
        style_share=_often(random, 0.5 if is_alike else 0.15, 0.3, 1.0),
        low_quality_share=_often(random, 0.5, 0.0, 0.2),
        low_quality_strength=float(random.uniform(0.3, 0.8)),
        low_quality_directions=int(random.integers(2, 20)),
        offset=_often(random, 0.35, 0.05, 0.5),
    )


def _often(random: np.random.Generator, share: float, low: float, high: float) -> float:
    """Return a number from low to high in that share of the draws, else 0."""
    value = float(random.uniform(low, high))
    return value if random.random() < share else 0.0


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """Return a number from low to high whose logarithm is uniform."""
    return float(np.exp(random.uniform(math.log(low), math.log(high))))


def _kin(random: np.random.Generator) -> dict[str, Any]:
    """Return settings of small identities that are relatives: product titles, species."""
    kin = {
        "family_share": float(random.uniform(0.8, 1)),
        "family_size": int(_log_uniform(random, 4, 150)),
        "family_cosine": float(random.uniform(0.6, 0.99)),
        "family_spread": float(random.uniform(0, 0.15)),
        "clan_size": int(_log_uniform(random, 2, 40)),
        "clan_cosine": float(random.uniform(0.4, 0.95)),
        "same_cosine": float(random.uniform(0.5, 0.95)),
        "copy_share": float(random.uniform(0, 0.6)),
        "style_share": float(random.uniform(0, 1)),
    }
    return kin | _versions(random) if random.random() < VERSIONS else kin


def _versions(random: np.random.Generator) -> dict[str, Any]:
    """Return settings of relatives that differ less than two rows of one do.

    They are like versions of a product, which every shop offers in its own words.
    """
    return {
        "family_size": int(_log_uniform(random, 3, 40)),
        "family_cosine": float(random.uniform(0.88, 0.995)),
        "family_spread": float(random.uniform(0, 0.06)),
        "clan_cosine": float(random.uniform(0.5, 0.9)),
        "same_cosine": float(random.uniform(0.6, 0.85)),
        "same_cosine_spread": float(random.uniform(0.02, 0.12)),
        "modes": int(random.integers(1, 3)),
        "picture_spread": float(random.uniform(0, 0.15)),
        "style_share": float(random.uniform(0.4, 1)),
        "low_quality_share": 0.0,
    }
