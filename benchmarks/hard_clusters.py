"""S2's Tables 2, 3 and 5 for any labelled sets: does NDDe or TPDi help, and whom? Markdown on stdout, JSON in a file.

M1 to M4 cluster by density peaks on the same similarities, a model's or cosines: with the standard density (a row's summed
similarity) or NDDe, and with cosine distance or TPDi. Each is scored at S2's tau 0.7 and at its best tau on the test labels
themselves (BCubed F of a sweep), a bound no one reaches. Groups are fifths of the identities, sz-1 the largest, sp-1 the least
sparse of those with two rows or more; F, precision and recall are of a group's identities, where wrong merges with others
count (`metrics.hard_cluster_table`). Rows without a label are clustered and not scored. All methods share a run
folder: neighbors and scores are made once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from ablation import best, scores
from measure import Rows, print_tables
from raycluster.config.load import apply, load_config
from raycluster.config.stages import Config
from raycluster.evaluation.evaluate import EvaluateArgs, evaluate
from raycluster.models.requirements import recipe_of
from raycluster.pipeline import run as pipeline
from raycluster.pipeline.run import Execution

METHODS = {
    "M1 standard": ("volume", "cosine"),
    "M2 TPDi": ("volume", "tpdi"),
    "M3 NDDe": ("diffusion", "cosine"),
    "M4 NDDe + TPDi": ("diffusion", "tpdi"),
}
"""S2's names, with kind of density and distance."""
TAU = 0.7
CLOSENESS = tuple(round(0.05 * step, 2) for step in range(1, 20))
GROUPED = {"F_P": ("pairwise", "f"), "R_P": ("pairwise", "recall"), "F_B": ("bcubed", "f"), "R_B": ("bcubed", "recall")}


@dataclass
class Args:
    """Labelled Parquets (id, embedding, label), and a folder for runs."""

    test: tuple[str, ...]
    folder: str
    model: str | None = None
    """Model of jobs/train.py that scores all neighbors of a row, and has not seen the sets; none takes the cosines."""
    knn_k: int = 80
    """Neighbors a row without a model, the row itself included."""
    density_sigma: float | None = 0.5
    tpdi_sigma: float | None = 0.05
    """Sharpness of P in the density and in TPDi, as density.sigma and edges.sigma; none has P as printed."""
    json: str | None = None


def recipe(args: Args) -> Config:
    """Whose similarities are used."""
    if args.model is None:
        return load_config("cosine", {"knn": {"k": args.knn_k}}, "hard_clusters")
    return apply(recipe_of(args.model), {"model": args.model}, args.model)


def config_of(args: Args, kind: str, distance: str, closeness: float) -> Config:
    """Density peaks over those similarities, with all edges stored for a sweep."""
    peaks = {"rule": "density-peaks", "distance": distance, "sigma": args.tpdi_sigma}
    values = {
        "density": {"kind": kind, "sigma": args.density_sigma},
        "edges": {**peaks, "closeness": closeness, "reserve": 1.0},
        "communities": {"engine": "components"},
    }
    return apply(recipe(args), values, "hard_clusters")


def scored(test: str, url: str, config: Config, sweep: tuple[float, ...] = ()) -> dict[str, Any]:
    """What `evaluate` finds of a set clustered by `config`."""
    pipeline.cluster(test, url, config, Execution("local", replan=True))
    return evaluate(EvaluateArgs(url, test, sweep=sweep, hard_clusters=True))


def groups(method: str, found: dict[str, Any]) -> Rows:
    """A row for each score, a column for each group."""
    table = found["hard_clusters"]
    return [
        {"method": method, "score": name, **{group: 100 * each[kind][part] for group, each in table.items()}}
        | {"all": 100 * found[kind][part]}
        for name, (kind, part) in GROUPED.items()
    ]


def told(method: str, tau: float | str, found: dict[str, Any]) -> dict[str, Any]:
    """The whole set's scores."""
    return {"method": method, "tau": tau, **scores(found), "clusters": found["clusters"]}


def tables_of(test: str, args: Args) -> Iterator[tuple[str, Rows]]:
    """The ablation of one set, then its groups at tau 0.7 and at each method's best."""
    name = Path(test).stem
    url = f"{args.folder}/{name}-{Path(args.model).name if args.model else 'cosine'}"
    ablation: Rows = []
    grouped: tuple[Rows, Rows] = ([], [])
    found: dict[str, Any] = {}
    for method, (kind, distance) in METHODS.items():
        found = scored(test, url, config_of(args, kind, distance, round(1 - TAU, 2)), CLOSENESS)
        top = best(found["sweep"])
        tuned = scored(test, url, config_of(args, kind, distance, top["threshold"]))
        ablation += [told(method, TAU, found), told(method, f"{1 - top['threshold']:.2f}, best", tuned)]
        grouped[0].extend(groups(method, found))
        grouped[1].extend(groups(method, tuned))
    own = recipe(args)
    if own.edges.rule != "density-peaks":
        plain = scored(test, f"{url}-own", own)
        ablation.append(told(own.recipe, "its own edges", plain))
        for rows in grouped:
            rows.extend(groups(own.recipe, plain))
    counts = {group: each["identities"] for group, each in found["hard_clusters"].items()}
    yield f"{name}: M1 to M4", ablation
    for rows, where in zip(grouped, (f"tau {TAU}", "each method's best tau"), strict=True):
        sizes = {"method": "", "score": "identities", **counts, "all": found["identities"]}
        yield f"{name}: by size and sparsity, at {where}", [*rows, sizes]


def tables(args: Args) -> Iterator[tuple[str, Rows]]:
    """Every set's tables, as soon as they are there."""
    for test in args.test:
        yield from tables_of(test, args)


if __name__ == "__main__":
    args = tyro.cli(Args)
    print_tables("hard_clusters", args, tables(args), args.json)
