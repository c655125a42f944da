"""NDDe, TPDi and density peaks at 1 million rows x 80 neighbors, each timed; NDDe beside a sparse matrix product (scipy).

The lists are generated, not searched: identities of equal size, whose rows know most of each other and some strangers, in an
order of rows that tells nothing. They and P are memory maps, as in a run.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import tyro
from scipy.sparse import csr_array

from measure import peak_gib, report, timed
from raycluster.arrays import Bool, Float32, Int32
from raycluster.kernels.edge_rules import denser, density_peak_edges
from raycluster.kernels.neighborhoods.diffusion import diffuse, transition
from raycluster.kernels.neighborhoods.tpdi import closeness

BLOCK = 2**16


@dataclass
class Args:
    """Size of the table."""

    rows: int = 1_000_000
    k: int = 80
    size: int = 100
    """Rows an identity."""
    strangers: float = 0.3
    """Share of a list that is of other identities."""
    steps: int = 20
    """Steps of diffusion, whatever they change."""
    threads: int = 2
    peer: bool = True
    """Time scipy as well, which needs 16 bytes a neighbor more."""


def lists(args: Args, folder: str) -> tuple[Int32, Float32, Float32]:
    """Neighbor (N, K), P (N, K) and its square roots, memory-mapped."""
    rng = np.random.default_rng(0)
    shape = (args.rows, args.k)
    maps: dict[str, Any] = {
        name: np.lib.format.open_memmap(f"{folder}/{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, dtype in (("neighbor", "int32"), ("p", "float32"), ("root", "float32"))
    }
    place = rng.permutation(args.rows).astype(np.int32)  # of identity r // size, r in an order of identities
    for start in range(0, args.rows, BLOCK):
        own = np.arange(start, min(start + BLOCK, args.rows))
        step = rng.permutation(np.arange(1, args.size))[: args.k - 1]
        near = own[:, None] - own[:, None] % args.size + (own[:, None] + step) % args.size
        stranger = rng.random(near.shape) < args.strangers
        far = rng.integers(0, args.rows, near.shape)
        listed = np.column_stack([own, np.where(stranger, far, np.minimum(near, args.rows - 1))])
        similarity = np.sort(rng.random(listed.shape, np.float32) * np.where(listed == own[:, None], 1, 0.9), axis=1)[
            :, ::-1
        ]
        p = transition(similarity)
        maps["neighbor"][place[own]] = place[listed]
        maps["p"][place[own]], maps["root"][place[own]] = p, np.sqrt(p)
    for each in maps.values():
        each.flush()
    return tuple(np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in maps)


def rounded(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a work gives, and its seconds."""
    found, wall, cpu = timed(work)
    return found, {"wall": round(wall, 2), "cpu": round(cpu, 2)}


def parts(args: Args, neighbor: Int32, p: Float32, root: Float32) -> tuple[Float32, int, dict[str, dict[str, float]]]:
    """Density (N,), the number of edges, and what each part took."""
    seconds = {}
    found, seconds["NDDe"] = rounded(lambda: diffuse(neighbor, p, args.steps, 0.0))

    def distances() -> tuple[Bool, Float32]:
        uphill = denser(0, neighbor, found.density)
        return uphill, closeness(neighbor, root, wanted=uphill, threads=args.threads)

    (uphill, close), seconds["TPDi of denser neighbors"] = rounded(distances)
    edges, seconds["density peaks"] = rounded(lambda: density_peak_edges(0, neighbor, p, uphill, close, 0.3))
    return found.density, len(edges["source"]), seconds


def main(args: Args) -> None:
    """Compile on a few rows, then time each part once."""
    numba.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        small = Args(rows=1000, k=args.k, size=args.size, steps=1)
        parts(small, *lists(small, folder))
        neighbor, p, root = lists(args, folder)
        density, edges, seconds = parts(args, neighbor, p, root)
        own = peak_gib()
        if args.peer:
            starts = np.arange(0, args.rows * args.k + 1, args.k)
            matrix = csr_array((p.ravel(), neighbor.ravel(), starts), shape=(args.rows, args.rows)).T

            def product() -> Any:
                density: Any = np.ones(args.rows)
                for _ in range(args.steps):
                    density = matrix @ density
                return density

            expected, seconds["NDDe, scipy"] = rounded(product)
            assert np.allclose(expected, density, rtol=1e-5)
    report({
        "benchmark": "density", "rows": args.rows, "k": args.k, "steps": args.steps, "threads": args.threads,
        "seconds": seconds, "edges": edges, "peak_gib_without_scipy": own,
    })  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Args))
