"""Rates for `--estimate.probe-seconds 0`: measured once on two cores, scaled to no other machine but by its cores.

kNN, NEP and networks from the README's table (Speed); what is left from the `rates` that `--dry-run` printed for recipe
`cosine` at 16,384 rows of width 256 and K 80 on two busy cores of an EPYC (Zen 4), 2026-11-24: up to 4 times too slow.
"""

from raycluster.config import Config
from raycluster.estimate import laws
from raycluster.estimate.laws import Scale
from raycluster.estimate.probe import Rate, Rates
from raycluster.pipeline import STAGES

_NETWORK = Rate(0.1, 1 / (2360 * 80))
"""A neighbor, row form, width 128, two layers; the pair form takes ten times that a pair and more."""
_NEP = Rate(0.09, 2.8 / 8e6)
_THRESHOLD_EDGES = Rate(0.013, 2.5e-7)
_SELF_JOIN = Rate(0.07, 2 / 59e9)
_EXACT = Rate(0.07, 2 / 128e9)
_LISTS = Rate(0.04, 2 / 41e9)
"""Of 300,000 rows in 140 CPU seconds, which read 4.2 % of the rows: gathering them costs more than the products."""
_SHARE = 0.042
ROWS = 300_000
_ONCE = {"lists": Rate(0.1, 4e-10), "edges": Rate(0.17, 4.4e-7)}
_TASKS = {
    "ingest": Rate(0.004, 1.0e-7),
    "embeddings": Rate(0.008, 3.7e-8),
    "lists": Rate(0.02, 1.0e-10),
    "topk": _NETWORK,
    "contexts": _NETWORK,
    "relations": _NETWORK,
    "density": Rate(0.1, 2e-7),
    "communities": Rate(0.0014, 1.0e-7),
    "labels": Rate(0.014, 1.6e-7),
}
_COMPRESSION = {"ingest": 0.92, "embeddings": 0.93, "knn": 0.72, "edges": 0.45, "communities": 0.9, "labels": 0.18}


def stored_rates(config: Config, scale: Scale) -> Rates:
    """The rates of a run's stages, with the most edges a row there can be."""
    own = {
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
