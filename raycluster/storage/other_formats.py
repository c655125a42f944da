"""Files that are no Parquet: what turns them into it, by their ending."""

import os

CONVERTED = (".npy", ".bin", ".fbin", ".fvecs")
"""Endings of features that `import-features` reads."""
ARRAYS = (".npz", ".mat", ".pt", ".pth")
"""Endings of other files of arrays."""
TABLES = {
    ".csv": "read_csv", ".tsv": "read_csv", ".json": "read_json", ".jsonl": "read_json", ".ndjson": "read_json",
    ".feather": "read_feather", ".arrow": "read_feather", ".orc": "read_orc", ".xlsx": "read_excel",
    ".pkl": "read_pickle", ".h5": "read_hdf",
}  # fmt: skip
"""Endings of tables, and the function of pandas that reads them. Vectors as text stay text, which is read."""


def remedy_for(name: str) -> str:
    """Return what to do with a file that is no Parquet, behind a semicolon.

    It is empty for other endings.
    """
    ending = os.path.splitext(name.lower())[1]
    if ending in CONVERTED:
        return "; `raycluster import-features --features FILE -o FOLDER` converts it"
    if ending in ARRAYS:
        return "; save its array as .npy, which `raycluster import-features` converts"
    if ending in TABLES:
        return f"; pandas.{TABLES[ending]}(FILE).to_parquet(...) converts it"
    return ""
