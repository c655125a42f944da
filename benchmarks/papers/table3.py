"""S1's Table 3 on one source, with error bars: do the attentions differ?

    python -m benchmarks table3 --folder work --scale small

Training and test identities come from one generator with different seeds. Every row adds scored pairs to the same walk, so that
only the predictor differs: all variants train on the same candidate pairs and share a filter, theta and floor. Theta is the
best of FC-ES on the training set. Bounds are the walk alone and a perfect predictor. Scores are percent. A variant is trained
once per seed. Every training is scored with every Infomap seed, whose mean counts. The interval is 95 % by Student's t over
the trainings.
`less the row above` is the mean difference per seed to the row above, with its interval.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import stats

from benchmarks.measuring.runs import task_seconds
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Row, Rows, Tables
from raycluster.arrays import Float32, Int32, Int64
from raycluster.config.execution import Execution
from raycluster.config.load import load_config, load_training
from raycluster.evaluation import metrics
from raycluster.evaluation.reliability import average_precision
from raycluster.evaluation.truth import labelled_rows
from raycluster.kernels import edge_rules
from raycluster.models.card import load_card
from raycluster.pipeline import run as pipeline
from raycluster.stages.communities import infomap_result, written_partition
from raycluster.stages.knn import neighbors_of
from raycluster.stages.nep import nep_of
from raycluster.stages.stage import row_shards
from raycluster.storage.stored_tables import StoredTables
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from raycluster.synthetic.settings import PRESETS
from raycluster.training.job import TrainingRequest, train_model

VARIANTS: dict[str, dict[str, Any]] = {
    "Vanilla": {"attention": "vanilla", "mask": "none"},
    "Vanilla + Top-K": {"attention": "vanilla", "mask": "topk"},
    "Diff": {"attention": "differential", "mask": "none"},
    "SDT (mask by rank)": {"attention": "differential", "mask": "topk"},
    "SDT (mask by score)": {"attention": "differential", "mask": "topk-scores"},
    "MoE-SDT": {"attention": "differential", "mask": "mixture"},
}
SCORES = ("F_P", "F_B", "NMI")
THETAS = (0.1, 0.16, 0.22, 0.3, 0.4, 0.5, 0.6)
"""Thetas of FC-ES that are tried on the training set: FC-ES publishes 0.22."""
ETA = 0.9
"""Published eta of S1 (Table 4), the same for all variants. A first search found no difference from 0.3 to 0.95."""
FIT = {"optimizer": "adamw", "learning_rate": 0.001, "batch": 64}
SIZES = {"small": {"layers": 2, "heads": 4, "width": 64, "hidden": 256}, "published": {}}
"""Encoders by scale; `published` leaves the recipe's, three layers of width 416."""


@dataclass
class Args(Options):
    """A folder for sets, models and runs. Every scale and number of steps needs one of its own."""

    folder: str
    scale: Literal["small", "published"] = "small"
    train_rows: int = 12_000
    test_rows: int = 6_000
    steps: int = 600
    filter_steps: int = 600
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Trainings per variant."""
    infomap_seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Infomap runs per training, whose mean counts."""
    knn_k: int = 80
    rows_form: bool = True
    """Whether the row form of the variants is there as well."""
    pair_form: bool = True
    """Whether the pair form is there: it takes 80 times as long per edge."""


@dataclass(frozen=True)
class Ready:
    """A set on which NEP, neighbors and identities are at hand."""

    neighbor: Int32
    similarity: Float32
    nep: Float32
    identity: Int64

    def scored(self, theta: float, score: Float32 | None, seeds: tuple[int, ...]) -> dict[str, float]:
        """Return the mean scores, in percent, over Infomap seeds of a walk to theta and pairs (N, K) of a score."""
        columns = edge_rules.early_stop_edges(0, self.neighbor, self.similarity, self.nep, theta, score, ETA)
        ends = (columns["source"], columns["target"], columns["weight"])
        points = []
        for seed in seeds:
            node, module, _ = written_partition(infomap_result(*ends, seed, True))
            label = np.arange(len(self.neighbor)) + int(module.max(initial=0)) + 1
            label[node] = module
            point = metrics.evaluate(self.identity, label)
            nmi = point["nmi"]["geometric"]
            points.append([100 * point["pairwise"]["f"], 100 * point["bcubed"]["f"], 100 * nmi])
        return dict(zip(SCORES, np.mean(points, axis=0).tolist(), strict=True))


def ready(tables: StoredTables) -> Ready:
    """Return a run's neighbors, NEP and identities."""
    neighbor, similarity = neighbors_of(tables)
    nep = np.concatenate([nep_of(tables, task) for task in row_shards(tables)])
    row, labels = labelled_rows(tables, "label")
    assert len(row) == tables.rows, "generated rows all have an identity"
    return Ready(np.array(neighbor), np.array(similarity), nep, np.asarray(labels.indices.to_numpy(), np.int64))


def generated(folder: str, rows: int, seed: int) -> str:
    """Write a dense generated set, once, and return its folder."""
    path = Path(folder) / f"dense-{rows}-{seed}"
    if not (path / "done").exists():
        write_parquet(SyntheticConfig(**(PRESETS["dense"] | {"rows": rows, "seed": seed, "width": 256})), str(path))
        (path / "done").touch()
    return str(path)


@dataclass
class Laboratory:
    """The sets and the models of one comparison."""

    args: Args

    def __post_init__(self) -> None:
        self.train = generated(self.args.folder, self.args.train_rows, 101)
        self.test = generated(self.args.folder, self.args.test_rows, 202)
        self.filter = self._trained("filter", "fc-es-topk", {}, 0)

    def _values(self, encoder: dict[str, Any], form: str) -> dict[str, Any]:
        own = SIZES[self.args.scale] | encoder
        small: dict[str, Any] = {"adjust": None, "head": []} if self.args.scale == "small" or form == "row" else {}
        fit = FIT | {"steps": self.args.steps} if self.args.scale == "small" else {}
        predictor = {"form": form, "encoder": own, "fit": fit, **small}
        chosen = load_training("sdt-row").filter
        width = {"layers": 1, "heads": 4, "width": 64, "hidden": 256, "dropout": 0.0}
        topk = {"tokens": chosen.tokens, "encoder": width, "fit": FIT | {"steps": self.args.filter_steps}}
        return {
            "knn": {"k": self.args.knn_k},
            "training": {"limits": "published", "filter": topk, "predictor": predictor},
        }

    def _trained(self, name: str, recipe: str, encoder: dict[str, Any], seed: int, form: str = "none") -> str:
        url = f"{self.args.folder}/models/{name}"
        values = self._values(encoder, form)
        if form != "none":
            values["training"]["filter"]["source"] = self.filter
        values["training"]["seed"] = seed
        config, training = load_config(recipe, values, "table3"), load_training(recipe, values, "table3")
        train_model(TrainingRequest((self.train,), url, config, training, Execution("local")))
        return url

    def run(self, model: str, name: str, recipe: str, source: str) -> StoredTables:
        """Return the finished run of a set by a model."""
        url = f"{self.args.folder}/runs/{Path(source).name}/{name}"
        # theta 1: every pair from the floor on has a score, whatever theta the table takes
        values = {"model": model, "knn": {"k": self.args.knn_k}, "edges": {"theta": 1.0}}
        config = load_config(recipe, values, "table3")
        pipeline.cluster(source, url, config, Execution("local"))
        return pipeline.open_run(url)

    def theta(self) -> float:
        """Return the theta of the walk alone that is best on the training set, by BCubed F."""
        at = ready(self.run(self.filter, "walk", "fc-es-topk", self.train))
        return max(THETAS, key=lambda theta: at.scored(theta, None, (1,))["F_B"])

    def variant(self, name: str, form: str, theta: float) -> Iterator[tuple[int, Row]]:
        """Yield seed and scores of every training of a variant."""
        for seed in self.args.seeds:
            label = f"{name.replace(' ', '-')}-{form}-{seed}"
            url = self._trained(label, "diff-cluster", VARIANTS[name], seed, form)
            tables = self.run(url, label, "diff-cluster", self.test)
            at, score = ready(tables), np.array(tables.column("relations", "score"))
            card, _ = load_card(url)
            is_scored = ~np.isnan(score)
            same = at.identity[at.neighbor] == at.identity[:, None]
            point: Row = dict(at.scored(theta, score, self.args.infomap_seeds))
            point["pair AP"] = 100 * average_precision(score[is_scored], same[is_scored])
            point["seconds"] = sum(task_seconds(f"{self.args.folder}/runs/{Path(self.test).name}/{label}")["relations"])
            point["parameters"] = card.networks["predictor"].parameters
            yield seed, point


def interval(values: list[float]) -> tuple[float, float]:
    """Return the mean, and the half width of its 95 % interval by Student's t; 0 for one value."""
    if len(values) < 2:
        return float(np.mean(values)), 0.0
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def summary(points: dict[int, Row], above: dict[int, Row] | None) -> Row:
    """Return means with intervals, and the difference per seed to the row above."""
    row: Row = {}
    for name in (*SCORES, "pair AP"):
        mean, half = interval([float(point[name]) for point in points.values()])
        row[name] = f"{mean:.2f} ± {half:.2f}"
    for name in ("seconds", "parameters"):
        row[name] = float(np.mean([point[name] for point in points.values()]))
    if above is not None:
        mean, half = interval([points[seed]["F_B"] - above[seed]["F_B"] for seed in points if seed in above])
        row["F_B less the row above"] = f"{mean:+.2f} ± {half:.2f}"
    return row


def tables(args: Args) -> Tables:
    """Yield the table after every variant, as it grows."""
    laboratory = Laboratory(args)
    theta = laboratory.theta()
    walk = ready(laboratory.run(laboratory.filter, "walk", "fc-es-topk", laboratory.test))
    title = f"table 3 on one source: theta {theta}, eta {ETA}"
    same = (walk.identity[walk.neighbor] == walk.identity[:, None]) & (walk.neighbor >= 0)
    # a pair without any common trusted neighbor is not for recall
    perfect = np.where(same & (walk.nep > 0), np.float32(1), np.float32(np.nan))
    perfect[:, 0] = np.nan
    rows: Rows = [
        {"method": "FC-ES, the walk alone", **walk.scored(theta, None, args.infomap_seeds)},
        {"method": "perfect predictor", **walk.scored(theta, perfect, args.infomap_seeds)},
    ]
    yield title, rows
    for form in ("pair", "row"):
        if not getattr(args, {"pair": "pair_form", "row": "rows_form"}[form]):
            continue
        above: dict[int, Row] | None = None
        for name in VARIANTS:
            points = dict(laboratory.variant(name, form, theta))
            rows.append({"method": f"{name}, {form} form", **summary(points, above)})
            above = points
            yield title, rows


def _quick(folder: str) -> Args:
    sizes: dict[str, Any] = {"train_rows": 800, "test_rows": 400, "steps": 3, "filter_steps": 3}
    return Args(folder=folder, seeds=(0,), infomap_seeds=(1,), knn_k=10, pair_form=False, **sizes)


BENCHMARK = Benchmark(Args, tables, _quick)
