"""Node-local copies: what they hold, that a node builds them once, and what a small disk says."""

import itertools
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from raycluster.config.stages import Config
from raycluster.errors import StorageError
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

WIDTH = 3
STAGE = Stage(name="embeddings", settings=lambda config: [], compute=lambda run, shard: Part([]))
STARTS = [0, 4, 5, 11]
VECTORS = np.random.default_rng(0).normal(size=(STARTS[-1], WIDTH)).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished stage of three shards of unequal length."""
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    return finished(tmp_path / "run")


def finished(path: Path) -> Run:
    plan = {"config": asdict(Config()), "input": {"url": "in"}, "shards": 3, "pieces": []}
    run = Run(str(path), (STAGE,), plan=plan)
    run.store.put(f"{run.folders['embeddings']}/prepared.json", json.dumps({"starts": STARTS}).encode())
    schema = pa.schema([("row", pa.int32()), ("embedding", schemas.vector(pa.float32(), WIDTH))])
    for shard, (start, stop) in enumerate(itertools.pairwise(STARTS)):
        rows = np.arange(start, stop, dtype=np.int32)
        run.commit(STAGE, shard, Part([schemas.from_columns(schema, row=rows, embedding=VECTORS[start:stop])]))
    return run


def test_vectors_of_all_shards_are_joined_in_order(run: Run) -> None:
    found = scratch.joined(run, "embeddings", "embedding", "float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS)


def test_a_plain_column_is_joined_to_one_dimension(run: Run) -> None:
    found = scratch.joined(run, "embeddings", "row", "int32")
    np.testing.assert_array_equal(found, np.arange(STARTS[-1]))


def test_the_copy_is_a_read_only_map_of_a_file_under_the_scratch_folder(run: Run, tmp_path: Path) -> None:
    found = scratch.joined(run, "embeddings", "embedding", "float32")
    assert isinstance(found, np.memmap)
    assert found.filename is not None
    assert Path(found.filename).is_relative_to(tmp_path / "scratch")
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


def test_the_copy_is_stored_as_the_type_asked_for(run: Run) -> None:
    half = scratch.joined(run, "embeddings", "embedding", "float16")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, VECTORS.astype(np.float16))
    np.testing.assert_array_equal(scratch.joined(run, "embeddings", "embedding", "float32"), VECTORS)


def test_convert_is_applied_to_each_shard_and_tag_keeps_copies_apart(run: Run) -> None:
    shapes: list[tuple[int, ...]] = []

    def norms(array: Any) -> Any:
        shapes.append(array.shape)
        return np.linalg.norm(array, axis=1)

    found = scratch.joined(run, "embeddings", "embedding", "float32", norms, tag="norms")
    np.testing.assert_array_equal(found, np.linalg.norm(VECTORS, axis=1))
    assert shapes == [(4, WIDTH), (1, WIDTH), (6, WIDTH)]
    np.testing.assert_array_equal(scratch.joined(run, "embeddings", "embedding", "float32"), VECTORS)
    doubled = scratch.joined(run, "embeddings", "embedding", "float32", lambda array: 2 * array, tag="doubled")
    np.testing.assert_array_equal(doubled, 2 * VECTORS)


def build_at_once(builders: int, build: Callable[[], Any]) -> list[Any]:
    start, found = threading.Barrier(builders), []

    def one() -> None:
        start.wait()
        found.append(build())

    threads = [threading.Thread(target=one) for _ in range(builders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_builders_that_start_at_once_share_one_copy(run: Run) -> None:
    converted: list[int] = []

    def slow(array: Any) -> Any:
        converted.append(len(array))
        time.sleep(0.02)
        return array

    found = build_at_once(5, lambda: scratch.joined(run, "embeddings", "embedding", "float32", slow, "slow"))
    assert converted == [4, 1, 6]
    assert len({array.filename for array in found}) == 1
    for array in found:
        np.testing.assert_array_equal(array, VECTORS)


BUILDER = """
import sys, time
import numpy as np
from raycluster.storage import node_cache as scratch
from raycluster.storage.run_folder import Part, Run, Stage

def noted(array):
    with open(sys.argv[2], "ab") as file:
        file.write(b"%d " % len(array))
    time.sleep(0.1)
    return array

stage = Stage(name="embeddings", settings=lambda config: [], compute=lambda run, shard: Part([]))
run = Run(sys.argv[1], (stage,))
print(scratch.joined(run, "embeddings", "embedding", "float32", noted, "noted").tobytes().hex())
"""


def test_processes_that_start_at_once_share_one_copy(run: Run, tmp_path: Path) -> None:
    run.store.put("plan.json", json.dumps(run.plan).encode())
    command = [sys.executable, "-c", BUILDER, run.store.url, str(tmp_path / "converted")]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert [builder.communicate(timeout=60)[0].decode().strip() for builder in builders] == 3 * [
        VECTORS.tobytes().hex()
    ]
    assert (tmp_path / "converted").read_bytes() == b"4 1 6 "


def test_what_a_killed_builder_left_is_built_anew(run: Run) -> None:
    path = str(scratch.joined(run, "embeddings", "embedding", "float32").filename)
    Path(path).rename(f"{path}.part")
    Path(f"{path}.part").write_bytes(b"half a file")
    np.testing.assert_array_equal(scratch.joined(run, "embeddings", "embedding", "float32"), VECTORS)
    assert not Path(f"{path}.part").exists()


def test_runs_do_not_see_each_others_copies(run: Run, tmp_path: Path) -> None:
    other = finished(tmp_path / "other")
    assert scratch.folder(other) != scratch.folder(run)
    scratch.joined(run, "embeddings", "row", "int32")
    scratch.joined(other, "embeddings", "row", "int32")
    scratch.remove(run)
    assert not Path(scratch.folder(run)).exists()
    assert len(list(Path(scratch.folder(other)).glob("*.npy"))) == 1


def test_removing_what_is_not_there_is_no_error(run: Run) -> None:
    scratch.remove(run)
    assert not Path(scratch.folder(run)).exists()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("short", "fits"), [(0, True), (1, False)])
def test_a_disk_too_small_for_the_copy_is_said_before_anything_is_written(
    run: Run, monkeypatch: pytest.MonkeyPatch, short: int, fits: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, VECTORS.nbytes - short))
    if fits:
        np.testing.assert_array_equal(scratch.joined(run, "embeddings", "embedding", "float32"), VECTORS)
        return
    with pytest.raises(StorageError) as caught:
        scratch.joined(run, "embeddings", "embedding", "float32")
    assert scratch.folder(run) in str(caught.value)
    assert "RAYCLUSTER_SCRATCH" in str(caught.value)
    assert [path for path in Path(scratch.folder(run)).iterdir() if path.suffix != ".lock"] == []


def test_a_part_that_is_gone_leaves_no_copy(run: Run) -> None:
    run.store.delete(run.marker("embeddings", 2)["key"])
    with pytest.raises(StorageError, match="is missing"):
        scratch.joined(run, "embeddings", "embedding", "float32")
    assert list(Path(scratch.folder(run)).glob("*.npy")) == []
