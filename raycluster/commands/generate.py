"""raycluster generate: a set of synthetic identities as Parquet files."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb, whole
from raycluster.synthetic.generator import write_parquet
from raycluster.synthetic.settings import PRESETS, SyntheticConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder or URL without Parquet files")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="demo", help="kind of set (demo)")
    parser.add_argument("--rows", type=whole, metavar="N", help="rows (the preset's)")
    parser.add_argument("--width", type=whole, metavar="D", help="coordinates per vector (the preset's)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="another seed, another set of the kind (0)")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    chosen = {name: getattr(options, name) for name in ("seed", "rows", "width")}
    present = {name: value for name, value in chosen.items() if value is not None}
    config = SyntheticConfig(**PRESETS[options.preset] | present)
    files = write_parquet(config, options.output)
    text = f"{config.rows:,} rows of width {config.width} are in {options.output}; column label has the true identity."
    return Answer({"rows": config.rows, "width": config.width, "files": files}, text)


VERB = Verb(
    name="generate",
    summary="Write a generated set of identities as Parquet files.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster generate -o faces",
        "raycluster generate -o dense --preset dense --rows 50000 --width 256",
        "raycluster generate -o strangers --preset singletons --seed 3",
    ),
)
