"""Split a labelled Parquet by identity: no identity of one part occurs in the other. Which goes where is a hash of its label."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro


@dataclass
class Args:
    """FOLDER/train.parquet and FOLDER/test.parquet of a labelled Parquet file."""

    input: str
    folder: str
    test_share: float = 0.35
    """Share of the identities that goes into the test part."""
    label_column: str = "label"


def in_test(labels: list[object], share: float) -> list[bool]:
    """Which labels belong to the test part, about `share` (0..1) of them; the same label always falls the same way."""
    digests = (hashlib.blake2b(str(label).encode(), digest_size=8).digest() for label in labels)
    return [int.from_bytes(digest, "big") < share * 2**64 for digest in digests]


def main(args: Args) -> None:
    """Write both parts and say how large they are."""
    table = pq.read_table(args.input)
    code = table[args.label_column].combine_chunks().dictionary_encode()
    test = np.array(in_test(code.dictionary.to_pylist(), args.test_share))[code.indices.to_numpy()]
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in (("train", ~test), ("test", test)):
        part = table.filter(pa.array(chosen))
        pq.write_table(part, folder / f"{name}.parquet", compression="zstd")
        print(f"{name}: {len(part)} rows, {len(part[args.label_column].unique())} identities")


if __name__ == "__main__":
    main(tyro.cli(Args))
