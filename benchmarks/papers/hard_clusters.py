"""S2's Tables 2, 3 and 5: do NDDe and TPDi help, and which identities?

    python -m benchmarks hard_clusters --test labelled.parquet --folder runs [--model MODEL]

M1 to M4 cluster by density peaks on the same similarities, a model's or cosines: with a standard density (a row's summed
similarity, or the neighbors within a ball) or NDDe, and with cosine distance or TPDi. Each is scored at S2's tau 0.7 and at
its best tau on the test labels themselves (BCubed F of a sweep), a bound no one reaches. Groups are fifths of the identities,
sz-1 the largest, sp-1 the least sparse of those with two rows or more; F, precision and recall are of a group's identities,
where wrong merges with others count (`metrics.hard_cluster_table`). Rows without a label are clustered and not scored. All
methods share a run folder: neighbors and scores are made once. Of several sets the means are shown, with a 95 % interval by
Student's t, and differences paired by set.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring.runs import evaluated
from benchmarks.measuring.scores import best, scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers._intervals import claim, in_words
from raycluster.config.load import apply, load_config
from raycluster.config.stages import Config
from raycluster.models.requirements import recipe_of

METHODS = {
    "M1 standard": ("volume", "cosine"),
    "M2 TPDi": ("volume", "tpdi"),
    "M3 NDDe": ("diffusion", "cosine"),
    "M4 NDDe + TPDi": ("diffusion", "tpdi"),
    "M1 with the ball": ("ball", "cosine"),
    "M2 with the ball": ("ball", "tpdi"),
}
"""S2's names, with kind of density and distance."""
CLAIMS = (
    ("NDDe improves M1", "M3 NDDe", "M1 standard"),
    ("TPDi improves M1", "M2 TPDi", "M1 standard"),
    ("NDDe improves M1 with the ball", "M3 NDDe", "M1 with the ball"),
    ("TPDi improves M1 with the ball", "M2 with the ball", "M1 with the ball"),
    ("NDDe gains more than TPDi", "M3 NDDe", "M2 TPDi"),
    ("NDDe gains more than TPDi with the ball", "M3 NDDe", "M2 with the ball"),
    ("both are above TPDi alone", "M4 NDDe + TPDi", "M2 TPDi"),
    ("both are above NDDe alone", "M4 NDDe + TPDi", "M3 NDDe"),
)
"""What S2 says of its Table 5: the sentence, the better row and the other."""
BEST = "the best tau of either"
MEANS = ("P_P", "R_P", "F_P", "F_B", "R_P sz-5", "R_P sp-5")
HARDEST = ("sz-5", "sp-5")
"""The fifths of the smallest and of the sparsest identities."""
TAU = 0.7
"""S2's largest distance of an edge."""
CLOSENESS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Sweep of the least closeness of an edge, 1 - tau."""
GROUPED = {"F_P": ("pairwise", "f"), "R_P": ("pairwise", "recall"), "F_B": ("bcubed", "f"), "R_B": ("bcubed", "recall")}


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label), and a folder for runs."""

    test: tuple[str, ...]
    folder: str
    model: str | None = None
    """Model of jobs/train.py that scores all neighbors of a row, and has not seen the sets; none takes the cosines."""
    knn_k: int = 80
    """Neighbors a row without a model, the row itself included."""
    radius: float = 0.5
    """Radius of the ball, as 1 - similarity."""
    density_sigma: float | None = 0.5
    tpdi_sigma: float | None = 0.05
    """Sharpness of P in the density and in TPDi, as density.sigma and edges.sigma; none has P as printed."""


def recipe(args: Args) -> Config:
    """Return the configuration whose similarities are used."""
    if args.model is None:
        return load_config("cosine", {"knn": {"k": args.knn_k}}, "hard_clusters")
    return apply(recipe_of(args.model), {"model": args.model}, args.model)


def config_of(args: Args, kind: str, distance: str, closeness: float) -> Config:
    """Return density peaks over those similarities, with all edges stored for a sweep."""
    peaks = {"rule": "density-peaks", "distance": distance, "sigma": args.tpdi_sigma}
    values = {
        "density": {"kind": kind, "sigma": args.density_sigma, "radius": args.radius},
        "edges": {**peaks, "closeness": closeness, "reserve": 1.0},
        "communities": {"engine": "components"},
    }
    return apply(recipe(args), values, "hard_clusters")


def scored(test: str, url: str, config: Config, sweep: tuple[float, ...] = ()) -> dict[str, Any]:
    """Return the result of `evaluate` for a set clustered by `config`."""
    return evaluated(test, url, config, sweep, replan=True, hard_clusters=True)[0]


def groups(method: str, found: dict[str, Any]) -> Rows:
    """Return one row per score, with one column per group."""
    table = found["hard_clusters"]
    return [
        {"method": method, "score": name, **{group: 100 * each[kind][part] for group, each in table.items()}}
        | {"all": 100 * found[kind][part]}
        for name, (kind, part) in GROUPED.items()
    ]


def whole(method: str, tau: float | str, found: dict[str, Any]) -> Row:
    """Return the scores of the whole set, and pairwise recall of its hardest fifths."""
    recalls = {f"R_P {group}": 100 * found["hard_clusters"][group]["pairwise"]["recall"] for group in HARDEST}
    return {"method": method, "tau": tau, **scores(found), **recalls, "clusters": found["clusters"]}


def tables_of(test: str, args: Args) -> Tables:
    """Yield the ablation of one set, then its groups at tau 0.7 and at the best."""
    name = Path(test).stem
    url = f"{args.folder}/{name}-{Path(args.model).name if args.model else 'cosine'}"
    ablation: Rows = []
    grouped: tuple[Rows, Rows] = ([], [])
    found: dict[str, Any] = {}
    for method, (kind, distance) in METHODS.items():
        found = scored(test, url, config_of(args, kind, distance, round(1 - TAU, 2)), CLOSENESS)
        top = best(found["sweep"])
        tuned = scored(test, url, config_of(args, kind, distance, top["threshold"]))
        ablation += [whole(method, TAU, found), whole(method, f"{1 - top['threshold']:.2f}, best", tuned)]
        grouped[0].extend(groups(method, found))
        grouped[1].extend(groups(method, tuned))
    own = recipe(args)
    if own.edges.rule != "density-peaks":
        plain = scored(test, f"{url}-own", own)
        ablation.append(whole(own.recipe, "its own edges", plain))
        for rows in grouped:
            rows.extend(groups(own.recipe, plain))
    counts = {group: each["identities"] for group, each in found["hard_clusters"].items()}
    yield f"{name}: M1 to M4", ablation
    for rows, where in zip(grouped, (f"tau {TAU}", "each method's best tau"), strict=True):
        sizes = {"method": "", "score": "identities", **counts, "all": found["identities"]}
        yield f"{name}: by size and sparsity, at {where}", [*rows, sizes]


def over_sets(ablations: list[Rows]) -> Iterator[tuple[str, Rows]]:
    """Yield means over sets of the ablation, then what the paper says of it, with differences paired by set."""
    points: dict[tuple[str, str], dict[int, Row]] = {}
    for number, ablation in enumerate(ablations):
        for row in ablation:
            at = BEST if "best" in str(row["tau"]) else f"tau {row['tau']}"
            points.setdefault((row["method"], at), {})[number] = row
    yield (
        "means over sets",
        [
            {"method": method, "at": at}
            | {name: in_words([row[name] for row in own.values()]) for name in MEANS}
            | {"sets": len(own)}
            for (method, at), own in points.items()
        ],
    )
    yield (
        "paired differences",
        [
            claim(f"{sentence}, at {at}", points[better, at], points[other, at], ("F_P", "F_B"))
            for at in (f"tau {TAU}", BEST)
            for sentence, better, other in CLAIMS
        ],
    )


def tables(args: Args) -> Tables:
    """Yield the tables of the set, or the means of several."""
    if len(args.test) == 1:
        yield from tables_of(args.test[0], args)
        return
    ablations: list[Rows] = []
    for test in args.test:
        (_, ablation), *_ = tables_of(test, args)
        ablations.append(ablation)
        for title, rows in over_sets(ablations):
            yield f"M1 to M4 over sets: {title}", rows


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args((small(folder, rows=200),), f"{folder}/runs", knn_k=12))
