"""raycluster review: answer the queues of a run on a local page that saves."""

import argparse
import sys
import webbrowser
from typing import Any

from raycluster.commands.verb import Answer, Verb, whole
from raycluster.errors import ConfigError
from raycluster.executors import endings


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="finished run, or folder of an update")
    parser.add_argument("--items", metavar="FILE", help="Parquet with pictures or texts by the ids of the run")
    parser.add_argument("--image-column", metavar="NAME", help="column of paths, URLs or bytes of pictures")
    parser.add_argument("--text-column", metavar="NAME", help="column of texts, of which 120 characters are shown")
    parser.add_argument("--image-root", metavar="FOLDER", help="folder that no path of a picture leaves")
    parser.add_argument("--fetch", action="store_true", help="open http and https URLs of pictures")
    parser.add_argument("--id-column", metavar="NAME", help="column of ids in the items (the run's)")
    parser.add_argument("--by", metavar="NAME", help="who decides (none)")
    parser.add_argument("--most", type=whole, default=2000, metavar="N", help="items per queue (2000)")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="folder of the corrected run (RUN-reviewed)")
    parser.add_argument("--port", type=whole, default=0, metavar="N", help="port of the page (a free one)")
    parser.add_argument("--queues-only", action="store_true", help="write the queues and end; no page")
    parser.add_argument("--no-browser", action="store_true", help="print the address; open no browser")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer:  # noqa: ARG001
    from raycluster.review.queues import make_queues

    if options.most < 1:
        raise ConfigError(f"--most is {options.most}; a queue needs one item at least.")
    if options.queues_only:
        counts = {kind: len(queue) for kind, queue in make_queues(options.run_folder, options.most).items()}
        words = ", ".join(f"{count:,} of kind {kind}" for kind, count in counts.items())
        return Answer(counts, f"Items to review in {options.run_folder}/review: {words}.")
    return _served(options)


def _served(options: argparse.Namespace) -> Answer:
    """Serve the page until it is interrupted."""
    from raycluster.review.report import item_options
    from raycluster.review.server import ReviewServer
    from raycluster.review.session import Session

    if options.items and not (options.image_column or options.text_column):
        raise ConfigError("--items needs --image-column or --text-column, the column to show.")
    names = ("id_column", "image_column", "text_column", "image_root", "fetch")
    chosen = {"url": options.items, **{name: getattr(options, name) for name in names}}
    items = item_options(options.run_folder, chosen) if options.items else None
    session = Session(options.run_folder, items, options.by, options.most)
    with ReviewServer(session, options.output or f"{options.run_folder.rstrip('/')}-reviewed", options.port) as server:
        print(f"Review at {server.address} until Ctrl+C; answers are saved as you give them.", file=sys.stderr)
        if not options.no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            endings.forget()
            print(file=sys.stderr)
    progress = session.progress()
    return Answer(progress, f"{progress['decisions']:,} decisions about pairs of rows are saved in {progress['run']}.")


VERB = Verb(
    name="review",
    summary="Answer the queues of a run on a local page: merges, splits, rows in doubt, near copies.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster review run --items photos.parquet --image-column path",
        "raycluster review run --items offers.parquet --text-column title --by ann",
        "raycluster review run --queues-only",
    ),
)
