"""The columns of a table from the result of `evaluate`, and the sweeps of limits."""

from typing import Any

from benchmarks.measuring.tables import Rows

THETA = 0.22
"""Theta of FC-ES as published."""
THETAS = (0.1, 0.16, THETA, *(round(0.05 * step, 2) for step in range(6, 19)))
"""Sweep of the least NEP of an edge, 0.1 to 0.9."""
COSINES = tuple(round(0.025 * step, 3) for step in range(12, 39))
"""Sweep of the least cosine of an edge, 0.3 to 0.95."""
FAINT_COSINES = (*(round(0.025 * step, 3) for step in range(4, 12)), *COSINES)
"""The same from 0.1 on, for noisy sets."""


def scores(found: dict[str, Any]) -> dict[str, float]:
    """Return the scores of a result of `evaluate`.

    They are P, R and F, pairwise and BCubed, in percent, and NMI (geometric).
    """
    kinds = (("P", found["pairwise"]), ("B", found["bcubed"]))
    percent = {f"{name[0].upper()}_{kind}": 100 * values[name] for kind, values in kinds for name in values}
    return {**percent, "NMI": found["nmi"]["geometric"]}


def short_scores(found: dict[str, Any]) -> dict[str, float]:
    """Return F_P and F_B in percent, and NMI."""
    return {name: scores(found)[name] for name in ("F_P", "F_B", "NMI")}


def best(sweep: Rows) -> dict[str, Any]:
    """Return the point of a sweep with the highest BCubed F.

    Of equal points it is the one with the highest threshold.
    """
    return max(sweep, key=lambda point: (point["bcubed"]["f"], point["threshold"]))
