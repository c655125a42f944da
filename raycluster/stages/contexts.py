"""knn -> the context of every row: one vector that the model's Relation Encoder makes of its nearest neighbors (S3).

Computed once a row and kept, where every row that lists it as a neighbor would compute it again.
"""

import numpy as np

from raycluster.models.card import load_card
from raycluster.stages import embeddings
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage


def compute(run: Run, shard: int) -> Part:
    """Encode one shard's rows."""
    from raycluster.models.inference import ContextEncoder

    start, stop = run.starts[shard : shard + 2]
    url = str(run.config.model)
    card, _ = load_card(url)
    vectors = embeddings.vectors(run)
    neighbor = scratch.joined(run, "knn", "neighbor", "int32")
    context = ContextEncoder.open(url, card, neighbor, vectors, threads=run.threads).contexts(start, stop)
    rows = np.arange(start, stop, dtype=np.int32)
    return Part([schemas.from_columns(schemas.contexts(context.shape[1]), row=rows, context=context)])


CONTEXTS = Stage(
    name="contexts",
    settings=lambda config: config.model_digest,
    compute=compute,
    wanted=lambda config: config.contexts.encode,
    gpu=True,
)
