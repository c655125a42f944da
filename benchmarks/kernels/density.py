"""NDDe, TPDi and density peaks: 1 million rows x 80 neighbors.

    python -m benchmarks density

The lists are generated, not searched: identities of equal size, whose rows list most of each other and some strangers,
in a random order of rows. They and P are memory maps, as in a run.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
from scipy.sparse import csr_array

from benchmarks.measuring.isolation import call
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import planted_neighbors
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.measuring.timing import peak_gib, timed
from raycluster.arrays import Float32, Int32
from raycluster.kernels.edge_rules import denser, density_peak_edges
from raycluster.kernels.neighborhoods.diffusion import diffuse, transition
from raycluster.kernels.neighborhoods.tpdi import closeness

CLOSENESS = 0.3
"""Least closeness of an edge: S2's tau of 0.7."""


@dataclass
class Args(Options):
    """Size of the table."""

    rows: int = 1_000_000
    k: int = 80
    size: int = 100
    """Rows per identity."""
    strangers: float = 0.3
    """Share of a list that is of other identities."""
    steps: int = 20
    """Steps of diffusion, whatever they change."""
    threads: int = 2
    peer: bool = True
    """Time scipy as well, which needs 16 bytes more per neighbor."""


def write_lists(args: Args, folder: str) -> None:
    """Write neighbor (N, K), P (N, K) and its square roots to a folder."""
    neighbor, similarity = planted_neighbors(args.rows, args.k, args.size, args.strangers)
    p = transition(similarity)
    for name, values in (("neighbor", neighbor), ("p", p), ("root", np.sqrt(p))):
        np.save(f"{folder}/{name}.npy", values)


@contextmanager
def lists(args: Args) -> Iterator[tuple[Int32, Float32, Float32]]:
    """Yield neighbor, P and its square roots (N, K) as memory maps.

    Another process makes them, so that its memory does not count.
    """
    with tempfile.TemporaryDirectory() as folder:
        call(write_lists, args, folder)
        neighbor, p, root = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in ("neighbor", "p", "root"))
        yield neighbor, p, root


def ours(args: Args, neighbor: Int32, p: Float32, root: Float32) -> tuple[Float32, Rows]:
    """Return the density (N,) and the time of each kernel."""
    diffusion = timed(lambda: diffuse(neighbor, p, args.steps, 0.0))
    uphill = denser(0, neighbor, diffusion.result.density)
    distances = timed(lambda: closeness(neighbor, root, is_needed=uphill, threads=args.threads))
    peaks = timed(lambda: density_peak_edges(0, neighbor, p, uphill, distances.result, CLOSENESS))
    table = [
        {"kernel": "NDDe", **diffusion.columns},
        {"kernel": "TPDi of denser neighbors", **distances.columns},
        {"kernel": "density peaks", **peaks.columns, "edges": len(peaks.result["source"])},
    ]
    return diffusion.result.density, [*table, {"kernel": "all of these", "peak GiB": peak_gib()}]


def tables(args: Args) -> Tables:
    """Yield the times, after compiling on a few rows."""
    numba.set_num_threads(args.threads)
    few = replace(args, rows=10 * args.size, steps=1)
    with lists(few) as arrays:
        ours(few, *arrays)
    with lists(args) as (neighbor, p, root):
        density, table = ours(args, neighbor, p, root)
        if args.peer:
            starts = np.arange(0, args.rows * args.k + 1, args.k)
            matrix = csr_array((p.ravel(), neighbor.ravel(), starts), shape=(args.rows, args.rows)).T

            def product() -> Any:
                values: Any = np.ones(args.rows)
                for _ in range(args.steps):
                    values = matrix @ values
                return values

            peer = timed(product)
            assert np.allclose(peer.result, density, rtol=1e-5)
            table.append({"kernel": "NDDe, scipy", **peer.columns})
    yield f"{args.rows:,} rows x {args.k}, {args.steps} steps, {args.threads} threads", table


BENCHMARK = Benchmark(Args, tables, quick=lambda _: Args(rows=3000, k=10, size=20, steps=3))
