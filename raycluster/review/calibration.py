"""Features to a probability, by weights that were fitted on generated sets alone.

`python -m benchmarks review_calibration` fits them and writes `calibration.json`, which lies beside this module.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
from scipy.special import expit

from raycluster.arrays import Float64

Features = Mapping[str, Float64]
"""A column (M,) per feature."""


@cache
def weights() -> dict[str, dict[str, float]]:
    """Return the weight of every feature, and `intercept`, by kind of question."""
    text = resources.files("raycluster.review").joinpath("calibration.json").read_text("utf-8")
    table: dict[str, dict[str, float]] = json.loads(text)
    return table


def probability(kind: str, features: Features) -> Float64:
    """Return the probability (M,), in 0..1, by the weights of a kind of question."""
    table = weights()[kind]
    assert set(table) == {*features, "intercept"}, "weights were fitted on these features"
    value = np.full(len(next(iter(features.values()))), table["intercept"])
    # In the order of the table, so that sums do not depend on how callers order features.
    for name in sorted(features):
        value += table[name] * features[name]
    # Rounded as queue tables store it, so that an item that is read back is equal.
    return np.asarray(expit(value).astype(np.float32), np.float64)
