"""Generated rows with every table that a configuration reads beside them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from raycluster.config.stages import Config
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.synthetic.generator import SyntheticConfig, generate, write_parquet


def write_inputs(config: Config, rows: SyntheticConfig, folder: str) -> Config:
    """Write generated rows to `input/`, and tables of neighbors and counts where read.

    Parameters
    ----------
    config : Config
        Its neighbors and counts, where it reads any, are those of other rows.
    rows : SyntheticConfig
        What to generate.
    folder : str
        Where to, on disk or as a storage URL.

    Returns
    -------
    Config
        The configuration that reads the generated tables: exact neighbors, and all K of them to trust.
    """
    write_parquet(rows, f"{folder}/input", rows_per_file=rows.rows)
    store, k, number = Store(folder), config.knn.k, np.arange(rows.rows, dtype=np.int32)
    config = replace(config, id_column="id", embedding_column="embedding")
    if config.topk.source is not None:
        counts = pa.table({"id": number.astype(np.int64), "k": np.full(len(number), k)})
        store.put_tables("counts.parquet", [counts])
        config = replace(config, topk=replace(config.topk, source=store.name("counts.parquet")))
    if config.knn.source is not None:
        vectors = np.concatenate([np.asarray(block, np.float32) for _, block, _ in generate(rows)])
        neighbor, similarity = exact_top_k(vectors, number, vectors, k)
        neighbors = schemas.from_columns(schemas.knn(k), row=number, neighbor=neighbor, similarity=similarity)
        store.put_tables("neighbors.parquet", [neighbors])
        config = replace(config, knn=replace(config.knn, source=store.name("neighbors.parquet")))
    return config
