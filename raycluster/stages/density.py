"""knn, relations -> the density of every row, and how close neighbors are, on the transition matrix P of their lists (S2).

Only edges.rule density-peaks wants this stage. P is made from what the recipe gives: the learned score where it scores all
neighbors, else the cosine cut at 0 or the edge probability; a row's own similarity is 1. So density peaks follow any recipe:
their rule and `communities.engine components` over its scores are S2's "++". Density is global: one shard, on the driver, that
streams P from a node-local copy as often as it takes; 8 bytes a row and two such vectors are all its memory.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32
from raycluster.config.fingerprint import fingerprint
from raycluster.config.stages import Config
from raycluster.kernels.edge_rules import denser
from raycluster.kernels.neighborhoods import diffusion as kernel
from raycluster.kernels.neighborhoods import nep as jaccard
from raycluster.kernels.neighborhoods import tpdi
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

Convert = Callable[[Float32], Float32]
Whole = Callable[[str, Convert], Float32]
"""Name and conversion of what the recipe gives (R, K) to the converted rows of all, an array or a memory map."""
Peaks = tuple[Bool, Float32]
"""Which neighbors (R, K) are denser than their row, and the closeness (R, K) in 0..1, 1 - distance, of those at least."""


def similarities(config: Config) -> Convert:
    """What the recipe gives of neighbors (R, K), learned scores or cosines, as similarities in 0..1, NaN where there is none."""

    def of_neighbors(given: Float32) -> Float32:
        if config.relations.score == "all":
            return given
        if config.density.similarity == "probability":
            rule = config.edges
            value = jaccard.edge_probability(given, rule.transform, rule.tau, rule.delta)
        else:
            value = np.maximum(given, 0)
        return np.where(given > -1, value, np.float32(np.nan))

    return of_neighbors


def _sharpness(config: Config, sigma: float | None) -> float | None:
    """Edge probabilities are sharp already."""
    return None if config.density.similarity == "probability" else sigma


def densities(config: Config, neighbor: Int32, whole: Whole) -> tuple[Float32, dict[str, Any]]:
    """Density (N,) of all rows, with how many steps of diffusion it took and the change of the last."""
    chosen, rows = config.density, similarities(config)
    if chosen.kind == "volume":
        return whole("volume", lambda given: kernel.volume(rows(given)[:, : chosen.nearest])), {}
    sigma = _sharpness(config, chosen.sigma)
    matrix = whole("transition", lambda given: kernel.transition(rows(given)[:, : chosen.nearest], sigma))
    found = kernel.diffuse(neighbor, matrix, chosen.steps)
    return found.density, {"steps": found.steps, "change": found.change}


def peaks(
    config: Config,
    neighbor: Int32,
    similarity: Float32,
    density: Float32,
    whole: Whole,
    start: int,
    stop: int,
    threads: int,
) -> Peaks:
    """Which neighbors of rows start..stop are denser, and how close those are; neighbor and similarity are (N, K)."""
    uphill = denser(start, neighbor[start:stop], density)
    if config.edges.distance == "cosine":
        return uphill, np.maximum(similarity[start:stop], 0)
    rows, sigma = similarities(config), _sharpness(config, config.edges.sigma)
    roots = whole("root", lambda given: np.sqrt(kernel.transition(rows(given), sigma)))
    return uphill, tpdi.closeness(neighbor, roots, start, stop, wanted=uphill, threads=threads)


def peaks_in_memory(config: Config, neighbor: Int32, similarity: Float32, given: Float32, threads: int) -> Peaks:
    """Peaks of all rows; `given` (N, K) are learned scores or, again, similarities."""

    def whole(_: str, convert: Convert) -> Float32:
        return convert(given)

    density, _ = densities(config, neighbor, whole)
    return peaks(config, neighbor, similarity, density, whole, 0, len(neighbor), threads)


def _whole(run: Run) -> Whole:
    """Of a run: node-local memory maps."""
    stage, column = ("relations", "score") if run.config.relations.score == "all" else ("knn", "similarity")
    own = fingerprint(run.config.density, run.config.edges)
    return lambda name, convert: scratch.joined(run, stage, column, "float32", convert, f"{name}-{own}")


def _neighbor(run: Run) -> Int32:
    return scratch.joined(run, "knn", "neighbor", "int32")


def compute(run: Run, shard: int) -> Part:
    """The density of all rows."""
    assert shard == 0, "density is global"
    value, facts = densities(run.config, _neighbor(run), _whole(run))
    rows = np.arange(run.rows, dtype=np.int32)
    return Part([schemas.from_columns(schemas.DENSITY, row=rows, density=value)], facts)


def peaks_of(run: Run, start: int, stop: int) -> Peaks:
    """Peaks of a run's rows start..stop."""
    density = run.table("density", 0, ["density"])["density"].to_numpy()
    similarity = scratch.joined(run, "knn", "similarity", "float32")
    return peaks(run.config, _neighbor(run), similarity, density, _whole(run), start, stop, run.threads)


def told(run: Run) -> str:
    """A line on how far diffusion came; of one that did not settle the density reached counts."""
    facts, chosen = run.marker("density", 0), run.config.density
    if chosen.kind == "volume":
        return "density is volume"
    how = "settled" if facts["change"] < kernel.TOLERANCE else f"had not settled below {kernel.TOLERANCE}"
    return f"density {how} after {facts['steps']} steps, the last of which changed it by {facts['change']:.4f}"


def settings(config: Config) -> Any:
    """What changes a density besides the scores or similarities it is made from."""
    rule = config.edges
    transform = (rule.transform, rule.tau, rule.delta)
    return [config.density.__dict__, transform if config.density.similarity == "probability" else None]


DENSITY = Stage(
    name="density",
    settings=settings,
    compute=compute,
    shards=lambda run: 1,
    wanted=lambda config: config.edges.rule == "density-peaks",
    on_driver=lambda config: True,
    told=told,
)
