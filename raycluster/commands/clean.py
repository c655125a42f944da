"""raycluster clean: remove what a finished run no longer needs."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb
from raycluster.pipeline.clean import clean


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="run folder of raycluster cluster")
    parser.add_argument("--keep", choices=("results", "resume"), default="resume",
                        help="resume: stages of the present plan stay; results: labels and clusters alone (resume)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed; remove nothing")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    removed = clean(options.run_folder, options.keep, dry_run=options.dry_run)
    verb = "would be removed" if options.dry_run else "removed"
    text = f"{removed.objects:,} objects, {removed.size / 2**20:,.1f} MiB, {verb} from {options.run_folder}."
    return Answer({"objects": removed.objects, "bytes": removed.size, "removed": not options.dry_run}, text)


VERB = Verb(
    name="clean",
    summary="Remove what a finished run no longer needs: stages of old plans, failed attempts.",
    arguments=_arguments,
    run=_run,
    examples=("raycluster clean run", "raycluster clean run --dry-run", "raycluster clean run --keep results"),
)
