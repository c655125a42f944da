"""knn -> how many of a row's neighbors to trust: predicted by the model's adaptive filter, or read from `topk.source`.

The `topk` table holds a count a row; `rounded` turns it into the list lengths that NEP truncates with (S1 eq. 8).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Float32, Int64
from raycluster.errors import InputError
from raycluster.limits.far_ranks import sample_pairs
from raycluster.models.card import load_card
from raycluster.stages import embeddings
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.parquet_input import input_files, plain_ids
from raycluster.storage.run_folder import Part, Run, Stage


def rounded(topk: npt.NDArray[np.integer], k: int) -> Int64:
    """S1 eq. 7: list lengths min(k, 10 ceil(TopK / 10)) from counts (N,) of 1 or more, for NEP only.

    Rounding up keeps a list long enough where a prediction is a few neighbors short.
    """
    return np.minimum(k, -(-np.asarray(topk, np.int64) // 10) * 10)


def read(source: str) -> tuple[pa.ChunkedArray, Int64]:
    """Ids and counts (M,) of a table of counts; raises InputError for missing columns and counts below 1."""
    store, names = input_files(source)
    ids: list[pa.Array] = []
    counts: list[Int64] = []
    for name in names:
        with store.parquet(name) as file:
            for column in ("id", "k"):
                if column not in file.schema_arrow.names:
                    raise InputError(f"{store.name(name)} has no column '{column}': it is no table of neighbor counts.")
            table = file.read(columns=["id", "k"])
        if not pa.types.is_integer(table["k"].type) or table["k"].null_count:
            raise InputError(f"{store.name(name)}, column 'k' must hold whole numbers and no null.")
        low = np.flatnonzero(table["k"].to_numpy() < 1)
        if len(low):
            raise InputError(f"{store.name(name)}, column 'k', row {low[0]}: a count is at least 1, the row itself.")
        ids += plain_ids(table["id"]).chunks
        counts.append(table["k"].to_numpy().astype(np.int64))
    return pa.chunked_array(ids), np.concatenate(counts)


def _given(run: Run, shard: int) -> tuple[Int64, Float32]:
    """The counts of a shard's rows, found by id; raises InputError where a row has none."""
    source = str(run.config.topk.source)
    ids, counts = read(source)
    wanted = run.table("embeddings", shard, ["id"])["id"]
    found = pc.index_in(wanted, value_set=ids.cast(wanted.type).combine_chunks())
    if found.null_count:
        missing = wanted.filter(pc.is_null(found))[0].as_py()
        raise InputError(f"{source} has no count for {found.null_count} ids of the run, the first is {missing!r}.")
    k = np.minimum(counts[found.to_numpy()], run.config.knn.k)
    return k, np.ones(len(k), np.float32)


def _predicted(run: Run, shard: int) -> tuple[Int64, Float32]:
    """Counts of a shard's rows by the adaptive filter, and the share of held-out rows that such a count was right for."""
    from raycluster.models.calibration import confidence_of
    from raycluster.models.inference import TopkFilter

    card, _ = load_card(str(run.config.model))
    vectors = embeddings.vectors(run)
    neighbor = scratch.joined(run, "knn", "neighbor", "int32")
    background = tuple(run.prepared("topk")["background"])
    topk_filter = TopkFilter.open(str(run.config.model), card, neighbor, vectors, background, threads=run.threads)
    k = topk_filter.topk(*run.starts[shard : shard + 2])
    return k, confidence_of(card.confidence, k) if card.confidence else np.ones(len(k), np.float32)


def prepare(run: Run) -> dict[str, Any]:
    """Mean and spread of the cosines of random pairs, by which the network's tokens are normalized."""
    if not run.config.topk.predict:
        return {}
    pairs = sample_pairs(embeddings.vectors(run))
    return {"background": [pairs.median, pairs.spread]}


def compute(run: Run, shard: int) -> Part:
    """One shard's counts, and how sure they are: 1 where they were given."""
    k, confidence = (_predicted if run.config.topk.predict else _given)(run, shard)
    rows = np.arange(*run.starts[shard : shard + 2], dtype=np.int32)
    return Part([schemas.from_columns(schemas.TOPK, row=rows, k=k, confidence=confidence)])


TOPK = Stage(
    name="topk",
    settings=lambda config: [config.topk.__dict__, config.model_digest if config.topk.predict else None],
    compute=compute,
    prepare=prepare,
    wanted=lambda config: config.topk.source is not None or config.topk.predict,
    gpu=True,
)
