"""S1's Figure 5: does differential attention bear noise better than the plain one?

    python -m benchmarks figure5 --folder work

Networks are trained on clean data, those of `table3` in the same folder. At inference a share of the similarities of the neighbor
table is raised by a uniform amount in 0..1, all are normalized to 0..1 by their extremes, and every list is ranked again; a row
stays at rank 0 of its own. Top-K, NEP, walk, candidate pairs and what the networks see follow from the noisy lists. Vectors stay.
Theta and floor are fitted again on the tuning set under the same noise, for NEP moves with it. Scores are percent, with the
mean over trainings, each of which has noise of its own, and a 95 % interval by Student's t. Differences are paired by training.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring.script import Benchmark
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers import table3
from benchmarks.papers._intervals import claim, in_words
from benchmarks.papers._laboratory import SCORES, Ready, scored
from raycluster.arrays import Float32
from raycluster.kernels.neighborhoods import nep
from raycluster.limits.random_pairs import sample_pairs
from raycluster.models.card import load_card
from raycluster.models.inference import TopkFilter
from raycluster.stages.ingest import vectors_of
from raycluster.stages.nep import transform

SHARES = (0.0, 0.1, 0.2, 0.4)
"""Shares of the similarities that are raised, those of Figure 5 and none."""
METHODS = ("Vanilla", "Diff", "SDT")
"""Figure 5 has the first two; SDT is the paper's own."""


@dataclass
class Args(table3.Args):
    """The options of `table3`, whose folder and models are used."""

    forms: tuple[str, ...] = ("pair",)
    seeds: tuple[int, ...] = (0, 1, 2)
    shares: tuple[float, ...] = SHARES
    """Shares of the similarities that are raised."""


def noisy(similarity: Float32, share: float, seed: int) -> Float32:
    """Return similarities (N, K) of which a share is raised by 0..1, all normalized to 0..1; rank 0 stays 1.

    Empty ranks, -1 or less, stay as they are.
    """
    rng = np.random.default_rng(seed)
    is_neighbor = similarity > -1
    is_neighbor[:, 0] = False
    raised = similarity + (rng.random(similarity.shape) < share) * rng.random(similarity.shape)
    low, high = raised[is_neighbor].min(), raised[is_neighbor].max()
    normal = np.where(is_neighbor, (raised - low) / (high - low), similarity)
    normal[:, 0] = 1
    return normal.astype(np.float32)


def under_noise(at: Ready, filter_url: str, share: float, seed: int) -> Ready:
    """Return a set whose lists are ranked by noisy similarities, with Top-K and NEP of them."""
    if not share:
        return at
    similarity = noisy(at.similarity, share, seed)
    # a stable order, with the row itself first
    order = np.argsort(np.column_stack([np.full(len(similarity), -np.inf), -similarity[:, 1:]]), axis=1, kind="stable")
    neighbor = np.take_along_axis(at.neighbor, order, axis=1)
    similarity = np.take_along_axis(similarity, order, axis=1)
    card, _ = load_card(filter_url)
    vectors = vectors_of(at.tables)
    pairs = sample_pairs(vectors)
    filter_ = TopkFilter.open(filter_url, card, neighbor, vectors, (pairs.median, pairs.spread), threads=1)
    counts = filter_.topk(0, len(neighbor))
    config = at.tables.config.edges
    own = nep.neighbor_edge_probability(
        neighbor, transform(config)(similarity), length=counts, length_step=nep.TOPK_STEP, threads=1
    )
    return replace(at, neighbor=neighbor, similarity=similarity, nep=own, counts=counts)


def scores_under(comparison: table3.Comparison, form: str, share: float, seed: int) -> dict[str, dict[str, float]]:
    """Return the scores of the walk and of every method under noise, from their file where there is one."""
    path = Path(comparison.args.folder) / "figure5" / f"{form}-{share}-{seed}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(_measured(comparison, form, share, seed)))
    return dict(json.loads(path.read_text()))


def _measured(comparison: table3.Comparison, form: str, share: float, seed: int) -> dict[str, dict[str, float]]:
    laboratory, infomap_seeds = comparison.laboratory, comparison.args.infomap_seeds
    tune, test = (
        under_noise(laboratory.ready(table3.TOPK_WALK, which), laboratory.filter, share, seed)
        for which in ("tune", "test")
    )
    theta = tune.best_theta()
    limits = {"theta": theta, "floor": tune.floor(theta)}
    found = {"the walk alone": test.clustered(theta, None, 1.0, infomap_seeds)}
    for method in METHODS:
        model = comparison.model(table3.name_of(form, method, seed), form, method, seed)
        found[method] = test.clustered(theta, scored(model, test, limits), table3.ETAS[-1], infomap_seeds)
    return found


def claims(points: dict[float, dict[str, dict[int, Row]]], form: str) -> Rows:
    """Return what the paper says of noise, with paired differences.

    `points` are scores by share of noise and method, then by seed.
    """
    most = max(points)
    wanted = [
        (f"{better} is above {other} at {share:.0%}", points[share][better], points[share][other])
        for share in points
        for better, other in (("Diff", "Vanilla"), ("SDT", "Vanilla"))
    ]
    wanted += [
        (f"{method} is above its clean score at {most:.0%}", points[most][method], points[0.0][method])
        for method in points[most]
        if most and 0.0 in points
    ]
    return [{"form": form, **claim(*one, SCORES)} for one in wanted]


def tables(args: Args) -> Tables:
    """Yield the tables after every share of noise."""
    comparison = table3.Comparison(args)
    rows: Rows = []
    differences: Rows = []
    for form in args.forms:
        points: dict[float, dict[str, dict[int, Row]]] = {}
        for share in args.shares:
            found = {seed: scores_under(comparison, form, share, seed) for seed in args.seeds}
            methods = list(found[args.seeds[0]])
            points[share] = {method: {seed: dict(found[seed][method]) for seed in found} for method in methods}
            for method, own in points[share].items():
                means = {name: in_words([point[name] for point in own.values()]) for name in SCORES}
                rows.append({"method": method, "form": form, "noise": share, **means, "trainings": len(own)})
            yield f"Figure 5: noise on the similarities, K {args.knn_k}", rows
        differences += claims(points, form)
        yield "Figure 5: paired differences", differences


def _quick(folder: str) -> Args:
    sizes = {"train_rows": 800, "test_rows": 400, "steps": 3, "filter_steps": 4, "knn_k": 10}
    return Args(folder=folder, seeds=(0,), infomap_seeds=(1,), forms=("row",), **sizes)  # type: ignore[arg-type]


BENCHMARK = Benchmark(Args, tables, _quick)
