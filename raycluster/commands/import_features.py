"""raycluster import-features: research formats to Parquet."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, whole
from raycluster.storage.feature_import import import_features


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--features", required=True, metavar="FILE", help=".bin (float32, row by row) or .npy")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder or URL to write to: empty")
    parser.add_argument("--width", type=whole, metavar="D", help="coordinates per feature; .bin needs it")
    parser.add_argument("--labels", metavar="FILE", help="one integer per line (.meta, .txt), or .npy")
    parser.add_argument("--knn", metavar="FILE", help=".npz or .npy of neighbor ids, with or without values")
    parser.add_argument("--knn-distances", metavar="FILE", help=".npy with the values of the ids in --knn")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    names = ("features", "output", "width", "labels", "knn", "knn_distances")
    summary = import_features(**{name: getattr(options, name) for name in names})
    folder = f"{options.output}/embeddings"
    text = f"{summary['rows']:,} rows are in {folder}.\nNext: raycluster cluster {folder} -o run"
    return Answer(summary, text)


VERB = Verb(
    name="import-features",
    summary="Convert features, labels and neighbor lists of research formats to Parquet.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster import-features --features part1_test.bin --width 256 --labels part1_test.meta -o ms1m",
        "raycluster import-features --features faces.npy -o faces",
        "raycluster import-features --features faces.npy --knn I.npy --knn-distances D.npy -o faces",
    ),
)
