"""A sample of rows that people review, as a CSV file.

The file has a line per draw: `draw`, `id` of the drawn row, `cluster_id`, `cluster_size`, and two empty columns. A person fills
in `right`, the rows of the cluster that are the identity of the drawn row, itself included. `identity_size` is for all rows of
that identity, in other clusters as well.
"""

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from raycluster.arrays import Int64
from raycluster.errors import InputError
from raycluster.pipeline.results import Results
from raycluster.review.estimates import DRAWS, Estimate, Reviewed, draw
from raycluster.storage.clear_errors import clear_errors
from raycluster.storage.places import plain_url

WRITTEN = ("draw", "id", "cluster_id", "cluster_size")
ASKED = ("right", "identity_size")
"""Columns that are written empty, for people."""


def write_sample(run: str, output: str, count: int = DRAWS, seed: int = 0) -> int:
    """Write the rows of a finished run to review; returns their number.

    Parameters
    ----------
    run
        Run folder.
    output
        Local CSV file; it must not exist.
    count
        Draws, from 2 up. Intervals shrink with its root.
    seed
        Another seed draws other rows.

    Raises
    ------
    InputError
        Where the output exists, or the run is not finished.
    """
    target = Path(plain_url(output))
    if target.exists():
        raise InputError(f"{output} exists; choose another file.")
    labels = Results.of(run).labels(["id", "cluster_id", "cluster_size"])
    rows = draw(labels["cluster_id"].to_numpy(), count, seed)
    partial = target.with_name(f".{target.name}.part")
    drawn = labels.take(rows)
    columns = (drawn[name].to_pylist() for name in WRITTEN[1:])
    try:
        with clear_errors(output):
            partial.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(WRITTEN + ASKED)
                writer.writerows((number, *values, "", "") for number, values in enumerate(zip(*columns, strict=True)))
            os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return len(rows)


def read_sample(run: str, path: str) -> tuple[Reviewed, int]:
    """Return the reviewed draws of a sample, and the number of its empty lines.

    Sizes of clusters are those of the run, whatever the file has.

    Raises InputError, naming file and line, for a missing column and a row that the run does not have. It also names a line
    with one of two numbers, and anything but a whole number.
    """
    labels = Results.of(run).labels(["id", "cluster_size"])
    size = dict(zip(map(str, labels["id"].to_pylist()), labels["cluster_size"].to_pylist(), strict=True))
    kept: list[tuple[int, int, int]] = []
    num_empty = 0
    for line, values in _lines(path):
        where = f"{path}, line {line}"
        if values["id"] not in size:
            raise InputError(f"{where}: {run} has no row {values['id']!r}.")
        numbers = [values[name].strip() for name in ASKED]
        if not any(numbers):
            num_empty += 1
            continue
        right, identity = (_whole(text, f"{where}, column '{name}'") for text, name in zip(numbers, ASKED, strict=True))
        most = min(size[values["id"]], identity)
        if not 1 <= right <= most:
            raise InputError(f"{where}, column 'right' is {right}; it must be from 1 to {most}.")
        kept.append((size[values["id"]], right, identity))
    columns: Int64 = np.asarray(kept, np.int64).reshape(-1, 3)
    return Reviewed(*columns.T), num_empty


def describe_estimates(values: Mapping[str, Estimate], reviewed: int, num_empty: int) -> tuple[dict[str, Any], str]:
    """Return estimates as JSON and as a table for a terminal.

    Parameters
    ----------
    values
        Estimates by name.
    reviewed
        Lines of the sample that are filled in.
    num_empty
        Lines that are not.
    """
    lines = [f"{reviewed:,} reviewed rows, {num_empty:,} still empty; 95% intervals", ""]
    lines += [f"{name:<22}{one.value:>7.1%}   from {one.low:.1%} to {one.high:.1%}" for name, one in values.items()]
    record = {name: asdict(one) for name, one in values.items()}
    return {"reviewed": reviewed, "empty": num_empty, "estimates": record}, "\n".join(lines)


def _lines(path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the values of each line.

    Spreadsheets may have written semicolons.
    """
    try:
        text = Path(plain_url(path)).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}.") from None
    header = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if header.count(";") > header.count(",") else ",")
    if missing := [name for name in ("id", *ASKED) if name not in (reader.fieldnames or ())]:
        raise InputError(
            f"{path} has no column '{missing[0]}'; `raycluster evaluate RUN --draw {path}` writes a sample."
        )
    for values in reader:
        yield (
            reader.line_num,
            {name: value or "" for name, value in values.items() if name and not isinstance(value, list)},
        )


def _whole(text: str, where: str) -> int:
    """Return a whole number; spreadsheets may have written 3.0."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where} is {text!r}, not a whole number.") from None
    if value != int(value):
        raise InputError(f"{where} is {text!r}, not a whole number.")
    return int(value)
