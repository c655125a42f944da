"""What copies take of every node's disk while a run goes on, and that nothing is left at its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support.cluster_jobs import slow_job
from support.raylets import raylets

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROWS, WIDTH, K = 3000, 128, 80
BEFORE = 4 * ROWS * (WIDTH + 3 * K)
"""Bytes of vectors, neighbors, similarities and scores of all rows: what every node held at once in version 0.1."""


@contextmanager
def peaks(folders: list[Path]) -> Iterator[dict[str, int]]:
    """The most bytes of each folder while the block runs, by its name."""
    found = {folder.name: 0 for folder in folders}
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            for folder in folders:
                total = 0
                for path in folder.rglob("*"):
                    with suppress(OSError):
                        total += path.lstat().st_size if path.is_file() else 0
                found[folder.name] = max(found[folder.name], total)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def test_no_node_holds_more_than_two_thirds_of_all_copies(tmp_path: Path) -> None:
    source = tmp_path / "rows"
    write_parquet(SyntheticConfig(rows=ROWS, width=WIDTH, mean_size=10, max_size=60), str(source), rows_per_file=1000)
    words = ("--recipe", "auto", "--shards", "6", "--knn.k", str(K), "--embeddings.duplicates", "keep")
    with raylets(tmp_path / "cluster", nodes=2) as cluster:
        folders = [node.scratch for node in cluster.nodes]
        head = tmp_path / "cluster" / "scratch-head"
        with (
            peaks([*folders, head]) as found,
            slow_job(cluster, str(source), tmp_path / "run", *words, slow="relations,edges", seconds=2.0) as job,
        ):
            assert job.finished(500) == 0, job.text()
        shares = {name: round(peak / BEFORE, 2) for name, peak in found.items()}
        print(f"most bytes of each node over those of all copies: {shares}")
        for folder in [*folders, head]:
            assert 0 < shares[folder.name] <= 2 / 3, folder
        assert [path for folder in [*folders, head] for path in folder.rglob("*") if path.is_file()] == []
