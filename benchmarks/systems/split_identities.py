"""Split a labelled Parquet by identity, as a hash of the label decides.

No identity of one half occurs in the other.

    python -m benchmarks split_identities --input labelled.parquet --folder halves
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Tables


@dataclass
class Args(Options):
    """FOLDER/train.parquet and FOLDER/test.parquet of a labelled Parquet file."""

    input: str
    folder: str
    test_share: float = 0.35
    """Share of the identities that goes into the test half."""
    label_column: str = "label"


def in_test(labels: list[object], share: float) -> list[bool]:
    """Return which labels belong to the test half, about `share` (0..1) of them.

    The same label always falls into the same half.
    """
    digests = (hashlib.blake2b(str(label).encode(), digest_size=8).digest() for label in labels)
    return [int.from_bytes(digest, "big") < share * 2**64 for digest in digests]


def tables(args: Args) -> Tables:
    """Write both halves and yield their sizes."""
    table = pq.read_table(args.input)
    code = table[args.label_column].combine_chunks().dictionary_encode()
    test = np.array(in_test(code.dictionary.to_pylist(), args.test_share))[code.indices.to_numpy()]
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {"train": table.filter(pa.array(~test)), "test": table.filter(pa.array(test))}
    for name, half in halves.items():
        pq.write_table(half, folder / f"{name}.parquet", compression="zstd")
    yield (
        str(folder),
        [
            {"half": name, "rows": len(half), "identities": len(half[args.label_column].unique())}
            for name, half in halves.items()
        ],
    )


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(small(folder), f"{folder}/halves"))
