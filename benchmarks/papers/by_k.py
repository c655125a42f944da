"""S1's Tables 2 and 4 at several K, on one set: how many neighbors do the walk and MoE-SDT need?

    python -m benchmarks by_k --folder work

Networks and options are those of `table3`. All K share two sets whose identities have about 70 rows, as in MS1M. Every K has a
folder, a filter, a theta and a floor of its own. Table 2 has no network but the filter. Table 4 has MoE-SDT at every eta, with
the mean over trainings and a 95 % interval by Student's t. Below the last eta the first Infomap seed counts alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.measuring.script import Benchmark
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers import table2, table3
from benchmarks.papers.table3 import Comparison, Points

METHOD = "MoE-SDT"
"""The row of Table 3 that Table 4 is about."""


@dataclass
class Args(table3.Args):
    """The options of `table3`; every K has a folder in the folder."""

    ks: tuple[int, ...] = (40, 80, 160)
    """Neighbors per row, those of Table 4, in place of `knn_k`."""
    set_k: int | None = 80
    """K that the sizes of generated identities suit: 80 gives 70 rows, about as in MS1M."""
    forms: tuple[str, ...] = ("row",)
    seeds: tuple[int, ...] = (0, 1, 2)
    infomap_seeds: tuple[int, ...] = (1, 2, 3)


def comparisons(args: Args) -> dict[int, Comparison]:
    """Return the comparison of every K, made in its own folder."""
    return {k: Comparison(replace(args, folder=f"{args.folder}/k{k}", knn_k=k, methods=(METHOD,))) for k in args.ks}


def by_walk(made: dict[int, Comparison]) -> Iterator[Row]:
    """Yield the rows of Table 2 at every K, and what a perfect predictor adds to the last."""
    for k, comparison in made.items():
        yield from ({"K": k, **row} for row in table2.walks(comparison))
        *_, perfect = comparison.bounds()
        yield {"K": k, **perfect}


def by_eta(points: dict[int, Points], forms: tuple[str, ...]) -> Rows:
    """Return the rows of Table 4, with how many trainings they are of."""
    return [
        {**row, "trainings": len(own[row["form"], METHOD])}
        for k, own in points.items()
        for row in table3.by_eta(own, k, list(forms))
    ]


def tables(args: Args) -> Tables:
    """Yield both tables as they grow."""
    made = comparisons(args)
    walks: Rows = []
    for row in by_walk(made):
        walks.append(row)
        yield "Table 2 by K", walks
    points: dict[int, Points] = {k: {} for k in made}
    for seed in args.seeds:
        for form in args.forms:
            for k, comparison in made.items():
                points[k].setdefault((form, METHOD), {})[seed] = comparison.point(form, METHOD, seed)
                yield "Table 4 by K: MoE-SDT", by_eta(points, args.forms)


def _quick(folder: str) -> Args:
    sizes: dict[str, Any] = {"train_rows": 800, "test_rows": 400, "steps": 3, "filter_steps": 4, "set_k": 10}
    return Args(folder=folder, seeds=(0,), infomap_seeds=(1,), ks=(10, 20), **sizes)


BENCHMARK = Benchmark(Args, tables, _quick)
