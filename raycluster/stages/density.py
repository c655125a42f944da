"""knn, relations -> density of every row and closeness of its neighbors (S2).

Both follow from the transition matrix P of the neighbor lists.

Only `edges.rule` density-peaks has this stage. P follows from the recipe: from the learned score where it covers all
neighbors, else from the cosine cut at 0 or the edge probability; a row's own similarity is 1. So density peaks work on any
recipe: their rule and `communities.engine components` over its scores are S2's "++". Density is global: one task on the
driver, which streams P from a node-local copy once per step. Its memory is two vectors of 8 bytes per row.

Shapes: N rows, R rows of a shard, K neighbors per row.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Bool, Float32
from raycluster.config.fingerprint import fingerprint
from raycluster.config.stages import Config
from raycluster.kernels.edge_rules import connectivity, denser
from raycluster.kernels.neighborhoods import diffusion, nep, tpdi
from raycluster.stages.knn import neighbors_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, single_task
from raycluster.storage import schemas
from raycluster.storage.tables import Conversion, Output, Tables, Task

CHUNK_ROWS = 65_536
"""Rows whose connectivity is computed at once: 21 MB at K = 80. Raising it takes more memory."""
Convert = Callable[[Float32], Float32]
Peaks = tuple[Bool, Float32]
"""Which neighbors (R, K) are denser than their row, and the closeness (R, K) in 0..1, 1 - distance, of those at least."""


def similarities(config: Config) -> Convert:
    """Return the function of learned scores or cosines (R, K) to similarities in 0..1.

    Similarities are NaN where there is no neighbor.
    """

    def of_neighbors(values: Float32) -> Float32:
        if config.relations.score == "all":
            return values
        if config.density.similarity == "probability":
            rule = config.edges
            value = nep.edge_probability(values, rule.transform, rule.tau, rule.delta)
        else:
            value = np.maximum(values, 0)
        return np.where(values > -1, value, np.float32(np.nan))

    return of_neighbors


def _sharpness(config: Config, sigma: float | None) -> float | None:
    """Return the sharpness of P: none for edge probabilities, which are sharp already."""
    return None if config.density.similarity == "probability" else sigma


def _values_of(config: Config) -> tuple[str, str]:
    """Return stage and column of the values that P follows from."""
    return ("relations", "score") if config.relations.score == "all" else ("knn", "similarity")


def copy_of_roots(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copy of the square roots of P."""
    return {f"{'.'.join(_values_of(config))}.root": 4.0 * size.rows * config.knn.k}


def _converted(tables: Tables, name: str, convert: Convert) -> Float32:
    """Return the converted scores or cosines of all rows (N, columns)."""
    stage, column = _values_of(tables.config)
    tag = f"{name}-{fingerprint(tables.config.density, tables.config.edges)}"
    return tables.column(stage, column, "float32", Conversion(tag, convert))


def open_density(tables: Tables) -> ShardFunction:
    """Return the function of the density of all rows."""

    def density(task: Task) -> Output:
        assert task.number == 0, "density is global"
        config, rows = tables.config.density, similarities(tables.config)
        facts: dict[str, Any] = {}
        if config.kind == "connectivity":
            value = connectivity_density(tables)
        elif config.kind == "ball":
            value = _converted(
                tables, "ball", lambda values: diffusion.ball(rows(values)[:, : config.nearest], config.radius)
            )
        elif config.kind == "volume":
            value = _converted(tables, "volume", lambda values: diffusion.volume(rows(values)[:, : config.nearest]))
        else:
            sigma = _sharpness(tables.config, config.sigma)
            matrix = _converted(
                tables,
                "transition",
                lambda values: diffusion.transition(rows(values)[:, : config.nearest], sigma, own=config.damping == 0),
            )
            neighbor, _ = neighbors_of(tables)
            diffused = diffusion.diffuse(neighbor, matrix, config.steps, damping=config.damping)
            value, facts = diffused.density, {"steps": diffused.steps, "change": diffused.change}
        return Output([{"row": np.arange(tables.rows, dtype=np.int32), "density": value}], facts)

    return density


def _connectivity(tables: Tables, start: int, stop: int) -> Float32:
    """Return the connectivity (stop - start, K) of some rows with their neighbors."""
    return connectivity(start, stop, *neighbors_of(tables), tables.column("relations", "score"))


def connectivity_density(tables: Tables) -> Float32:
    """Return the density (N,) of all rows by connectivity (LCEPCE)."""
    starts = range(0, tables.rows, CHUNK_ROWS)
    sums = [
        _connectivity(tables, start, min(start + CHUNK_ROWS, tables.rows)).sum(axis=1, dtype=np.float64)
        for start in starts
    ]
    return np.concatenate(sums).astype(np.float32)


def peaks_of(tables: Tables, task: Task) -> Peaks:
    """Return which neighbors of a shard's rows are denser, and their closeness."""
    config = tables.config
    neighbor, similarity = neighbors_of(tables)
    # All rows' density, read once per process: neighbors lie anywhere.
    density = tables.shared("density", lambda: tables.block("density", 0, ["density"])["density"])
    uphill = denser(task.start, neighbor[task.rows], density)
    if config.edges.distance == "cosine":
        return uphill, np.maximum(similarity[task.rows], 0)
    if config.edges.distance == "connectivity":
        return uphill, _connectivity(tables, task.start, task.stop)
    rows, sigma = similarities(config), _sharpness(config, config.edges.sigma)
    roots = _converted(tables, "root", lambda values: np.sqrt(diffusion.transition(rows(values), sigma)))
    return uphill, tpdi.closeness(neighbor, roots, task.start, task.stop, is_needed=uphill, threads=tables.threads)


def summary(tables: Tables) -> str:
    """Return how far diffusion came.

    Where it did not converge, the density that it reached counts.
    """
    facts, config = tables.task_facts("density")[0], tables.config.density
    if config.kind != "diffusion":
        return f"density is {config.kind}"
    how = "settled" if facts["change"] < diffusion.TOLERANCE else f"had not settled below {diffusion.TOLERANCE}"
    return f"density {how} after {facts['steps']} steps, the last of which changed it by {facts['change']:.4f}"


def settings(config: Config) -> Any:
    """Return what changes a density besides its scores or similarities."""
    rule = config.edges
    transform = (rule.transform, rule.tau, rule.delta)
    return [config.density.__dict__, transform if config.density.similarity == "probability" else None]


def _cost(size: ProblemSize, config: Config) -> Cost:
    k = config.knn.k
    values = ".".join(_values_of(config))
    diffusion_copies = {
        "knn.neighbor": 4.0 * size.rows * k,
        f"{values}.transition": 4.0 * size.rows * min(k, config.density.nearest or k),
    }
    volumes = {f"{values}.{config.density.kind}": 4.0 * size.rows}
    is_product = config.density.kind == "connectivity"
    scores = {name: 4.0 * size.rows * k for name in ("knn.similarity", "relations.score", "knn.neighbor") if is_product}
    return Cost(
        tasks=1,
        work=float(size.rows * k),
        rate=24 / 80e6,
        driver_bytes=24.0 * size.rows,
        copies=diffusion_copies if config.density.kind == "diffusion" else volumes | scores,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.DENSITY


DENSITY = Stage(
    name="density",
    reads=("knn", "relations"),
    writes=_schema,
    settings=settings,
    is_wanted=lambda config: config.edges.rule == "density-peaks",
    tasks=single_task,
    is_global=lambda config: True,
    open=open_density,
    summary=summary,
    cost=_cost,
)
