"""S1's Table 3 on one source, with error bars: do the attentions differ?

    python -m benchmarks table3 --folder work [--labelled faces.parquet]

Training and test identities come from one generator with different seeds, or from one labelled set whose identities are split in
three. Every row adds scored pairs to the same walk, so that only the predictor differs: all variants train and are tested on the
same candidate pairs and share a filter, theta and floor. Theta is the best of FC-ES on the tuning set. The floor keeps 95 % of
the true pairs that the walk leaves there. FC-ES and FC-ESER have NEP by the exponential on whole lists, with a theta and a floor
tuned in the same way. Bounds are the walk alone and a perfect predictor.

Scores are percent. A variant is trained once per seed. Every training is scored with every Infomap seed, whose mean counts. The
interval is 95 % by Student's t over the trainings. `less the row above` is the mean difference per seed. Seconds are of a
processor, for the scores of all candidate pairs. Every training is kept in FOLDER/points, so that a killed benchmark goes on, and
the tables are written after every seed.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers._intervals import claim, in_words, paired
from benchmarks.papers._laboratory import (
    SCORES,
    Laboratory,
    Sizes,
    Values,
    generated,
    point_of,
    scored,
    split_in_three,
)
from raycluster.models.card import load_card

TOPK_WALK, PLAIN_WALK = "fc-es-topk", "fc-es"
"""Recipes of the walks: by S1's eq. 6 and 8, and by FC-ES's exponential on whole lists."""
ATTENTIONS: dict[str, Values] = {
    "Vanilla": {"attention": "vanilla", "mask": "none"},
    "Vanilla + Top-K": {"attention": "vanilla", "mask": "topk"},
    "Diff": {"attention": "differential", "mask": "none"},
    "SDT, mask by score": {"attention": "differential", "mask": "topk-scores"},
    "SDT": {"attention": "differential", "mask": "topk"},
    "MoE-SDT": {"attention": "differential", "mask": "mixture"},
}
"""The rows of Table 3. The mask of SDT is by neighbor rank, or by another sentence of the paper by attention score."""
BEST = "FC-ES, the best theta of the test labels"
"""A bound on FC-ES that no user reaches."""
CLAIMS = (
    ("a Top-K mask improves Vanilla", "Vanilla + Top-K", "Vanilla"),
    ("differential attention improves Vanilla", "Diff", "Vanilla"),
    ("a Top-K mask improves Diff (SDT)", "SDT", "Diff"),
    ("the mask by score improves Diff", "SDT, mask by score", "Diff"),
    ("the mixture improves SDT", "MoE-SDT", "SDT"),
    ("MoE-SDT is above Vanilla", "MoE-SDT", "Vanilla"),
    ("MoE-SDT is above FC-ESER", "MoE-SDT", "FC-ESER"),
    ("MoE-SDT is above FC-ES", "MoE-SDT", "FC-ES"),
    ("MoE-SDT is above FC-ES at the best theta of the test labels", "MoE-SDT", BEST),
)
"""What the paper says of its rows: the sentence, the better row and the other."""
ETAS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Etas of Table 4. The scores are at the last, which is published."""
FORMS = ("pair", "row")
TRAIN_SEED, TEST_SEED = 101, 202
"""Seeds of the first generated sets. Every `set_seed` adds to both, and they stay apart up to 100."""
Points = dict[tuple[str, str], dict[int, Row]]
"""Scores by form and method, then by seed."""


@dataclass
class Args(Options):
    """A folder for sets, models, runs and points. Every other option needs a folder of its own but seeds and forms."""

    folder: str
    labelled: str | None = None
    """Labelled Parquet (id, embedding, label) whose identities are split in three; none means generated sets."""
    train_rows: int = 12_000
    test_rows: int = 6_000
    steps: int = 300
    filter_steps: int = 600
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Trainings per variant."""
    infomap_seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Infomap runs per training, whose mean counts."""
    knn_k: int = 40
    """Neighbors per row, the row itself included."""
    set_k: int | None = None
    """K that the sizes of generated identities suit, 70 rows at 80 and others in proportion; none means `knn_k`."""
    set_seed: int = 0
    """Which generated sets: another number gives other identities of the same kind."""
    published: bool = False
    """Whether networks are the recipes', three layers of width 416 fitted by SGD, and not small ones."""
    forms: tuple[str, ...] = FORMS
    """`pair` and `row`. The row form scores all pairs of a row at once."""
    methods: tuple[str, ...] = ("FC-ESER", *ATTENTIONS)
    """Rows to train. MoE-SDT alone gives Table 4."""
    finished: bool = False
    """Whether only the trainings that are in the folder count, and none is started."""


@dataclass
class Comparison:
    """The trainings of one source, each kept as a file."""

    args: Args

    def __post_init__(self) -> None:
        args = self.args
        if args.labelled:
            train, tune, test = split_in_three(args.folder, args.labelled)
        else:
            train, test = (
                generated(args.folder, rows, seed, args.set_k or args.knn_k)
                for rows, seed in (
                    (args.train_rows, TRAIN_SEED + args.set_seed),
                    (args.test_rows, TEST_SEED + args.set_seed),
                )
            )
            tune = train
        sizes = Sizes(args.knn_k, args.steps, args.filter_steps, small=not args.published)
        self.laboratory = Laboratory(args.folder, train, tune, test, sizes)
        self.limits = {walk: self._limits(walk) for walk in (PLAIN_WALK, TOPK_WALK)}

    def _limits(self, walk: str) -> dict[str, float]:
        """Return theta and floor of a walk as the tuning set has them, kept as a file."""
        path = Path(self.args.folder) / f"limits-{walk}.json"
        if not path.exists():
            at = self.laboratory.ready(walk, "tune")
            theta = at.best_theta()
            path.write_text(json.dumps({"theta": theta, "floor": at.floor(theta)}))
        return dict(json.loads(path.read_text()))

    def bounds(self) -> Rows:
        """Return the walks alone, with their theta, and a perfect predictor, from their file where there is one.

        The second is FC-ES at the best theta of the test labels themselves, which no user reaches.
        """
        path = Path(self.args.folder) / "bounds.json"
        if not path.exists():
            path.write_text(json.dumps(self._bounds()))
        return list(json.loads(path.read_text()))

    def _bounds(self) -> Rows:
        seeds = self.args.infomap_seeds
        rows: Rows = []
        for name, walk in (("FC-ES", PLAIN_WALK), ("FC-ES, eq. 6 and 8: the walk alone", TOPK_WALK)):
            at, limits = self.laboratory.ready(walk, "test"), self.limits[walk]
            rows.append({"method": name, **at.clustered(limits["theta"], None, 1.0, seeds), **limits})
            if walk == PLAIN_WALK:
                theta = at.best_theta(seeds)
                rows.append({"method": BEST, **at.clustered(theta, None, 1.0, seeds), "theta": theta})
        at, theta = self.laboratory.ready(TOPK_WALK, "test"), self.limits[TOPK_WALK]["theta"]
        rows.append({"method": "perfect predictor", **at.clustered(theta, at.perfect(), 0.5, seeds)})
        return rows

    def path(self, form: str, method: str, seed: int) -> Path:
        """Return the file of a training's scores."""
        return Path(self.args.folder) / "points" / f"{name_of(form, method, seed)}.json"

    def point(self, form: str, method: str, seed: int) -> Row:
        """Return the scores of one training, from its file where there is one."""
        name = name_of(form, method, seed)
        path = self.path(form, method, seed)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(self._measured(name, form, method, seed)))
        return dict(json.loads(path.read_text()))

    def model(self, name: str, form: str, method: str, seed: int) -> str:
        """Return the URL of a trained model."""
        is_base = method == "FC-ESER"
        walk, recipe = (PLAIN_WALK, "fc-eser") if is_base else (TOPK_WALK, "diff-cluster")
        encoder = ATTENTIONS["Vanilla" if is_base else method]
        values = self.laboratory.values(form, encoder, **({"fit": {"schedule": "constant"}} if is_base else {}))
        if not is_base:
            values["training"]["filter"]["source"] = self.laboratory.filter
        return self.laboratory.fitted(name, recipe, walk, values, self.limits[walk], seed)

    def _measured(self, name: str, form: str, method: str, seed: int) -> Row:
        walk = PLAIN_WALK if method == "FC-ESER" else TOPK_WALK
        model, limits = self.model(name, form, method, seed), self.limits[walk]
        at, began = self.laboratory.ready(walk, "test"), time.process_time()
        score = scored(model, at, limits)
        seconds = time.process_time() - began
        row = point_of(at, score, limits["theta"], ETAS, self.args.infomap_seeds)
        card, _ = load_card(model)
        fitted = float((Path(model) / "seconds").read_text())
        return row | {
            "seconds": seconds,
            "parameters": card.networks["predictor"].parameters,
            "training seconds": fitted,
        }

    def all(self) -> Iterator[Points]:
        """Yield the points after every seed of a form."""
        points: Points = {}
        for form in self.args.forms:
            for seed in self.args.seeds:
                for method in self.args.methods:
                    if not self.args.finished or self.path(form, method, seed).exists():
                        points.setdefault((form, method), {})[seed] = self.point(form, method, seed)
                yield points


def name_of(form: str, method: str, seed: int) -> str:
    """Return the name of a training's files."""
    return f"{form}-{method.replace(' ', '-').replace(',', '')}-{seed}"


def summary(points: dict[int, Row], above: dict[int, Row] | None) -> Row:
    """Return means with intervals, and the differences per seed to the row above."""
    row: Row = {name: in_words([float(point[name]) for point in points.values()]) for name in (*SCORES, "pair AP")}
    row["trainings"] = len(points)
    row["seconds"] = in_words([float(point["seconds"]) for point in points.values()])
    row["parameters"] = int(next(iter(points.values()))["parameters"])
    if above is not None:
        for name in ("F_B", "pair AP"):
            if differences := paired(points, above, name):
                row[f"{name} less the row above"] = in_words(differences, "+")
    return row


def claims(points: Points, form: str, bounds: Rows) -> Rows:
    """Return the paper's claims, with paired differences in percent and a verdict by F_B.

    `bounds` are the rows of the walks.
    """
    by_method = {method: seeds for (own, method), seeds in points.items() if own == form}
    seeds = next(iter(by_method.values()))
    by_method |= {row["method"]: dict.fromkeys(seeds, row) for row in bounds}
    rows: Rows = []
    for sentence, better, other in CLAIMS:
        if better not in by_method or other not in by_method:
            continue
        own = claim(sentence, by_method[better], by_method[other], ("F_P", "F_B", "pair AP"))
        rows.append({"claim": own.pop("claim"), "form": form, **own})
    return rows


def tables(args: Args) -> Tables:
    """Yield the tables after every seed, as they grow."""
    comparison = Comparison(args)
    bounds = comparison.bounds()
    source = Path(args.labelled).stem if args.labelled else "generated"
    thetas = ", ".join(f"theta {limits['theta']} for {walk}" for walk, limits in comparison.limits.items())
    title = f"Table 3 on one source, {source}: K {args.knn_k}, {thetas}, eta {ETAS[-1]}"
    yield title, bounds
    for points in comparison.all():
        rows = list(bounds)
        forms = [form for form in args.forms if (form, args.methods[0]) in points]
        for form in forms:
            above: dict[int, Row] = dict.fromkeys(points[form, args.methods[0]], bounds[0])
            for method in (method for method in args.methods if (form, method) in points):
                rows.append({"method": f"{method}, {form} form", **summary(points[form, method], above)})
                above = points[form, method]
        yield title, rows
        yield (
            f"Claims of Table 3, {source}: paired differences",
            [row for form in forms for row in claims(points, form, bounds)],
        )
        yield f"Table 4, {source}: MoE-SDT by eta", by_eta(points, args.knn_k, forms)


def by_eta(points: Points, k: int, forms: list[str]) -> Rows:
    """Return scores of MoE-SDT at every eta of Table 4."""
    rows: Rows = []
    for form in forms:
        if (form, "MoE-SDT") not in points:
            continue
        seeds = points[form, "MoE-SDT"].values()
        for eta in ETAS:
            at = [point["by eta"][str(eta)] for point in seeds]
            rows.append({"form": form, "K": k, "eta": eta} | {name: in_words([p[name] for p in at]) for name in SCORES})
    return rows


def _quick(folder: str) -> Args:
    sizes: dict[str, Any] = {"train_rows": 800, "test_rows": 400, "steps": 3, "filter_steps": 4}
    return Args(folder=folder, seeds=(0, 1), infomap_seeds=(1,), knn_k=10, forms=("row",), **sizes)


BENCHMARK = Benchmark(Args, tables, _quick)
