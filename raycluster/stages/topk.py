"""knn -> how many of a row's neighbors to trust.

The model's adaptive filter predicts it, or it is read from `topk.source`.

The `topk` table holds one count per row, with which NEP truncates neighborhoods (S1 eq. 7, 8).
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Float32, Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.limits.random_pairs import sample_pairs
from raycluster.models.calibration import confidence_of
from raycluster.models.card import load_card
from raycluster.stages.coarse_lists import copy_of_vectors
from raycluster.stages.ingest import vectors_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.column_types import ids_as, plain_ids
from raycluster.storage.parquet_input import input_files
from raycluster.storage.tables import Facts, Output, Tables, Task

Counts = Callable[[Task], tuple[Int64, Float32]]
"""A shard's counts and their confidence, each (R,)."""
NETWORK_RATE = 1 / (2360 * 80)
"""Seconds per neighbor of a network on two cores of an EPYC (Zen 4), for a dry run that measures nothing: the row form with
width 128 and two layers. The pair form takes ten times as long per pair, and more."""


def counts_neighbors(config: Config) -> bool:
    """Whether the recipe has a Top-K count per row."""
    return config.topk.source is not None or config.topk.predict


def counts_of(tables: Tables) -> Int64 | None:
    """Return the Top-K (N,) of all rows; none for a recipe without it."""
    return tables.column("topk", "k", "int64") if counts_neighbors(tables.config) else None


def read_counts(url: str) -> tuple[pa.ChunkedArray, Int64]:
    """Return ids and counts (M,) of the Parquet at `url`.

    Raises InputError for missing columns and counts below 1.
    """
    store, names = input_files(url)
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


def measure_background(tables: Tables) -> Facts:
    """Return mean and spread of the cosines of random pairs.

    The network's tokens are normalized by them.
    """
    if not tables.config.topk.predict:
        return {}
    pairs = sample_pairs(vectors_of(tables))
    return {"background": [pairs.median, pairs.spread]}


def open_topk(tables: Tables) -> ShardFunction:
    """Return the function of one shard's counts and their confidence.

    Confidence is 1 where counts were read.
    """
    count = _predictor(tables) if tables.config.topk.predict else _reader(tables, str(tables.config.topk.source))

    def counts(task: Task) -> Output:
        k, confidence = count(task)
        return Output([{"row": np.arange(task.start, task.stop, dtype=np.int32), "k": k, "confidence": confidence}])

    return counts


def _reader(tables: Tables, url: str) -> Counts:
    """Return the function that finds a shard's counts by id.

    It raises InputError where a row has none.
    """
    keys, counts = read_counts(url)

    def look_up(task: Task) -> tuple[Int64, Float32]:
        ids = tables.ids(task)
        place = pc.index_in(ids, value_set=ids_as(keys, ids.type, f"{url}, column 'id'").combine_chunks())
        if place.null_count:
            missing = ids.filter(pc.is_null(place))[0].as_py()
            raise InputError(f"{url} has no count for {place.null_count} ids of the run, the first is {missing!r}.")
        k = np.minimum(counts[place.to_numpy()], tables.config.knn.k)
        return k, np.ones(len(k), np.float32)

    return look_up


def _predictor(tables: Tables) -> Counts:
    """Return the function that predicts a shard's counts.

    Confidence is the share of held-out rows that such a count fits.
    """
    from raycluster.models.inference import TopkFilter

    url = str(tables.config.model)
    card, _ = load_card(url)
    background = tuple(tables.facts("topk")["background"])
    neighbor = tables.column("knn", "neighbor")
    network = TopkFilter.open(url, card, neighbor, vectors_of(tables), background, threads=tables.threads)

    def predict(task: Task) -> tuple[Int64, Float32]:
        k = network.topk(task.start, task.stop)
        return k, confidence_of(card.confidence, k) if card.confidence else np.ones(len(k), np.float32)

    return predict


def copy_of_counts(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copy of the counts."""
    return {"topk.k": 8.0 * size.rows} if counts_neighbors(config) else {}


def network_bytes(size: ProblemSize, config: Config) -> float:
    """Return the peak memory of a worker that scores a shard with a network."""
    return 16.0 * config.knn.k * size.rows_per_shard


def _cost(size: ProblemSize, config: Config) -> Cost:
    if not config.topk.predict:
        return Cost(work=float(size.rows), rate=2e-6, compression=0.4, is_gpu_idle=True)
    return Cost(
        work=float(size.rows * config.knn.k),
        rate=NETWORK_RATE,
        compression=0.4,
        worker_bytes=network_bytes(size, config),
        copies_once=copy_of_vectors(size, config),
        copies=copy_of_vectors(size, config) | {"knn.neighbor": 4.0 * size.rows * config.knn.k},
        is_threaded=True,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.TOPK


TOPK = Stage(
    name="topk",
    reads=("knn",),
    writes=_schema,
    settings=lambda config: [config.topk.__dict__, config.model_digest if config.topk.predict else None],
    is_wanted=counts_neighbors,
    once=measure_background,
    open=open_topk,
    gpu=True,
    is_scored=True,
    cost=_cost,
)
