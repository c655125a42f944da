"""All metrics of 5 million rows, against pairs and NMI by scikit-learn.

python -m benchmarks metrics
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import pair_confusion_matrix

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Tables
from benchmarks.measuring.timing import interleaved
from raycluster.evaluation.metrics import evaluate


@dataclass
class Args(Options):
    """Size of the labelling."""

    rows: int = 5_000_000
    identities: int = 80_000
    clusters: int = 100_000
    rounds: int = 2


def tables(args: Args) -> Tables:
    """Yield the times on labels where one row in five strays to a random cluster."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, args.identities, args.rows)
    stray = rng.random(args.rows) < 0.2
    predicted = np.where(stray, rng.integers(0, args.clusters, args.rows), truth)

    def peer() -> Any:
        return pair_confusion_matrix(truth, predicted), normalized_mutual_info_score(truth, predicted)

    times = interleaved(
        {"ours, all metrics": lambda: evaluate(truth, predicted), "scikit-learn, pairs and NMI": peer}, args.rounds
    )
    ours = min(times["ours, all metrics"])
    yield (
        f"metrics of {args.rows:,} rows",
        [{"method": name, "seconds": taken, "times slower": min(taken) / ours} for name, taken in times.items()],
    )


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=20_000, identities=300, clusters=400, rounds=1))
