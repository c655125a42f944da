"""S1's Table 2 on one source: FC-ES by transform of the similarities, and on Top-K.

    python -m benchmarks table2 --folder work

Sets, filter and options are those of `table3` in the same folder. Theta is the best of every row on the tuning set. Scores are
percent, with the mean over Infomap seeds.
"""

from collections.abc import Iterator

from benchmarks.measuring.script import Benchmark
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers import table3

DELTAS = (5.0, 7.5, 10.0)
"""Slopes of the sigmoid in Table 2."""
METHODS: list[tuple[str, str, dict[str, float]]] = [
    ("FC-ES + eq. 4", "fc-es", {}),
    *(("FC-ES + eq. 6", "fc-es-sigmoid", {"delta": delta}) for delta in DELTAS),
    ("FC-ES + eq. 6 + eq. 8 (Top-K)", "fc-es-topk", {}),
]
"""Name, recipe, and what is laid over its edges."""


def walks(comparison: table3.Comparison) -> Iterator[Row]:
    """Yield the scores of every walk, each at its best theta on the tuning set."""
    for name, recipe, edges in METHODS:
        tune, test = (comparison.laboratory.ready(recipe, which, **edges) for which in ("tune", "test"))
        theta = tune.best_theta()
        scores = test.clustered(theta, None, 1.0, comparison.args.infomap_seeds)
        yield {"method": name, **edges, "theta": theta, **scores}


def tables(args: table3.Args) -> Tables:
    """Yield the table as it grows."""
    done: Rows = []
    for row in walks(table3.Comparison(args)):
        done.append(row)
        yield f"Table 2 on one source: K {args.knn_k}", done


BENCHMARK = Benchmark(table3.Args, tables, table3.BENCHMARK.quick)
