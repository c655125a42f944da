"""The command line of `jobs/import_features.py`."""

from dataclasses import asdict, dataclass
from typing import Any

from raycluster.storage.feature_import import import_features


@dataclass(frozen=True)
class ImportArgs:
    """Convert features, labels and neighbor lists of research formats to Parquet."""

    features: str
    """Local file: .bin (float32, row after row, no header) or .npy (rows x width)."""
    output: str
    """Folder or storage URL to write to: empty, or left by an interrupted import, which is replaced."""
    width: int | None = None
    """Dimensions of a feature; needed for .bin, checked for .npy."""
    labels: str | None = None
    """Local file: one integer per line (.meta, .txt), or .npy."""
    knn: str | None = None
    """Local file: .npz or .npy of ids and values (rows x 2 x K) or of ids; .npz of an ids and a values array."""
    knn_distances: str | None = None
    """Local .npy with the values of the ids in --knn. Without values they are computed from the features."""


def main(args: ImportArgs) -> dict[str, Any]:
    """Convert the files; return the summary that is printed."""
    return import_features(**asdict(args))
