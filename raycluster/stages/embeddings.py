"""Ingested pieces -> row shards: dense rows in the order of ids, unit vectors."""

from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Vectors
from raycluster.errors import InputError
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage


def id_type(run: Run) -> pa.DataType:
    """Arrow type of the user's ids."""
    return pa.type_for_alias(run.plan["input"]["id_type"])


def vectors(run: Run) -> Vectors:
    """The unit vectors (N, width) of all rows as `knn.storage` says, memory-mapped."""
    return scratch.joined(run, "embeddings", "embedding", run.config.knn.storage)


def prepare(run: Run) -> dict[str, Any]:
    """First row of every shard, now that it is known which rows were dropped; refuses what cannot be clustered."""
    markers = [run.marker("ingest", piece) for piece in range(len(run.plan["pieces"]))]
    counts = [
        sum(marker["groups"].get(str(shard), [0, 0])[1] for marker in markers) for shard in range(run.plan["shards"])
    ]
    starts = np.concatenate([[0], np.cumsum([count for count in counts if count])]).tolist()
    url, rows = run.plan["input"]["url"], starts[-1]
    if rows == 0:
        raise InputError(f"The input {url} has no row that can be used; all {run.plan['input']['rows']} were dropped.")
    if rows == 1:
        raise InputError(f"The input {url} has only one row; there is nothing to compare it with.")
    firsts = {marker["first"] for marker in markers if marker["first"]}
    if len(firsts) == 1 and all(marker["uniform"] for marker in markers):
        raise InputError(f"All {rows} rows of {url} hold the same vector; nothing tells identities apart.")
    return {"starts": starts, "sources": [shard for shard, count in enumerate(counts) if count]}


def compute(run: Run, shard: int) -> Part:
    """Gather a shard's rows from every piece and number them."""
    source = str(run.prepared("embeddings")["sources"][shard])
    tables = []
    for piece in range(len(run.plan["pieces"])):
        marker = run.marker("ingest", piece)
        if source in marker["groups"]:
            tables.append(run.store.get_row_group(marker["key"], marker["groups"][source][0]))
    table = pa.concat_tables(tables).sort_by("rank")
    rows = np.arange(run.starts[shard], run.starts[shard] + len(table), dtype=np.int32)
    schema = schemas.embeddings(id_type(run), run.plan["input"]["width"])
    return Part([schemas.from_columns(schema, row=rows, id=table["id"], embedding=table["embedding"])])


EMBEDDINGS = Stage(
    name="embeddings",
    settings=lambda config: [],
    compute=compute,
    prepare=prepare,
)
