"""Fit the probabilities of reviews on generated sets, and write the file that the package ships.

    python -m benchmarks review_calibration --folder FOLDER

Sets and runs that an earlier start made in FOLDER are kept. No real set takes part.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.measuring.mistakes import PLANTED
from benchmarks.measuring.review_truth import CANDIDATES, is_right, undecided
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from raycluster.arrays import Bool, Float64, Int64
from raycluster.config.load import load_config
from raycluster.pipeline import run as pipeline
from raycluster.review import audit, calibration
from raycluster.review.audit_run import labels_of
from raycluster.review.calibration import Features
from raycluster.review.opened import Opened
from raycluster.synthetic.varied import write_varied

SHARES = (0.02, 0.05, 0.1)
"""Shares of planted mistakes, as the audit is measured with."""
WEIGHTS = Path(calibration.__file__).with_name("calibration.json")


@dataclass
class Args(Options):
    """Generated sets to fit on."""

    folder: str
    """Folder of sets and runs."""
    sets: int = 16
    seed: int = 24
    """Family of sets. The model that ships was trained on family 0."""
    recipe: str = "auto"
    write: bool = True
    """Write `raycluster/review/calibration.json`."""


@dataclass
class Examples:
    """Features, truth and the weight of what a probability is fitted on; all examples of one run weigh the same together."""

    features: list[Features]
    truth: list[Bool]

    def add(self, features: Features, truth: Bool) -> None:
        """Add the examples of one run."""
        if len(truth):
            self.features.append(features)
            self.truth.append(truth)

    def fitted(self) -> tuple[dict[str, float], float]:
        """Return the weights and the mean log loss."""
        names = sorted(self.features[0])
        columns = np.concatenate([np.column_stack([one[name] for name in names]) for one in self.features])
        truth = np.concatenate(self.truth)
        weight = np.concatenate([np.full(len(one), 1 / len(one)) for one in self.truth])
        center, spread = columns.mean(0), columns.std(0) + 1e-9
        model = LogisticRegression(C=1.0, max_iter=5000)
        scaled = (columns - center) / spread
        model.fit(scaled, truth, sample_weight=weight / weight.mean())
        slope: Float64 = model.coef_[0] / spread
        table = {name: round(float(value), 6) for name, value in zip(names, slope, strict=True)}
        table["intercept"] = round(float(model.intercept_[0] - slope @ center), 6)
        likely = np.clip(model.predict_proba(scaled)[:, 1], 1e-9, 1 - 1e-9)
        loss = -np.average(np.where(truth, np.log(likely), np.log(1 - likely)), weights=weight)
        return table, float(loss)


def runs(args: Args) -> Iterator[tuple[str, str]]:
    """Yield the set and the run folder of every generated set, clustered."""
    for url in write_varied(f"{args.folder}/sets", args.sets, args.seed):
        folder = f"{args.folder}/runs/{Path(url).name}"
        pipeline.cluster(url, folder, load_config(args.recipe, {}, "benchmark"), pipeline.LOCAL)
        yield url, folder


def label_examples(opened: Opened, truth: Int64, examples: dict[str, Examples]) -> None:
    """Add what the kinds of the audit are fitted on."""
    for number, (kind, plant) in enumerate(zip(audit.KINDS, PLANTED.values(), strict=True)):
        for share in SHARES:
            label, is_wrong = plant(truth, share, np.random.default_rng([number, round(100 * share)]))
            groups, found = audit.candidates(label, opened.cluster, opened.pairs, opened.state.limits)
            place = found[number].place
            is_true = is_wrong[place]
            if number != audit.MISLABELLED:
                wrong = np.bincount(groups.row, is_wrong, len(groups.size))
                is_true = 2 * wrong[place] > groups.size[place]
            examples[kind].add(found[number].features, is_true)


def queue_examples(opened: Opened, truth: Int64, examples: dict[str, Examples]) -> None:
    """Add what the queues are fitted on."""
    for kind, candidates in CANDIDATES.items():
        found = candidates(opened, undecided())
        examples[kind].add(found.features, is_right(found, opened, truth))


def tables(args: Args) -> Tables:
    """Yield the weights of every kind."""
    examples = {kind: Examples([], []) for kind in (*audit.KINDS, *CANDIDATES)}
    for url, folder in runs(args):
        opened = Opened.of(folder)
        truth = labels_of(url, opened.state.ids)[0]
        label_examples(opened, truth, examples)
        queue_examples(opened, truth, examples)
    fitted: dict[str, dict[str, float]] = {}
    rows: Rows = []
    for kind, one in examples.items():
        is_true = np.concatenate(one.truth)
        if is_true.all() or not is_true.any():
            continue  # a few small sets may hold no mistake of a kind, or nothing else
        fitted[kind], loss = one.fitted()
        rows.append({"kind": kind, "examples": len(is_true), "share true": float(is_true.mean()), "log loss": loss})
    if args.write:
        assert len(fitted) == len(examples), "the package needs the weights of every kind"
        WEIGHTS.write_text(json.dumps(fitted, indent=2) + "\n", "utf-8")
    yield f"fitted on {args.sets} generated sets", rows
    yield "weights", [{"kind": kind, **values} for kind, values in fitted.items()]


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(folder, sets=2, recipe="cosine", write=False))
