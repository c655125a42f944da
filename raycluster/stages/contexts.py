"""knn -> the context of every row (S3).

It is one vector that the model's Relation Encoder makes of a row's nearest neighbors.

Computed once per row and kept, where every row that lists it as a neighbor would compute it again.
"""

import numpy as np
import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.models.card import load_card
from raycluster.stages.coarse_lists import copy_of_vectors
from raycluster.stages.ingest import vectors_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.stages.topk import NETWORK_RATE, network_bytes
from raycluster.storage import schemas
from raycluster.storage.tables import Output, Tables, Task


def context_width(config: Config, width: int) -> int:
    """Return the coordinates of a context of rows with so many of their own."""
    card, _ = load_card(str(config.model))
    return card.training.predictor.encoder.width or width


def open_contexts(tables: Tables) -> ShardFunction:
    """Return the function that encodes one shard's rows."""
    from raycluster.models.inference import ContextEncoder

    url = str(tables.config.model)
    card, _ = load_card(url)
    neighbor = tables.column("knn", "neighbor")
    encoder = ContextEncoder.open(url, card, neighbor, vectors_of(tables), threads=tables.threads)

    def encode(task: Task) -> Output:
        context = encoder.contexts(task.start, task.stop)
        return Output([{"row": np.arange(task.start, task.stop, dtype=np.int32), "context": context}])

    return encode


def copy_of_contexts(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copy of the contexts."""
    if not config.contexts.encode:
        return {}
    return {
        "contexts.context": float(size.rows * context_width(config, size.width) * np.dtype(config.knn.storage).itemsize)
    }


def _cost(size: ProblemSize, config: Config) -> Cost:
    return Cost(
        work=float(size.rows * config.knn.k),
        rate=NETWORK_RATE,
        worker_bytes=network_bytes(size, config),
        copies=copy_of_vectors(size, config) | {"knn.neighbor": 4.0 * size.rows * config.knn.k},
        is_threaded=True,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.contexts(context_width(config, width))


CONTEXTS = Stage(
    name="contexts",
    reads=("knn",),
    writes=_schema,
    settings=lambda config: config.model_digest,
    is_wanted=lambda config: config.contexts.encode,
    open=open_contexts,
    gpu=True,
    is_scored=True,
    cost=_cost,
)
