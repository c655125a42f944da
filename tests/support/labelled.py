"""A labelled set on a run whose neighbors have been searched, for tests of what training makes of it."""

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
    """A Parquet of 120 rows, five noisy ones about each of 24 centers; `order` of the rows in the file."""
    vectors = unit_rows(ROWS // 5, width, 0).repeat(5, axis=0) + noise * unit_rows(ROWS, width, 1)
    place = np.arange(ROWS) if order is None else order
    told = labels() if label is None else label
    columns = {
        "id": pa.array(place),
        "embedding": pa.array(list(vectors[place]), pa.list_(pa.float32())),
        "label": pa.array([told[at] for at in place]),
    }
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return str(folder / "rows.parquet")


def opened(folder: Path, seed: int = 0, folds: int = 3, recipe: str = "fc-es", **made: Any) -> LabelledSet:
    """The labelled set of a finished run in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = load_config(recipe, {"knn": {"k": K}}, "test")
    pipeline.cluster(written(folder, **made), str(folder / "run"), config, Execution("local", shards=2))
    return open_set(pipeline.open_run(str(folder / "run")), "label", seed, folds)
