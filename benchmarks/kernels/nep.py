"""NEP of 100,000 rows x 80 neighbors, against a sparse product (scipy).

    python -m benchmarks nep

Both start from the same table and give the same numbers. The product is made for a slice of the rows, because its result
fills memory; rows per second are compared.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import generated
from benchmarks.measuring.tables import Tables
from benchmarks.measuring.timing import interleaved
from raycluster.kernels.neighborhoods.nep import exponential_probability, neighbor_edge_probability, normalized
from raycluster.kernels.search.self_join import self_top_k
from raycluster.synthetic.generator import SyntheticConfig


@dataclass
class Args(Options):
    """Size of the table."""

    rows: int = 100_000
    k: int = 80
    peer_rows: int = 4_000
    """Rows of the slice that scipy computes."""
    rounds: int = 3


def tables(args: Args) -> Tables:
    """Yield the times of both."""
    vectors, _ = generated(SyntheticConfig(rows=args.rows, width=64, effective_dimension=60, mean_size=40))
    neighbor, similarity = self_top_k(vectors, args.k, 2)
    p_hat = normalized(exponential_probability(similarity))
    starts, shape = np.arange(0, args.rows * args.k + 1, args.k), (args.rows, args.rows)
    weights, ones = (
        csr_array((values.ravel(), neighbor.ravel(), starts), shape=shape) for values in (p_hat, np.ones_like(p_hat))
    )
    head = slice(0, args.peer_rows)

    def product() -> Any:
        both = weights[head] @ ones.T + ones[head] @ weights.T
        rows = np.repeat(np.arange(args.peer_rows), args.k)
        return both[rows, neighbor[head].ravel()].reshape(-1, args.k) / 2

    assert np.allclose(product(), neighbor_edge_probability(neighbor, p_hat)[head], atol=1e-5)
    times = interleaved({"ours": lambda: neighbor_edge_probability(neighbor, p_hat), "scipy": product}, args.rounds)
    rows = {"ours": args.rows, "scipy": args.peer_rows}
    rates = {name: rows[name] / min(times[name]) for name in times}
    yield (
        f"NEP, {args.rows:,} rows x {args.k}",
        [
            {"method": name, "rows": rows[name], "seconds": times[name], "rows/s": round(rate),
             "times slower": round(rates["ours"] / rate, 1)}
            for name, rate in rates.items()
        ],
    )  # fmt: skip


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=2000, k=20, peer_rows=200, rounds=1))
