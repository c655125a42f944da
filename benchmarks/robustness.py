"""What the untouched default does when a set comes in another guise: BCubed and pairwise F of each, as a Markdown table.

The rows are shuffled, thinned, rotated, scaled, given in float16, or moved off their center, and searched to other K. How far F_B
moved is told beside the same rows' labels in the set as it is: a thinned set is an easier task, not a guise. Times are those of
the model alone, on the set as it is, beside the whole of `auto` and of `cosine` in the same process.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tyro

from measure import Rows, print_tables, seconds
from raycluster import Clusterer
from raycluster.evaluation import metrics
from raycluster.kernels.search.self_join import self_top_k
from raycluster.stages import relations
from raycluster.storage.schemas import to_matrix

Floats = npt.NDArray[np.floating]
Guise = Callable[[Floats, np.random.Generator], tuple[Floats, npt.NDArray[np.int64]]]
CONSTANT = 32


@dataclass
class Args:
    """Labelled Parquets (embedding, label); at most `rows` of each, drawn at random."""

    test: tuple[str, ...]
    rows: int = 20_000
    threads: int = 2
    json: str | None = None


def _all(rows: Floats) -> npt.NDArray[np.int64]:
    return np.arange(len(rows))


def shuffled(rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    order = random.permutation(len(rows))
    return rows[order], order


def thinned(rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    kept = np.sort(random.permutation(len(rows))[: len(rows) * 9 // 10])
    return rows[kept], kept


def rotated(rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    turn, _ = np.linalg.qr(random.standard_normal((rows.shape[1], rows.shape[1])))
    return (rows @ turn).astype(np.float32), _all(rows)


def scaled(rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    return rows * random.uniform(0.1, 10, (len(rows), 1)).astype(np.float32), _all(rows)


def padded(length: float, rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Constant dimensions that are together of `length` times that of a unit row: no such set is centered."""
    constant = random.standard_normal(CONSTANT)
    constant *= length / np.linalg.norm(constant)
    return np.hstack([rows, np.tile(constant, (len(rows), 1))]).astype(np.float32), _all(rows)


def as_it_is(rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:  # noqa: ARG001
    return rows, _all(rows)


def in_float16(rows: Floats, random: np.random.Generator) -> tuple[Floats, npt.NDArray[np.int64]]:  # noqa: ARG001
    return rows.astype(np.float16), _all(rows)


GUISES: dict[str, tuple[Guise, int]] = {
    "as it is, K 80": (as_it_is, 80),
    "K 40": (as_it_is, 40),
    "K 160": (as_it_is, 160),
    "float16": (in_float16, 80),
    "10 % of the rows left out": (thinned, 80),
    "shuffled": (shuffled, 80),
    "rotated": (rotated, 80),
    "every row scaled by 0.1 to 10": (scaled, 80),
    **{
        f"{CONSTANT} constant dimensions, {length} times a row": (partial(padded, length), 80) for length in (0.5, 1, 2)
    },
}


def labels(rows: Floats, recipe: str, k: int, threads: int) -> tuple[npt.NDArray[np.int64], float]:
    """Labels by a recipe as it comes, and its seconds."""
    clusterer = Clusterer(recipe, overrides={"knn": {"k": k}}, threads=threads)
    spent = seconds(partial(clusterer.fit, rows))
    return clusterer.labels_, spent


def scores(truth: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> dict[str, float]:
    """F_P, F_B and BCubed precision in percent."""
    both = metrics.evaluate(truth, found)
    bcubed = both["bcubed"]
    return {"F_P": 100 * both["pairwise"]["f"], "F_B": 100 * bcubed["f"], "P_B": 100 * bcubed["precision"]}


def tables(args: Args) -> Iterator[tuple[str, Rows]]:
    """A table a set."""
    for url in args.test:
        table = pq.read_table(url, columns=["embedding", "label"])
        rows, label = to_matrix(table["embedding"]), table["label"].to_numpy()
        some = np.sort(np.random.default_rng(0).permutation(len(rows))[: args.rows])
        rows, label = rows[some], label[some]
        found: Rows = []
        plain, _ = labels(rows, "auto", 80, args.threads)  # the warm-up too: compiling is no part of a timing
        for name, (guise, k) in GUISES.items():
            seen, kept = guise(rows, np.random.default_rng(1))
            given, spent = labels(seen, "auto", k, args.threads)
            row = scores(label[kept], given)
            moved = row["F_B"] - scores(label[kept], plain[kept])["F_B"]
            found.append({"guise": name, **row, "s": spent, "F_B moved": moved})
        given, spent = labels(rows, "cosine", 80, args.threads)
        found.append({"guise": "`cosine`, K 80", **scores(label, given), "s": spent})
        unit = np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
        neighbors = self_top_k(unit, 80, args.threads)
        spent = seconds(partial(relations.scores_in_memory, "auto", *neighbors, unit, args.threads))
        yield f"{url}: the model alone judges {len(rows) / spent:.0f} rows a second", found


if __name__ == "__main__":
    args = tyro.cli(Args)
    print_tables("robustness", args, tables(args), args.json)
