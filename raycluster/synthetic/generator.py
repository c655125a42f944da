"""Synthetic identities that cluster like real ones, in any number of rows.

Every random number is a hash of (seed, purpose, index), so that any row can be computed alone. The result depends neither
on the size of blocks nor on the rows per file, and one block bounds the memory. An embedding is put together in steps:

    center (lookalikes lean on a family's) -> mode -> picture (spread around the mode)
        -> bad pictures lean on a few common directions.

`python -m raycluster.synthetic --output FOLDER --preset demo` writes Parquet files that `jobs/cluster.py` reads.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int64
from raycluster.errors import InputError
from raycluster.storage import schemas
from raycluster.storage.object_store import Store
from raycluster.synthetic.hashed import Hashed
from raycluster.synthetic.settings import PRESETS, SyntheticConfig
from raycluster.synthetic.vectors import HALVINGS, embed, spectrum

__all__ = ["PRESETS", "SyntheticConfig", "generate", "write_parquet"]

CHUNK = 4096
"""Rows computed at once: their temporaries stay in the processor's cache. Results do not depend on it."""


def generate(config: SyntheticConfig, rows_per_block: int = 65536) -> Iterator[tuple[Int64, Float32, Int64]]:
    """Yield ids, embeddings and labels block by block, by ascending id.

    Parameters
    ----------
    config
        Settings of the set.
    rows_per_block
        B, the rows of a block; the last one may have fewer. Raising it takes more memory, about 4 bytes per row and
        dimension, and changes nothing in the result.

    Yields
    ------
    ids
        int64 (B,), from 0 to rows - 1.
    embeddings
        float32 (B, D) of unit length.
    labels
        int64 (B,), from 0 to identities - 1. Neither ids nor labels carry an identity's size: its rows lie scattered.
    """
    sizes, counts = size_counts(config)
    row_start = np.concatenate([[0], np.cumsum(sizes * counts)])
    identity_start = np.concatenate([[0], np.cumsum(counts)])
    identities = int(identity_start[-1])
    scale = spectrum(config.width, config.effective_dimension)
    common = Hashed(config.seed, "common").directions(np.arange(config.low_quality_directions), scale)
    for start in range(0, config.rows, rows_per_block):
        ids = np.arange(start, min(start + rows_per_block, config.rows), dtype=np.int64)
        # A row's place among all rows by size decides its identity; two permutations scatter rows and labels.
        position = Hashed(config.seed, "row order").permute(ids, config.rows)
        size_class = np.searchsorted(row_start, position, side="right") - 1
        identity = identity_start[size_class] + (position - row_start[size_class]) // sizes[size_class]
        labels = Hashed(config.seed, "identity order").permute(identity, identities)
        embeddings = np.empty((len(ids), config.width), np.float32)
        for first in range(0, len(ids), CHUNK):
            part = slice(first, first + CHUNK)
            embeddings[part] = embed(config, ids[part], labels[part], identities, scale, common)
        yield ids, embeddings, labels


def write_parquet(config: SyntheticConfig, directory: str | Path, rows_per_file: int = 131_072) -> list[str]:
    """Write a set as Parquet files.

    Columns are id int64, embedding fixed_size_list<float32 not null>[width] and label int64.

    Parameters
    ----------
    config
        Settings of the set.
    directory
        Local folder or storage URL, made if missing.
    rows_per_file
        Rows of a file. Raising it gives fewer, larger files and takes more memory.

    Returns
    -------
    list
        Names of the files, in the order of the ids.

    Raises
    ------
    InputError
        Where the folder holds Parquet files: a reader would mix them with these.
    """
    store = Store(str(directory))
    if any(name.endswith(".parquet") for name in store.files()):
        raise InputError(f"{store.url} already holds Parquet files; give an empty directory.")
    vector = schemas.vector(pa.float32(), config.width)
    schema = pa.schema([("id", pa.int64()), ("embedding", vector), ("label", pa.int64())])
    names = []
    for number, (ids, embeddings, labels) in enumerate(generate(config, rows_per_file)):
        names.append(f"part-{number:05d}.parquet")
        store.put_tables(names[-1], [schemas.from_columns(schema, id=ids, embedding=embeddings, label=labels)])
    return names


def size_counts(config: SyntheticConfig) -> tuple[Int64, Int64]:
    """Return sizes 1 to max_size, and how many identities have each.

    sizes @ counts is the number of rows. Rounding the cumulative counts makes the sizes the quantiles of the
    distribution rather than a random draw.
    """
    sizes = np.arange(1, config.max_size + 1, dtype=np.int64)
    logits = np.where(sizes >= config.min_size, -config.tail_exponent * np.log(sizes), -np.inf)
    low, high = -60.0, 60.0  # tilts under which all identities have the largest size, or the smallest
    for _ in range(HALVINGS):
        tilt = (low + high) / 2
        tilted = logits - tilt * sizes
        share = np.exp(tilted - tilted.max())
        share /= share.sum()
        low, high = (tilt, high) if share @ sizes > config.mean_size else (low, tilt)
    # Rounded up, so that the identities are rather too small than too large; 1e-6 absorbs the error of the sums.
    reached = np.ceil(np.cumsum(share) * (config.rows // config.mean_size) - 1e-6).astype(np.int64)
    counts: Int64 = reached - np.concatenate([[0], reached[:-1]])
    # Rows that are left make identities of the largest size, and one smaller identity.
    spare = config.rows - int(sizes @ counts)
    counts[-1] += spare // config.max_size
    counts[spare % config.max_size - 1] += spare % config.max_size > 0
    return sizes, counts
