"""NEP on 100k rows x 80 neighbors: our kernel against a sparse matrix product (scipy), on the same table.

The product gives the same numbers, on a slice of the rows because its result fills memory; rows a second are compared.
"""

from dataclasses import dataclass

import numpy as np
import tyro
from scipy.sparse import csr_array

from measure import interleaved, report
from raycluster.kernels.neighborhoods.nep import exponential_probability, neighbor_edge_probability, normalized
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.synthetic.generator import SyntheticConfig, generate


@dataclass
class Args:
    """Size of the table."""

    rows: int = 100_000
    k: int = 80
    peer_rows: int = 4_000
    rounds: int = 3


def main(args: Args) -> None:
    """Build a real kNN table of synthetic identities, then time both sides in turn."""
    blocks = generate(SyntheticConfig(rows=args.rows, width=64, effective_dimension=60, mean_size=40))
    vectors = np.concatenate([block[1] for block in blocks])
    neighbor, similarity = exact_top_k(vectors, np.arange(args.rows, dtype=np.int32), vectors, args.k, 2)
    p_hat = normalized(exponential_probability(similarity))
    starts = np.arange(0, args.rows * args.k + 1, args.k)
    shape = (args.rows, args.rows)
    weights = csr_array((p_hat.ravel(), neighbor.ravel(), starts), shape=shape)
    ones = csr_array((np.ones_like(p_hat).ravel(), neighbor.ravel(), starts), shape=shape)
    part = slice(0, args.peer_rows)

    def product() -> np.ndarray:
        both = weights[part] @ ones.T + ones[part] @ weights.T
        rows = np.repeat(np.arange(args.peer_rows), args.k)
        return np.asarray(both[rows, neighbor[part].ravel()]).reshape(-1, args.k) / 2

    assert np.allclose(product(), neighbor_edge_probability(neighbor, p_hat)[part], atol=1e-5)
    times = interleaved({"ours": lambda: neighbor_edge_probability(neighbor, p_hat), "scipy": product}, args.rounds)
    ours, peer = args.rows / min(times["ours"]), args.peer_rows / min(times["scipy"])
    report({
        "benchmark": "NEP", "rows": args.rows, "k": args.k, "seconds": times, "scipy_rows": args.peer_rows,
        "rows_per_second": {"ours": round(ours), "scipy": round(peer)}, "ratio": round(ours / peer, 1),
    })  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Args))
