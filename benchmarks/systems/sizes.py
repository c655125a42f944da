"""`auto` against its best limit, on identities of 1 to 3,000 rows.

    python -m benchmarks sizes --rows 30000

All identities of a set have the same number of rows. Three geometries: rows of uneven quality around random directions
(faces), features after a ReLU (positive), and identities of up to six modes (modes). The limit is swept over the scores of one
run, and pieces are joined again at every limit.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.measuring.machine import cores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.swept import swept
from benchmarks.measuring.tables import Rows, Tables
from raycluster.arrays import Float32, Int64
from raycluster.kernels.unit_rows import normalize

SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000)
"""Rows per identity."""
LEAST = 4
"""Identities of a set at least: sets of large identities have more rows than asked for."""
Floats = npt.NDArray[np.floating]
Random = np.random.Generator


@dataclass
class Args(Options):
    """Rows per set, sizes of identities and geometries."""

    rows: int = 4000
    sizes: tuple[int, ...] = SIZES
    geometries: tuple[str, ...] = ("faces", "positive", "modes")
    threads: int = cores()


def faces(truth: Int64, random: Random) -> Floats:
    """Return noisy rows, of uneven quality, around one random direction per identity."""
    centers = normalize(random.standard_normal((truth[-1] + 1, 256)))[0]
    quality = random.gamma(6, 0.13, (len(truth), 1))
    return centers[truth] + quality * random.standard_normal((len(truth), 256)) / 16


def positive(truth: Int64, random: Random) -> Floats:
    """Return features after a ReLU, of 24 dimensions in 256."""
    weights = random.standard_normal((24, 256))
    centers = random.standard_normal((truth[-1] + 1, 24))
    hidden = centers[truth] + 0.55 * random.standard_normal((len(truth), 24))
    return np.maximum(hidden @ weights + 2, 0)


def modes(truth: Int64, random: Random) -> Floats:
    """Return identities of one to six modes, five rows per mode or more."""
    count, size = truth[-1] + 1, int(np.bincount(truth)[0])
    centers = normalize(random.standard_normal((count, 96)))[0]
    parts = max(1, min(6, size // 5))
    places = random.standard_normal((count, parts, 96))
    places /= np.linalg.norm(places, axis=2, keepdims=True)
    mode = places[truth, random.integers(0, parts, len(truth))]
    return centers[truth] + 0.75 * mode + 0.7 * random.standard_normal((len(truth), 96)) / np.sqrt(96)


GEOMETRIES = {"faces": faces, "positive": positive, "modes": modes}


def made(geometry: str, size: int, rows: int) -> tuple[Float32, Int64]:
    """Return a set's unit rows (N, D) and identities (N,), in random order.

    Parameters
    ----------
    geometry : str
        A key of `GEOMETRIES`.
    size : int
        Rows per identity.
    rows : int
        N, at most `size` - 1 rows fewer; never fewer than `LEAST` identities.
    """
    truth = np.repeat(np.arange(max(LEAST, rows // size)), size).astype(np.int64)
    random = np.random.default_rng([size, *geometry.encode()])
    vectors = normalize(GEOMETRIES[geometry](truth, random).astype(np.float32))[0]
    order = random.permutation(len(truth))
    return np.ascontiguousarray(vectors[order], np.float32), truth[order]


def tables(args: Args) -> Tables:
    """Yield one table of all sets, growing."""
    table: Rows = []
    for geometry in args.geometries:
        for size in args.sizes:
            vectors, truth = made(geometry, size, args.rows)
            found = swept(vectors, truth, "auto", args.threads)
            table.append({
                "geometry": geometry, "rows per identity": size, "rows": len(truth),
                "F_P": round(100 * found.pairwise_f, 1), "F_B": round(100 * found.bcubed_f, 1),
                "limit": round(found.limit, 3), "best F_B": round(100 * found.best_f, 1),
                "best limit": round(found.best_limit, 3), "share of best": round(found.share_of_best, 3),
            })  # fmt: skip
        yield "auto against its best limit", table


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(rows=120, sizes=(3, 30), geometries=("faces",)))
