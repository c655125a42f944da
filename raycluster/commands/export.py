"""raycluster export: labels joined to the user's own columns."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.errors import ConfigError
from raycluster.pipeline.export import Format, export

FORMATS = ("parquet", "csv", "jsonl", "folders", "atlas")
OTHERS = ("tsv", "txt", "json", "xlsx", "feather", "arrow", "npy", "npz", "html", "gz")
"""Endings of formats that are not written."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="run folder of raycluster cluster")
    parser.add_argument("--input", metavar="FILE", help="Parquet whose columns are kept; labels alone without")
    parser.add_argument(
        "-o", "--output", required=True, metavar="PATH", help="file, or folder for folders; must not exist"
    )
    parser.add_argument("--format", choices=FORMATS, help="what to write (by the ending of the output, else parquet)")
    parser.add_argument("--path-column", metavar="NAME", help="column with paths of files, for folders")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    endings: dict[str, Format] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl"}
    if options.output == "-":
        raise ConfigError("An export goes to a file, not to stdout; name one with --output, ./- for one of this name.")
    ending = options.output.rpartition(".")[2].lower()
    if options.format is None and ending in OTHERS:
        raise ConfigError(f"No format is named by .{ending}; choose --format or an output in .parquet, .csv or .jsonl.")
    kind: Format = options.format or endings.get(ending, "parquet")
    rows = export(options.run_folder, options.output, kind, options.input, options.path_column)
    return Answer({"rows": rows, "output": options.output, "format": kind}, f"{rows:,} rows are in {options.output}.")


VERB = Verb(
    name="export",
    summary="Join labels to the columns of an input, make one folder of links per identity, or a map for embedding-atlas.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster export run --input faces.parquet -o labelled.parquet",
        "raycluster export run --input photos.parquet --format folders --path-column file -o people",
        "raycluster export run --input photos.parquet --format atlas -o atlas.parquet",
    ),
)
