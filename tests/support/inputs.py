"""Small Parquet inputs for tests, their plans, and the sentence that refuses them."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import opened, run_stages
from raycluster.stages.ranks import ranks_of
from raycluster.storage.records import Plan

VECTOR = pa.list_(pa.float32())


def rows(ids: Any, kind: pa.DataType | None = None, width: int = 2, vector: pa.DataType = VECTOR) -> pa.Table:
    """A table of these ids with some vectors."""
    ids = ids if isinstance(ids, pa.Array) else pa.array(ids, kind)
    vectors = [[1.0 + row, *[1.0] * (width - 1)] for row in range(len(ids))]
    return pa.table({"id": ids, "embedding": pa.array(vectors, vector)})


def plan_of(folder: Path, shards: int | None = None, config: Config | None = None) -> tuple[Plan, list[Any]]:
    """The plan of an input, and the ranks of every piece's rows."""
    execution = Execution("local", shards=shards)
    with (
        tempfile.TemporaryDirectory() as run,
        opened(str(folder), f"{run}/run", config or Config(), execution, Silence()) as tables,
    ):
        run_stages(tables, execution, Silence(), until="ranks")
        plan = tables.folder.plan
        return plan, [ranks_of(tables.folder, piece) for piece in range(len(plan.pieces))]


def refusal(folder: Path) -> str:
    """The sentence by which an input is refused when it is planned or its ids are ordered."""
    with pytest.raises(InputError) as caught:
        plan_of(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence
