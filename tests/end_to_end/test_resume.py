"""The driver is killed at six moments; the same command goes on and ends with the labels of an undisturbed run."""

import json
import signal
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from support.paths import ROWS
from support.runs import command, here, interrupted, labels, looks_finished, run

MOMENTS = [
    ("plan.json", 1),
    ("stages/ingest/*/done/*", 1),
    ("stages/knn/*/part-*.parquet", 1),
    ("stages/knn/*/done/*", 2),
    ("stages/edges/*/done/*", 1),
    ("stages/labels/*/done/*", 1),
]
"""What the driver has just stored, and the how manieth of it, when it is killed; a part without its mark counts for nothing."""


def test_a_killed_driver_goes_on_and_ends_with_the_same_labels(identities: str, tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    options = ("--executor", "local", "--shards", "6")
    assert here(identities, str(undisturbed), *options[2:]).code == 0
    for pattern, count in MOMENTS:
        killed = interrupted(command(identities, str(disturbed), *options), pattern, count)
        assert killed.returncode == -signal.SIGKILL, f"at {pattern}: {killed.stderr}"
        assert "MANIFEST.json" not in looks_finished(disturbed)
    marked = [json.loads(path.read_text())["key"] for path in disturbed.glob("stages/knn/*/done/*.json")]
    kept = {disturbed / key: (disturbed / key).stat().st_mtime_ns for key in marked}
    assert len(kept) == 6
    last = run(command(identities, str(disturbed), *options))
    assert last.returncode == 0, last.stderr
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items()), "a finished shard was computed again"
    found = labels(disturbed)
    assert found.num_rows == ROWS == pc.count_distinct(found["id"]).as_py()
    assert found.equals(labels(undisturbed))
    for table in ("clusters.parquet", "dropped.parquet"):
        assert pq.read_table(disturbed / table).equals(pq.read_table(undisturbed / table))


def test_a_finished_run_is_not_computed_again(identities: str, tmp_path: Path) -> None:
    output = tmp_path / "run"
    first = here(identities, str(output))
    assert first.code == 0, first.stderr
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    second = here(identities, str(output))
    assert second.code == first.code
    assert second.stdout == first.stdout
    assert before == {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_replan_computes_only_what_the_change_touches(identities: str, tmp_path: Path) -> None:
    output, fresh = tmp_path / "run", tmp_path / "fresh"
    assert here(identities, str(output)).code == 0
    searched = {path: path.stat().st_mtime_ns for path in output.glob("stages/knn/*/*.parquet")}
    changed = ["--edges.threshold", "0.7"]
    refused = here(identities, str(output), *changed)
    assert refused.code == 2
    assert "edges.threshold: 0.6 -> 0.7" in refused.stderr
    again = here(identities, str(output), *changed, "--replan")
    assert again.code == 0, again.stderr
    assert searched == {path: path.stat().st_mtime_ns for path in output.glob("stages/knn/*/*.parquet")}
    assert here(identities, str(fresh), *changed).code == 0
    assert labels(output).equals(labels(fresh))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_that_nothing_is_lost(identities: str, tmp_path: Path, sent: signal.Signals) -> None:
    output = tmp_path / "run"
    arguments = command(identities, str(output), "--executor", "local", "--shards", "6")
    stopped = interrupted(arguments, "stages/knn/*/done/*", number=sent)
    assert stopped.returncode == 130
    assert "the same command goes on" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert looks_finished(output) == []
