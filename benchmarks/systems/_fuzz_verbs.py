"""What follows a run in a random folder: an update, an export, an evaluation, a comparison.

Every verb is right or one sentence, and the run stays as it was.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.systems._fuzz_folders import Folder, make


class Ended(Protocol):
    """How a verb ended."""

    code: int


Run = Callable[[str, list[str]], Ended]
"""Runs a verb with words."""
Labels = dict[Any, Any]


def labels_of(run: Path) -> Labels:
    """Return the cluster of every id of a run."""
    table = pa.concat_tables([pq.read_table(path) for path in sorted((run / "labels").glob("*.parquet"))])
    return dict(zip(table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True))


def grown(base: Path, run: Path, folder: Folder, draw: random.Random, call: Run) -> tuple[Ended, str | None]:
    """Update a run with another random folder; returns the end and the defect."""
    more = make(base / "more", draw)
    folder.notes += ["then an update with", *more.notes]
    before = labels_of(run)
    end = call("update", [str(run), str(base / "more"), "-o", str(base / "run2"), "--mode", draw.choice(MODES)])
    if end.code:
        return end, "a refused update leaves a folder" if (base / "run2" / "MANIFEST.json").exists() else None
    after = labels_of(base / "run2")
    lost = [key for key in before if key not in after]
    return end, f"an update lost {len(lost)} rows" if lost else None


def shrunk(base: Path, run: Path, folder: Folder, draw: random.Random, call: Run) -> tuple[Ended, str | None]:
    """Remove some rows, and some that are not there."""
    before = labels_of(run)
    gone = [key for key in before if draw.random() < 0.3]
    pq.write_table(pa.table({"id": _as_ids(gone)}), base / "gone.parquet")
    folder.notes.append(f"then {len(gone)} rows are deleted")
    end = call("update", [str(run), "--delete", str(base / "gone.parquet"), "-o", str(base / "run2")])
    if end.code:
        return end, None if not gone or len(gone) == len(before) else "ids of the run are no ids to delete"
    left = labels_of(base / "run2").keys()
    return end, None if left == before.keys() - set(gone) else f"{len(left)} of {len(before)} rows are left"


def exported(base: Path, run: Path, folder: Folder, draw: random.Random, call: Run) -> tuple[Ended, str | None]:
    """Join labels to the columns of the input; every row has its own label."""
    name = draw.choice(("out.parquet", "out.csv", "out.jsonl"))
    folder.notes.append(f"then an export to {name}")
    end = call("export", [str(run), "--input", str(folder.path), "-o", str(base / name)])
    if end.code:
        left = [path.name for path in base.iterdir() if path.name.startswith((".out", "out"))]
        return end, f"a refused export leaves {left}" if left else None
    if not name.endswith("parquet"):
        return end, None
    table, labels = pq.ParquetFile(base / name).read(), labels_of(run)
    if "id" not in table.column_names:
        return end, None
    pairs = zip(_plain(table["id"]), table["cluster_id"].to_pylist(), strict=True)
    wrong = sum(labels.get(key) != label for key, label in pairs)
    return end, f"{wrong} rows have the label of others" if wrong else None


def evaluated(base: Path, run: Path, folder: Folder, draw: random.Random, call: Run) -> tuple[Ended, str | None]:
    """Evaluate against the labels of the run itself, with rows that are unknown, unlabeled or missing."""
    labels = labels_of(run)
    keys = [key for key in labels if draw.random() < 0.9]
    truth = pa.table({"id": _as_ids(keys), "label": [labels[key] if draw.random() < 0.9 else None for key in keys]})
    pq.write_table(truth, base / "truth.parquet")
    folder.notes.append("then an evaluation")
    verb = draw.choice(("evaluate", "audit"))
    words = [str(run), "--truth", str(base / "truth.parquet")]
    end = call(verb, words)
    is_right = end.code == 0 or truth["label"].null_count == truth.num_rows
    return end, None if is_right else f"{verb} refuses the run's own labels"


def compared(base: Path, run: Path, folder: Folder, draw: random.Random, call: Run) -> tuple[Ended, str | None]:  # noqa: ARG001
    """Compare a run with itself."""
    folder.notes.append("then a comparison")
    end = call("diff", [str(run), str(run)])
    return end, None if end.code == 0 else "a run cannot be compared with itself"


MODES = ("local", "local", "attach", "full")
"""Modes of an update, the likelier the more often they stand here."""
VERBS = (grown, grown, shrunk, exported, exported, evaluated, compared)
"""What may follow, the likelier the more often it stands here."""


def _as_ids(keys: list[Any]) -> pa.Array:
    """Return ids as a column; those above 2^63 are unsigned."""
    is_large = any(isinstance(key, int) and key >= 2**63 for key in keys)
    return pa.array(keys, pa.uint64() if is_large else None)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Return ids as the run publishes them."""
    chunks = [chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk for chunk in column.chunks]
    return [key for chunk in chunks for key in chunk.to_pylist()]
