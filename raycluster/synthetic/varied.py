"""Generated identities to train on, beside labelled ones or alone: a network learns what it was shown."""

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from raycluster.storage.object_store import Store
from raycluster.synthetic.generator import PRESETS, SyntheticConfig, write_parquet

KINDS = ("demo", "long-tail", "dense", "large")
"""Presets that together hold identities of 1 to 500 rows, loose and tight, alike and apart."""
FIRST_SEED = 2**40
"""Far from the seeds that people give, so that no set they generate for a test holds the same identities."""
FIRST_VARIED_SEED = 2**41
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
"""How large identities are: share of the sets, and what their sizes are drawn from, (low, high) or one of a list."""
SMALL, KIN, VERSIONS = ("tail", "few", "alone"), 0.45, 0.35
"""Of the sets with such sizes, the share whose identities are relatives throughout, clans of families; and the part of
those where relatives are hardly told apart."""
LARGE, TOPICS = ("dense", "huge"), 0.4
"""Of the sets with such sizes, the share whose identities are topics, of many and distant modes."""
FAINT = 0.12
"""Share of the sets in which pairs of one identity are hardly nearer than strangers: noise, tiny pictures, short texts."""


def write(url: str, rows: int, seed: int) -> list[str]:
    """Write a set of each of `KINDS` with its share of `rows` below `url`, unless an earlier start has; returns their URLs."""
    chosen = {
        kind: PRESETS[kind] | {"rows": rows // len(KINDS), "seed": FIRST_SEED + len(KINDS) * seed + number}
        for number, kind in enumerate(KINDS)
    }
    return _write(url, ((kind, SyntheticConfig(**values)) for kind, values in chosen.items()))


def write_varied(url: str, sets: int, seed: int) -> list[str]:
    """Write `sets` sets below `url`, each of another kind (`varied`), unless an earlier start has; returns their URLs."""
    return _write(url, ((f"varied-{number:04d}", varied(seed, number)) for number in range(sets)))


def _write(url: str, sets: Iterable[tuple[str, SyntheticConfig]]) -> list[str]:
    store, urls = Store(url), []
    for name, config in sets:
        if store.get(f"{name}.json") is None:
            store.delete(name)
            store.put(f"{name}.json", json.dumps(write_parquet(config, f"{url}/{name}")).encode())
        urls.append(f"{url}/{name}")
    return urls


def varied(seed: int, number: int) -> SyntheticConfig:
    """The settings of one of a family of sets that together are to hold whatever real sets may: identities of one row to
    hundreds, loose, tight and faint, with near copies, in families of look-alikes, at times nearer to each other than to
    themselves (styles), topics of many modes, poor pictures, any width, centered or not. A function of seed and number."""
    random = np.random.default_rng([seed, number])

    def often(share: float, low: float, high: float) -> float:
        value = float(random.uniform(low, high))
        return value if random.random() < share else 0.0

    shares = np.array([share for share, _ in SIZES.values()])
    kind = list(SIZES)[int(random.choice(len(SIZES), p=shares / shares.sum()))]
    of_sizes = SIZES[kind][1]
    of_kin = kind in SMALL and random.random() < KIN
    sizes: dict[str, Any] = {
        name: int(random.choice(values)) if isinstance(values, list) else float(random.uniform(*values))
        for name, values in of_sizes.items()
    }
    width = int(random.choice([64, 96, 128, 192, 256, 384, 512]))
    alike, faint = random.random() < 0.45, random.random() < FAINT
    of_topics = kind in LARGE and random.random() < TOPICS
    config = SyntheticConfig(
        rows=int(_log_uniform(random, 2000, 12000)),
        width=width,
        seed=FIRST_VARIED_SEED + 100_000 * seed + number,
        effective_dimension=min(_log_uniform(random, 60, 400) if faint else _log_uniform(random, 14, 220), 0.8 * width),
        same_cosine=float(random.uniform(0.65, 0.95) if alike else random.uniform(0.42, 0.85)),
        same_cosine_spread=float(random.uniform(0.02, 0.2)),
        modes=int(random.integers(1, 5)),
        mode_cosine=float(random.uniform(0.78, 0.97)),
        picture_spread=often(0.75, 0.0, 0.25),
        copy_share=often(0.5, 0.0, 0.6),
        copy_cosine=float(random.uniform(0.7, 0.99)),
        family_share=float(random.uniform(0.5, 1) if alike else random.uniform(0, 0.8)),
        family_size=int(_log_uniform(random, 2, 60)),
        family_cosine=float(random.uniform(0.6, 0.98) if alike else random.uniform(0.3, 0.75)),
        styles=int(_log_uniform(random, 2, 16)),
        style_cosine=float(random.uniform(0.6, 0.99)),
        style_share=often(0.5 if alike else 0.15, 0.3, 1.0),
        low_quality_share=often(0.5, 0.0, 0.2),
        low_quality_strength=float(random.uniform(0.3, 0.8)),
        low_quality_directions=int(random.integers(2, 20)),
        offset=often(0.35, 0.05, 0.5),
    )
    more: dict[str, Any] = _kin(random) if of_kin else {}
    if of_topics:
        more |= {"modes": int(random.integers(4, 17)), "mode_cosine": float(random.uniform(0.5, 0.9))}
    if faint and not of_kin:
        more |= {
            "same_cosine": float(random.uniform(0.12, 0.45)),
            "same_cosine_spread": float(random.uniform(0.02, 0.1)),
        }
    return dataclasses.replace(config, **sizes, **more)


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(math.log(low), math.log(high))))


def _kin(random: np.random.Generator) -> dict[str, Any]:
    """Settings over those of small identities that make neighbor lists of relatives: product titles, species, short texts."""
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
    """Settings of relatives that differ less than two rows of one do: versions of a product, each shop's offers in its words."""
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
