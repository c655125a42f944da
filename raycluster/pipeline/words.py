"""The end of a run in words: identities, reliability, and what to do next."""

import os
import shlex
from typing import Any


def describe_run(summary: dict[str, Any]) -> str:
    """Return four to eight lines on a finished run, for a terminal."""
    lines = [describe_found(summary)]
    if "largest" in summary:
        lines.append(f"The largest identity has {summary['largest']:,} rows.")
    if summary.get("dropped"):
        lines.append(
            f"{summary['dropped']:,} rows were left out: {shown(summary['run'])}/dropped.parquet has the reasons."
        )
    if (confidence := summary.get("confidence")) is not None:
        lines.append(f"Confidence is {confidence['level']}: {confidence['why']}.")
        lines.append(f"What to do: {confidence['what_to_do']}.")
    run, total = shown(summary["run"]), sum(summary["seconds"].values())
    lines.append(f"It took {total:,.0f} s. Labels are in {run}/labels, clusters in {run}/clusters.parquet.")
    if "usd" in summary:
        lines.append(f"Its machines cost {summary['usd']:,.2f} US dollars at list prices.")
    lines.append(f"Next: raycluster export {shlex.quote(run)} --input YOUR.parquet -o labelled.parquet")
    return "\n".join(lines)


def shown(place: str) -> str:
    """Return a place as people write it.

    Where it lies below the working folder, it begins there.
    """
    below = os.getcwd().rstrip("/") + "/"
    return place.removeprefix(below)


def describe_found(summary: dict[str, Any]) -> str:
    """Return one sentence on what a run or an update found."""
    rows, clusters, alone = summary["rows"], summary["clusters"], summary["singletons"]
    return f"{rows:,} rows became {clusters - alone:,} identities of two rows or more; {alone:,} rows stand alone."
