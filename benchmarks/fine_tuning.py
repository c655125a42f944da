"""What some labels are worth: a model as it is, fine-tuned on them, and trained on them from scratch; Markdown and JSON.

Of a labelled set whole identities keep their labels until so many rows have one; the other rows are there without. All are
tested on another labelled set, of other identities (`split_identities.py`), at the limits that each was calibrated to.
Models (FOLDER/N/NAME) and runs are taken up again.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from ablation import scores
from learned import of_run
from measure import Rows, print_tables
from raycluster.config.load import apply, load_config, load_training
from raycluster.config.yaml_files import load_yaml
from raycluster.models.card import load_card
from raycluster.models.requirements import recipe_of
from raycluster.pipeline.run import Execution
from raycluster.training.job import TUNING_RECIPE, TrainArgs, train


@dataclass
class Args:
    """Labelled Parquets (id, embedding, label) to train and to test on, and a folder for models and runs."""

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
    """Of the choice of identities."""
    config: str | None = None
    """YAML laid over recipe auto-tuned."""
    json: str | None = None


def few_labels(table: pa.Table, rows: int, seed: int) -> pa.Table:
    """The table with the labels of identities chosen at random, the fewest that have `rows` rows or all there are."""
    code = table["label"].combine_chunks().dictionary_encode()
    size = np.bincount(code.indices.to_numpy(), minlength=len(code.dictionary))
    order = np.random.default_rng(seed).permutation(len(size))
    chosen = np.zeros(len(size), bool)
    chosen[order[: np.searchsorted(np.cumsum(size[order]), rows) + 1]] = True
    kept = pa.array(code.dictionary.to_numpy(zero_copy_only=False)[code.indices], mask=~chosen[code.indices])
    return table.set_column(table.schema.get_field_index("label"), "label", kept)


def trained(args: Args, labels: int, name: str, start: str | None) -> str:
    """URL of a model trained on so many labels, from `start` or from scratch."""
    folder = Path(args.folder) / str(labels)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "labelled.parquet").exists():
        pq.write_table(few_labels(pq.read_table(args.train), labels, args.seed), folder / "labelled.parquet")
    values = load_yaml(args.config) if args.config else {}
    config, training = load_config(TUNING_RECIPE, values, "--config"), load_training(TUNING_RECIPE, values, "--config")
    source, url = str(folder / "labelled.parquet"), str(folder / name)
    train(TrainArgs((source,), url, config, training, Execution("local"), from_model=start))
    return url


def row_of(args: Args, method: str, labels: int, url: str) -> dict[str, object]:
    """How the model at `url` does on the test set."""
    began = time.perf_counter()
    config = apply(recipe_of(url), {"model": url}, url)
    found, limits = of_run(args.test, f"{args.folder}/{labels}/{method.replace(' ', '-')}-run", config, ())
    card, _ = load_card(url)
    on = card.metrics.get("predictor", {}).get("calibrated_on")
    return {
        "labelled rows": labels, "method": method, **scores(found), "eta": limits["eta"],
        "calibrated on": "" if on is None or not labels else ", ".join(Path(each).stem for each in on) or "kept",
        "training s": card.seconds, "run s": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def tables(args: Args) -> Iterator[tuple[str, Rows]]:
    """One table, told again as it grows."""
    title = f"{Path(args.train).stem} -> {Path(args.test).stem}"
    rows: Rows = [row_of(args, "as it is", 0, args.model)]
    yield title, rows
    for labels in args.labels:
        rows.append(row_of(args, "fine-tuned", labels, trained(args, labels, "tuned", args.model)))
        yield title, rows
        if args.scratch:
            rows.append(row_of(args, "from scratch", labels, trained(args, labels, "scratch", None)))
            yield title, rows


if __name__ == "__main__":
    args = tyro.cli(Args)
    print_tables("fine_tuning", args, tables(args), args.json)
