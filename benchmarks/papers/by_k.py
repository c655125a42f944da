"""S1's Tables 2 and 4 at several K: how many neighbors do the walk and MoE-SDT need?

    python -m benchmarks by_k --folder work

Networks and options are those of `table3`. Every seed has a training set and a test set of its own, which all K share. Their
identities have about 70 rows, as in MS1M. Every seed and K has a folder, a filter, a theta and a floor of its own. Table 2 has no
network but the filter. Table 4 has MoE-SDT at every eta. Scores are means over seeds with a 95 % interval by Student's t.
Differences are paired by seed. Below the last eta the first Infomap seed counts alone.
"""

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.measuring.script import Benchmark
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers import table2, table3
from benchmarks.papers._intervals import claim, in_words
from benchmarks.papers._laboratory import SCORES
from benchmarks.papers.table3 import Comparison

METHOD = "MoE-SDT"
"""The row of Table 3 that Table 4 is about."""
PERFECT = "perfect predictor"
WALK = "FC-ES + eq. 6 + eq. 8 (Top-K)"
PLAIN, SIGMOID = "FC-ES + eq. 4", "FC-ES + eq. 6, delta 7.5"
Points = dict[tuple[int, str], dict[int, Row]]
"""Scores by K and method, then by seed."""


@dataclass
class Args(table3.Args):
    """The options of `table3`; every seed and K has a folder in the folder."""

    ks: tuple[int, ...] = (40, 80, 160)
    """Neighbors per row, those of Table 4, in place of `knn_k`."""
    set_k: int | None = 80
    """K that the sizes of generated identities suit: 80 gives 70 rows, about as in MS1M."""
    forms: tuple[str, ...] = ("row",)
    infomap_seeds: tuple[int, ...] = (1, 2, 3)


def comparison(args: Args, seed: int, k: int) -> Comparison:
    """Return the comparison of a seed at a K, made in its own folder."""
    own: dict[str, Any] = {"folder": f"{args.folder}/s{seed}-k{k}", "knn_k": k, "set_seed": seed, "methods": (METHOD,)}
    return Comparison(replace(args, **own))


def measured(args: Args, points: Points, seed: int, k: int) -> None:
    """Add the scores of a seed at a K: the walks, the bound, and MoE-SDT at every eta."""
    at = comparison(args, seed, k)
    for row in table2.walks(at):
        name = f"{row['method']}, delta {row['delta']:g}" if "delta" in row else row["method"]
        points.setdefault((k, name), {})[seed] = row
    *_, perfect = at.bounds()
    points.setdefault((k, PERFECT), {})[seed] = perfect
    for form in args.forms:
        for eta, scores in at.point(form, METHOD, seed)["by eta"].items():
            points.setdefault((k, name_of(form, eta)), {})[seed] = scores


def name_of(form: str, eta: float | str) -> str:
    """Return the name of MoE-SDT in a form at an eta."""
    return f"{METHOD}, {form} form, eta {eta}"


def means(points: Points) -> Rows:
    """Return a row per K and method, with means and intervals."""
    return [
        {"K": k, "method": method}
        | {name: in_words([float(row[name]) for row in seeds.values()]) for name in SCORES}
        | {"sets": len(seeds)}
        for (k, method), seeds in sorted(points.items(), key=lambda item: item[0][0])
    ]


def claims(points: Points, args: Args) -> Rows:
    """Return what the paper says of its Tables 2 and 4, with paired differences and a verdict by F_B."""
    wanted: list[tuple[str, tuple[int, str], tuple[int, str]]] = []
    for k in args.ks:
        at = f"at K {k}"
        wanted += [
            (f"eq. 6 with delta 7.5 improves eq. 4 {at}", (k, SIGMOID), (k, PLAIN)),
            (f"delta 7.5 is above 5 {at}", (k, SIGMOID), (k, "FC-ES + eq. 6, delta 5")),
            (f"delta 7.5 is above 10 {at}", (k, SIGMOID), (k, "FC-ES + eq. 6, delta 10")),
            (f"Top-K improves eq. 6 {at}", (k, WALK), (k, SIGMOID)),
        ]
        for form in args.forms:
            own = (k, name_of(form, table3.ETAS[-1]))
            wanted += [
                (f"MoE-SDT improves the walk {at}", own, (k, WALK)),
                (f"eta 0.9 is above 0.5 {at}", own, (k, name_of(form, table3.ETAS[0]))),
            ]
            if k != 80 and 80 in args.ks:
                wanted.append((f"MoE-SDT is better with K 80 than with {k}", (80, name_of(form, table3.ETAS[-1])), own))
    return [claim(sentence, points[better], points[other], SCORES) for sentence, better, other in wanted]


def tables(args: Args) -> Tables:
    """Yield the tables after every seed, as they grow."""
    points: Points = {}
    for seed in args.seeds:
        for k in args.ks:
            measured(args, points, seed, k)
        yield "Tables 2 and 4 by K", means(points)
        yield "Tables 2 and 4 by K: paired differences", claims(points, args)


def _quick(folder: str) -> Args:
    sizes: dict[str, Any] = {"train_rows": 800, "test_rows": 400, "steps": 3, "filter_steps": 4, "set_k": 10}
    return Args(folder=folder, seeds=(0,), infomap_seeds=(1,), ks=(10, 20), **sizes)


BENCHMARK = Benchmark(Args, tables, _quick)
