"""The worth of some labels: a model as it is, fine-tuned, and from scratch.

    python -m benchmarks fine_tuning --train train.parquet --test test.parquet --folder work

Whole identities of a labelled set keep their labels until `--labels` rows have one; the other rows stay without. All are
tested on another labelled set, of other identities (`split_identities`), at the limits that each was calibrated to.
Finished models (FOLDER/N/NAME) and runs are only read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.runs import evaluated
from benchmarks.measuring.scores import scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import timed
from raycluster.commands.train import TUNING_RECIPE
from raycluster.config.execution import Execution
from raycluster.config.load import apply, load_config, load_training
from raycluster.config.yaml_files import load_yaml
from raycluster.models.card import load_card
from raycluster.models.requirements import recipe_of
from raycluster.training.job import TrainingRequest, train_model


@dataclass
class Args(Options):
    """Labelled Parquets (id, embedding, label) to train and test on, and a folder."""

    train: str
    test: str
    folder: str
    model: str = "auto"
    """Model to start from."""
    labels: tuple[int, ...] = (100, 1000, 10_000)
    """Labelled rows."""
    scratch: bool = True
    """Whether to train from scratch too."""
    seed: int = 0
    """Seed of the choice of identities."""
    config: str | None = None
    """YAML laid over recipe auto-tuned."""


def few_labels(table: pa.Table, rows: int, seed: int) -> pa.Table:
    """Return the table with the labels of random identities alone.

    They are the fewest that have `rows` rows, or all.
    """
    code = table["label"].combine_chunks().dictionary_encode()
    size = np.bincount(code.indices.to_numpy(), minlength=len(code.dictionary))
    order = np.random.default_rng(seed).permutation(len(size))
    chosen = np.zeros(len(size), bool)
    chosen[order[: np.searchsorted(np.cumsum(size[order]), rows) + 1]] = True
    kept = pa.array(code.dictionary.to_numpy(zero_copy_only=False)[code.indices], mask=~chosen[code.indices])
    return table.set_column(table.schema.get_field_index("label"), "label", kept)


def trained(args: Args, labels: int, name: str, start: str | None) -> str:
    """Return the URL of a model trained on `labels` labels.

    It starts from the model `start`, or from scratch.
    """
    folder = Path(args.folder) / str(labels)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "labelled.parquet").exists():
        pq.write_table(few_labels(pq.read_table(args.train), labels, args.seed), folder / "labelled.parquet")
    values = load_yaml(args.config) if args.config else {}
    config, training = load_config(TUNING_RECIPE, values, "--config"), load_training(TUNING_RECIPE, values, "--config")
    source, url = str(folder / "labelled.parquet"), str(folder / name)
    train_model(TrainingRequest((source,), url, config, training, Execution("local"), base_model=start))
    return url


def row_of(args: Args, method: str, labels: int, url: str) -> Row:
    """Return the scores of the model at `url` on the test set."""
    config = apply(recipe_of(url), {"model": url}, url)
    run = timed(lambda: evaluated(args.test, f"{args.folder}/{labels}/{method.replace(' ', '-')}-run", config))
    found, limits = run.result
    card, _ = load_card(url)
    sets = card.metrics.get("predictor", {}).get("calibrated_on")
    return {
        "labelled rows": labels, "method": method, **scores(found), "eta": limits["eta"],
        "calibrated on": "" if sets is None or not labels else ", ".join(Path(each).stem for each in sets) or "kept",
        "training s": card.seconds, "run s": round(run.wall, 1),
    }  # fmt: skip


def tables(args: Args) -> Tables:
    """Yield one table, again whenever it has grown."""
    title = f"{Path(args.train).stem} -> {Path(args.test).stem}"
    rows: Rows = [row_of(args, "as it is", 0, args.model)]
    yield title, rows
    for labels in args.labels:
        rows.append(row_of(args, "fine-tuned", labels, trained(args, labels, "tuned", args.model)))
        yield title, rows
        if args.scratch:
            rows.append(row_of(args, "from scratch", labels, trained(args, labels, "scratch", None)))
            yield title, rows


def _quick(folder: str) -> Args:
    config = Path(folder) / "short.yaml"
    config.write_text(
        "training: {varied: 1, predictor: {fit: {steps: 4, warmup-steps: 1, evaluate-every: 2}}}\n", "utf-8"
    )
    return Args(
        small(folder, seed=1), small(folder), f"{folder}/work", labels=(200,), scratch=False, config=str(config)
    )


BENCHMARK = Benchmark(Args, tables, _quick)
