"""Small Parquet inputs for tests, their plans, and the sentence that refuses them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.pipeline.plan import make_plan
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.records import Plan

VECTOR = pa.list_(pa.float32())


def rows(ids: Any, kind: pa.DataType | None = None, width: int = 2, vector: pa.DataType = VECTOR) -> pa.Table:
    """A table of these ids with some vectors."""
    ids = ids if isinstance(ids, pa.Array) else pa.array(ids, kind)
    vectors = [[1.0 + row, *[1.0] * (width - 1)] for row in range(len(ids))]
    return pa.table({"id": ids, "embedding": pa.array(vectors, vector)})


def plan_of(folder: Path, shards: int | None = None, config: Config | None = None) -> tuple[Plan, list[Any]]:
    """The plan of an input, and the ranks of every piece's rows."""
    return make_plan(config or Config(), describe_input(str(folder)), shards)


def refusal(folder: Path) -> str:
    """The sentence by which an input is refused when it is planned."""
    with pytest.raises(InputError) as caught:
        plan_of(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence
