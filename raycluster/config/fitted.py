"""A configuration fitted to the number of rows.

The number decides how long a neighbor list can be, and how neighbors are searched. The machine plays no part: the same input
gives the same labels with and without GPUs.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from raycluster.config.stages import Config

ROWS_FOR_IVF = 200_000
"""Rows from which `knn.index` auto reads inverted lists. Below, reading all rows takes seconds; labels depend on it."""
SHORTEST_LIST = 2
"""Ranks of the shortest neighbor list: the row itself and one other, or none in a set of one row."""


def resolved_for(config: Config, rows: int) -> Config:
    """Return the configuration with `knn.k` and `knn.index` resolved for N rows.

    A list is at most N - 1 long, and at least 2. Index auto becomes what it means for N rows.
    """
    config, index = shortened(config, rows), config.knn.index
    if index == "auto":
        approximate = rows >= ROWS_FOR_IVF and config.knn.source is None and config.knn.engine != "faiss"
        index = "ivf" if approximate else "exact"
    return replace(config, knn=replace(config.knn, index=index))


def shortened(config: Config, rows: int) -> Config:
    """Return the configuration with neighbor lists that N distinct rows can fill."""
    k, nearest = min(config.knn.k, max(rows - 1, SHORTEST_LIST)), config.density.nearest
    density = replace(config.density, nearest=None if nearest is None else min(nearest, k))
    return replace(config, knn=replace(config.knn, k=k), density=density)


def unfitted_keys(configured: Config, resolved: Config) -> dict[str, dict[str, Any]]:
    """Return the keys that the number of rows decided, as they were configured.

    They are nested by section.
    """
    pairs = {name: (asdict(getattr(configured, name)), asdict(getattr(resolved, name))) for name in ("knn", "density")}
    return {
        name: {key: value for key, value in before.items() if value != after[key]}
        for name, (before, after) in pairs.items()
        if before != after
    }


def unfitted(resolved: Config, keys: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return the configuration before it was fitted to a number of rows.

    `keys` is of `unfitted_keys`.
    """
    sections: dict[str, Any] = {name: replace(getattr(resolved, name), **keys) for name, keys in keys.items()}
    return replace(resolved, **sections)


def shortened_line(configured: Config, resolved: Config, rows: int) -> str | None:
    """Return a line where the set's size made neighbor lists shorter than configured.

    Parameters
    ----------
    configured, resolved
        Configuration before and after it was fitted to the set.
    rows
        Number of rows, N.
    """
    if resolved.knn.k == configured.knn.k:
        return None
    return f"knn.k is {resolved.knn.k} in place of {configured.knn.k}: the set has only {rows} row{'s' if rows > 1 else ''}"
