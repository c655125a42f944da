"""Means over trainings or sets, their intervals, and what a paired difference shows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.measuring.tables import Row

BySeed = Mapping[int, Mapping[str, Any]]
"""Scores by name, by seed."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and the half width of its 95 % interval by Student's t; infinite for one value."""
    if len(values) < 2:
        return float(np.mean(values)), float("inf")
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def in_words(values: Sequence[float], sign: str = "") -> str:
    """Return a mean with its interval, or without one where there is one value."""
    mean, half = interval(values)
    return f"{mean:{sign}.2f}" if half == float("inf") else f"{mean:{sign}.2f} ± {half:.2f}"


def paired(better: BySeed, other: BySeed, name: str) -> list[float]:
    """Return the differences of a score per seed that both have."""
    return [better[seed][name] - other[seed][name] for seed in better if seed in other and name in other[seed]]


def verdict(differences: Sequence[float]) -> str:
    """Return whether a claimed improvement holds, does not hold, or is open after so few trainings."""
    mean, half = interval(differences)
    if abs(mean) <= half:
        return "open"
    return "holds" if mean > 0 else "does not hold"


def claim(sentence: str, better: BySeed, other: BySeed, names: Sequence[str]) -> Row:
    """Return a claimed improvement with its paired differences and a verdict by F_B.

    Parameters
    ----------
    sentence
        The claim.
    better, other
        Scores by seed of what should be better, and of what it is compared with.
    names
        Scores to compare, F_B among them.

    Returns
    -------
    Row
        The sentence, a mean difference with its interval per score that both have, and the verdict.
    """
    differences = {name: paired(better, other, name) for name in names}
    words = {name: in_words(values, "+") for name, values in differences.items() if values}
    return {"claim": sentence, **words, "by F_B it": verdict(differences["F_B"])}
