"""A small labelled set and a finished run of it, for tests of training."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.pipeline import run as pipeline
from raycluster.training.labelled_set import LabelledSet, open_set
from support.data import unit_rows

ROWS, K = 120, 10


def labels() -> list[str | None]:
    """24 identities of five rows, every ninth row without a label."""
    return [None if row % 9 == 0 else f"person {row // 5}" for row in range(ROWS)]


def written(folder: Path, label: Any = None, width: int = 16, order: Any = None, noise: float = 0.5) -> str:
    """Return the path of a Parquet file of 120 rows: five noisy ones about each of 24 centers.

    Parameters
    ----------
    folder
        Where the file lies.
    label
        The labels (120,); none means `labels()`.
    width
        Coordinates per vector.
    order
        Row of the set at every place of the file.
    noise
        Length of the noise. More noise makes identities overlap.
    """
    vectors = unit_rows(ROWS // 5, width, 0).repeat(5, axis=0) + noise * unit_rows(ROWS, width, 1)
    place = np.arange(ROWS) if order is None else order
    values = labels() if label is None else label
    columns = {
        "id": pa.array(place),
        "embedding": pa.array(list(vectors[place]), pa.list_(pa.float32())),
        "label": pa.array([values[row] for row in place]),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return str(folder / "rows.parquet")


def opened(folder: Path, seed: int = 0, folds: int = 3, recipe: str = "fc-es", **options: Any) -> LabelledSet:
    """Return the labelled set of a finished run in `folder`; `options` are those of `written`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = load_config(recipe, {"knn": {"k": K}}, "test")
    pipeline.cluster(written(folder, **options), str(folder / "run"), config, Execution("local", shards=2))
    return open_set(pipeline.open_run(str(folder / "run")), "label", seed, folds)
