"""Rates for `--estimate.probe-seconds 0`: measured once on two cores of an EPYC (Zen 4) that had other work, 2026-11-24.

Width 256, K 80, recipe `cosine`. What is not said to come from the README's table (Speed) took that long in a run of 100,000
rows, `benchmarks/estimate.py --rows 100000`.
"""

from raycluster.config.stages import Config
from raycluster.estimate import laws
from raycluster.estimate.laws import Scale
from raycluster.estimate.probe import Rate, Rates
from raycluster.pipeline.run import STAGES
from raycluster.stages import communities

ROWS = 100_000
_NETWORK = Rate(0.1, 1 / (2360 * 80))
"""README: a neighbor, row form, width 128, two layers; the pair form takes ten times that a pair and more."""
_NEP = Rate(0.09, 2.8 / 8e6)
"""README."""
_THRESHOLD_EDGES = Rate(0.01, 2.5e-7)
_EXACT = Rate(0.07, 2 / 128e9)
"""README, as a shard."""
_SELF_JOIN = Rate(0.07, 2 / 59e9)
"""README, 118 GFLOP/s of which half need not be done."""
_LISTS = Rate(0.04, 2 / 26e9)
_SHARE = 0.035
"""README: 3.5 % of 100,000 rows read in 32 CPU seconds; more than the products it costs to gather them."""
_ENGINES = {"infomap": 1.0e-7, "native": 1.8e-8, "components": 1.8e-8}
_ONCE = {"lists": Rate(0.1, 4e-10), "knn": Rate(0.01, 2 / 128e9), "edges": Rate(0.17, 4.4e-7)}
_TASKS = {
    "ingest": Rate(0.004, 1.1e-7),
    "embeddings": Rate(0.008, 4.4e-8),
    "lists": Rate(0.02, 1.0e-10),
    "topk": _NETWORK,
    "contexts": _NETWORK,
    "relations": _NETWORK,
    "density": Rate(0.1, 24 / 80e6),
    "labels": Rate(0.014, 1.3e-7),
}
_COMPRESSION = {"ingest": 0.93, "embeddings": 0.93, "knn": 0.76, "edges": 0.4, "communities": 0.9, "labels": 0.2}


def stored_rates(config: Config, scale: Scale) -> Rates:
    """The rates of a run's stages, with the most edges a row there can be."""
    engine = communities.engine_for(int(scale.links), config.communities)
    own = {
        "communities": Rate(0.002, _ENGINES[engine]),
        "knn": _LISTS if config.knn.index == "ivf" else _SELF_JOIN if laws.joins_itself(config, scale) else _EXACT,
        "edges": _NEP if config.edges.rule in ("early-stop", "density-peaks") else _THRESHOLD_EDGES,
    }
    wanted = [stage.name for stage in STAGES if stage.wanted(config)]
    return Rates(
        once={name: _ONCE.get(name, Rate(0.0, 0.0)) for name in wanted},
        tasks={name: (_TASKS | own)[name] for name in wanted},
        copy_seconds=8e-9,
        edges=config.knn.k - 1,
        links=config.knn.k - 1,
        share=_SHARE if config.knn.index == "ivf" else 1.0,
        share_growth=0.0,
        compression=_COMPRESSION,
        threads=2,
        gemm_gflops=150.0,
        rows=(ROWS,),
        seconds=0.0,
    )
