"""NEP of a shard's rows (S1 eq. 3, 6, 7, 8).

Not a stage: `relations` and `edges` both read it, and computing it again is cheaper than storing it.
"""

from collections.abc import Callable

from raycluster.arrays import Float32
from raycluster.config.stages import Config, EdgesConfig
from raycluster.kernels.neighborhoods import nep
from raycluster.stages.stage import ProblemSize
from raycluster.stages.topk import copy_of_counts, counts_of
from raycluster.storage.tables import Conversion, Tables, Task

NEP_RATE = 2.8 / 8e6
"""Seconds per neighbor on two cores of an EPYC (Zen 4), for a dry run that measures nothing."""


def transform(config: EdgesConfig) -> Callable[[Float32], Float32]:
    """Return the function of similarities (R, K) to edge probabilities p_hat.

    Probabilities are normalized; empty ranks (-1) have 0.
    """

    def p_hat(similarity: Float32) -> Float32:
        probability = nep.edge_probability(similarity, config.transform, config.tau, config.delta)
        return nep.normalized(probability)

    return p_hat


def nep_of(tables: Tables, task: Task) -> Float32:
    """Return NEP (R, K) of a shard's rows with each of their neighbors, in 0..1."""
    config = tables.config.edges
    tag = f"p_hat-{config.transform}-{config.tau}-{config.delta}"
    p_hat = tables.column("knn", "similarity", "float32", Conversion(tag, transform(config)))
    return nep.neighbor_edge_probability(
        tables.column("knn", "neighbor"),
        p_hat,
        task.start,
        task.stop,
        counts_of(tables),
        tables.threads,
        length_step=nep.TOPK_STEP,
        without_pair=not config.count_pair,
    )


def copies_of_probabilities(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copies of the edge probabilities and the counts."""
    return {"knn.similarity.p_hat": 4.0 * size.rows * config.knn.k} | copy_of_counts(size, config)
