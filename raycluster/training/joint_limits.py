"""Theta, floor and eta of the rule early-stop, chosen together.

A walk that a predictor repairs may end elsewhere than a walk alone. So the three limits are chosen by the partition that they
make together. Scores are of all pairs from the lowest floor on, whatever their walk, so that no limit needs new scores.

Shapes: N rows of a set, K neighbors per row with the row itself at rank 0.
"""

from collections.abc import Sequence

import numpy as np

from raycluster.arrays import Float32
from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import Config
from raycluster.limits.in_force import EdgeLimits
from raycluster.models.calibration import Table
from raycluster.pipeline.sweep import communities_at
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.storage.tables import Facts
from raycluster.training import calibration
from raycluster.training.calibrated_limits import Calibrated, Report, edges_down_to, quality
from raycluster.training.labelled_set import LabelledSet

NO_WALK = 1.0
"""Theta while pairs are scored. Only lists without a difference reach it, so that nearly every pair is left to the predictor."""
THETAS = (0.1, 0.22, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
"""Values of theta that are tried, in 0..1: FC-ES's 0.22, and about equal steps up to where a walk takes only near copies."""
ETAS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.88, 0.95)
"""Values of eta that are tried, in 0..1, the published among them. F hardly moves between neighbors of the list."""
FLOORS = (1.0, 1.5, 2.0, 3.0)
"""Floors that are tried, in multiples of the lowest, which keeps 95 % of the true pairs."""
PUBLISHED = {
    "exponential": {"theta": 0.22, "floor": 0.12, "eta": 0.60},
    "sigmoid": {"theta": 0.22, "floor": 0.12, "eta": 0.90},
}
"""Limits as published, by transform. FC-ESER has 0.22, 0.12 and 0.60. S1 has eta 0.90 and prints neither theta nor floor for its
own transform, so that FC-ESER's stand in."""


def is_published(config: Config, training: TrainingConfig) -> bool:
    """Whether the limits of the walk and the recall are the papers'."""
    return config.edges.rule == "early-stop" and training.limits == "published"


def fits_jointly(config: Config, training: TrainingConfig) -> bool:
    """Whether theta, floor and eta are chosen together, once there are scores."""
    return config.relations.score == "recall" and training.limits == "fitted"


def published_limits(config: Config) -> dict[str, float]:
    """Return theta, floor and eta as the papers print them for a transform."""
    return dict(PUBLISHED[config.edges.transform])


def joint_limits(
    sets: Sequence[LabelledSet], scores: Sequence[Float32], config: Config, floor: float, report: Report
) -> Calibrated:
    """Return theta, floor and eta by which held-out identities are found best.

    First theta and eta at the lowest floor, every value with every other. Then the floor at those two: it only leaves pairs
    out, and a good predictor needs it least.

    Parameters
    ----------
    sets
        The labelled sets.
    scores
        Their probabilities, float32 (N, K) each; NaN below the lowest floor.
    config
        The recipe, of rule early-stop. Limits that it sets are kept.
    floor
        Lowest NEP of a scored pair. Raising it leaves fewer pairs to choose from.
    report
        Called with a line on what was chosen.

    Returns
    -------
    tuple
        The limits; the surface, a point per combination that was tried; the best point with the number of sets.
    """
    neps = [
        np.concatenate([nep_of(labelled.tables, task) for task in row_shards(labelled.tables)]) for labelled in sets
    ]
    thetas = THETAS if config.edges.theta is None else (config.edges.theta,)
    etas = ETAS if config.edges.eta is None else (config.edges.eta,)
    surface: Table = []
    for theta in thetas:
        surface += _points(sets, scores, neps, config, theta, floor, etas)
    chosen = _best(surface)
    for factor in FLOORS[1:]:
        higher = min(1.0, factor * floor)
        surface += _points(sets, scores, neps, config, chosen["theta"], higher, (chosen["eta"],))
    chosen = _best(surface)
    limits = {name: chosen[name] for name in ("theta", "floor", "eta")}
    words = ", ".join(f"{name} {value:.4g}" for name, value in limits.items())
    report(f"{words}: BCubed F {chosen['f']:.4f} of held-out identities of {len(sets)} sets")
    return limits, surface, {**chosen, "threshold": chosen["eta"], "sets": len(sets)}


def eta_curve(surface: Table, limits: dict[str, float]) -> Table:
    """Return a surface at the chosen theta and floor as a curve over eta."""
    at = [point for point in surface if (point["theta"], point["floor"]) == (limits["theta"], limits["floor"])]
    return [{"threshold": point["eta"], **point} for point in sorted(at, key=lambda point: point["eta"])]


def _points(
    sets: Sequence[LabelledSet],
    scores: Sequence[Float32],
    neps: Sequence[Float32],
    config: Config,
    theta: float,
    floor: float,
    etas: Sequence[float],
) -> Table:
    """Return the mean quality of held-out identities at several etas.

    Parameters
    ----------
    sets, scores, neps
        The sets, with probabilities and NEP (N, K) of their pairs.
    config
        The recipe.
    theta, floor
        The other two limits.
    etas
        The values to try.
    """
    limits = EdgeLimits(theta=theta, eta=min(etas))
    built = [
        edges_down_to(labelled, config, limits, np.where(nep >= np.float32(floor), score, np.float32(np.nan)))
        for labelled, score, nep in zip(sets, scores, neps, strict=True)
    ]
    points = []
    for eta in etas:
        qualities: list[Facts] = []
        for labelled, tables in zip(sets, built, strict=True):
            cluster, num_edges = communities_at(tables, eta)
            qualities.append({**quality(labelled, cluster), "edges": num_edges})
        means = {name: float(np.mean([one[name] for one in qualities])) for name in qualities[0]}
        points.append({"theta": theta, "floor": floor, "eta": eta, **means})
    return points


def _best(surface: Table) -> dict[str, float]:
    """Return the strictest of the nearly best points.

    It has the highest theta, then the highest eta, then the lowest floor.
    """
    highest = max(point["f"] for point in surface)
    near = [point for point in surface if point["f"] >= highest - calibration.TOLERANCE]
    return max(near, key=lambda point: (point["theta"], point["eta"], -point["floor"]))
