"""raycluster report: one page that shows what a run found."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.errors import ConfigError


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="finished run, or folder of an update")
    parser.add_argument("--items", metavar="FILE", help="Parquet with pictures or texts by the ids of the run")
    parser.add_argument("--image-column", metavar="NAME", help="column of paths, URLs or bytes of pictures")
    parser.add_argument("--text-column", metavar="NAME", help="column of texts, of which 120 characters are shown")
    parser.add_argument(
        "--image-root", metavar="FOLDER", help="folder that no path of a picture leaves (that of the items)"
    )
    parser.add_argument("--fetch", action="store_true", help="open http and https URLs of pictures")
    parser.add_argument("--id-column", metavar="NAME", help="column of ids in the items and the truth (the run's)")
    parser.add_argument(
        "--truth", metavar="FILE", help="true labels, as of evaluate: how reliable strength is in this run"
    )
    parser.add_argument("--label-column", default="label", metavar="NAME", help="column with true labels (label)")
    parser.add_argument("--previous", metavar="RUN0", help="run folder to compare with")
    parser.add_argument("--usd-hour", type=float, metavar="X", help="price of all machines, for the cost of the run")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.review.report import ReportOptions, item_options, report, require_packages

    shown = options.image_column, options.text_column
    if options.items and not any(shown):
        raise ConfigError("--items needs --image-column or --text-column, the column to show.")
    if any(shown) and not options.items:
        raise ConfigError("--image-column and --text-column are columns of --items, which is missing.")
    require_packages()
    items = None
    if options.items:
        items = item_options(
            options.run_folder,
            {
                "url": options.items,
                "id_column": options.id_column,
                "image_column": options.image_column,
                "text_column": options.text_column,
                "image_root": options.image_root,
                "fetch": options.fetch,
            },
        )
    made = report(
        options.run_folder,
        ReportOptions(
            items, options.truth, options.id_column, options.label_column, options.previous, options.usd_hour
        ),
    )
    return Answer(made, f"The report is {made['report']} ({made['bytes'] / 1e6:.1f} MB, {made['seconds']:.0f} s).")


VERB = Verb(
    name="report",
    summary="Show what a run found on one page: charts, clusters with pictures or texts, and what to review.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster report run",
        "raycluster report run --items photos.parquet --image-column path --image-root photos",
        "raycluster report run --items products.parquet --text-column title --truth labelled.parquet",
    ),
)
