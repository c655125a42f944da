"""Harder sets from a labelled one: noise, few components, other sizes.

python -m benchmarks harder_sets --input labelled.parquet --output FOLDER
python -m benchmarks learned --model auto --test FOLDER/*.parquet --folder runs
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import labelled, small
from benchmarks.measuring.tables import Rows, Tables
from raycluster.kernels.unit_rows import normalize

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Random = np.random.Generator
Made = tuple[Floats, Ints]
"""Rows (M, D), and which rows of the set they come from (M,)."""


@dataclass
class Args(Options):
    """A labelled Parquet (id, embedding, label) and a folder for the harder ones."""

    input: str
    output: str
    seed: int = 0


def noisy(unit: Floats, label: Ints, random: Random, length: float, even: bool = True) -> Made:  # noqa: ARG001
    """Return every row with noise of `length` times its own length.

    Uneven noise has a random share of that.
    """
    share = 1.0 if even else random.random((len(unit), 1))
    noise, _ = normalize(random.standard_normal(unit.shape))
    return normalize(unit + length * share * noise)[0], np.arange(len(unit))


def compressed(unit: Floats, label: Ints, random: Random, components: int) -> Made:  # noqa: ARG001
    """Return the first principal components of every row."""
    centered = unit - unit.mean(axis=0)
    _, turn = np.linalg.eigh(centered.T @ centered)
    return normalize(unit @ turn[:, -components:])[0], np.arange(len(unit))


def sized(unit: Floats, label: Ints, random: Random, least: int = 1, most: int = 2**31) -> Made:
    """Return rows of identities of `least` rows or more, at most `most` per identity.

    They are drawn at random.
    """
    order = random.permutation(len(label))
    of = label[order]
    by_label = np.argsort(of, kind="stable")
    rank = np.empty(len(of), np.int64)
    rank[by_label] = np.arange(len(of)) - np.searchsorted(of[by_label], of[by_label])
    kept = np.sort(order[(np.bincount(label)[of] >= least) & (rank < most)])
    return unit[kept], kept


HARDER: dict[str, Callable[[Floats, Ints, Random], Made]] = {
    **{f"noise-{length}": partial(noisy, length=length) for length in (1.0, 1.2, 1.5, 2.0)},
    "noise-uneven-2.5": partial(noisy, length=2.5, even=False),
    **{f"components-{count}": partial(compressed, components=count) for count in (64, 32, 24, 16)},
    "identities-of-10": partial(sized, least=10),
    "identities-up-to-5": partial(sized, most=5),
}


def tables(args: Args) -> Tables:
    """Write every set and yield their sizes."""
    columns = pq.read_table(args.input)
    embeddings, label = labelled(args.input)
    unit, _ = normalize(embeddings)
    Path(args.output).mkdir(parents=True, exist_ok=True)
    written: Rows = []
    for number, (name, make) in enumerate(HARDER.items()):
        rows, kept = make(unit, label, np.random.default_rng([args.seed, number]))
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        path = Path(args.output) / f"{Path(args.input).stem}-{name}.parquet"
        made = columns.select(["id", "embedding", "label"]).take(pa.array(kept)).set_column(1, "embedding", embedding)
        pq.write_table(made, path)
        written.append({"set": str(path), "rows": len(rows), "identities": len(np.unique(label[kept]))})
    yield f"harder sets of {args.input}", written


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(small(folder), f"{folder}/harder"))
