"""Node-local copies: what they hold, that a node builds them once, and what a small disk says."""

import itertools
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import DamagedError, StorageError
from raycluster.storage import node_cache, schemas
from raycluster.storage.records import LAYOUT, Piece, Plan, PlannedInput, encode
from raycluster.storage.run_folder import RunFolder
from support.data import unit_rows

WIDTH = 3
STARTS = [0, 4, 5, 11]
VECTORS = unit_rows(STARTS[-1], WIDTH, 0).astype(np.float32)
SCHEMA = pa.schema([("row", pa.int32()), ("embedding", schemas.vector(pa.float32(), WIDTH))])
INGESTED = pa.schema([("rank", pa.int64()), ("embedding", schemas.vector(pa.float32(), WIDTH))])


def folders(*_: Any) -> dict[str, str]:
    """The folders of the stages of these tests."""
    return {"embeddings": "stages/embeddings/0", "ingest": "stages/ingest/0"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A finished stage of three shards of unequal length."""
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    return finished(tmp_path / "run")


def plan(pieces: int = 0) -> Plan:
    """A plan of 11 rows in so many pieces."""
    parts = [Piece(0, [number], number, 1) for number in range(pieces)]
    return Plan(LAYOUT, "0", {}, PlannedInput("in", [], "int64", WIDTH, STARTS[-1]), parts, 3)


def finished(path: Path) -> RunFolder:
    run = RunFolder(str(path), folders, plan())
    for shard, (start, stop) in enumerate(itertools.pairwise(STARTS)):
        rows = np.arange(start, stop, dtype=np.int32)
        run.commit("embeddings", shard, [{"row": rows, "embedding": VECTORS[start:stop]}], {}, SCHEMA)
    return run


def joined(
    run: RunFolder, column: str, dtype: str | None = None, convert: Any = lambda values: values, tag: str = ""
) -> Any:
    """A column of the finished stage."""
    return node_cache.joined(run, "embeddings", column, STARTS, dtype, convert, tag).array


def test_ingested_rows_come_in_the_order_of_their_ranks_less_the_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    run = RunFolder(str(tmp_path / "run"), folders, plan(3))
    dropped, kept = [2, 9], [rank for rank in range(11) if rank not in (2, 9)]
    shuffled = np.random.default_rng(1).permutation(kept)
    for piece, ranks in enumerate(np.array_split(shuffled, 3)):
        lost = [[0, 0, "only zeros", dropped[piece]]] if piece < 2 else []
        blocks = [{"rank": part, "embedding": VECTORS[part]} for part in np.array_split(ranks, 2)]
        run.commit("ingest", piece, blocks, {"dropped": lost}, INGESTED)
    for dtype in ("float32", "float16"):
        copy = node_cache.scattered(run, "embedding", dtype, 3, len(kept), threads=2)
        np.testing.assert_array_equal(copy.array, VECTORS[kept].astype(dtype))


def test_vectors_of_all_shards_are_joined_in_order(run: RunFolder) -> None:
    found = joined(run, "embedding", "float32")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS)


def test_a_plain_column_is_joined_to_one_dimension(run: RunFolder) -> None:
    found = joined(run, "row", "int32")
    np.testing.assert_array_equal(found, np.arange(STARTS[-1]))


def test_the_copy_is_a_read_only_map_of_a_file_under_the_scratch_folder(run: RunFolder, tmp_path: Path) -> None:
    found = joined(run, "embedding", "float32")
    assert isinstance(found, np.memmap)
    assert found.filename is not None
    assert Path(found.filename).is_relative_to(tmp_path / "scratch")
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


def test_the_copy_is_stored_as_the_type_asked_for(run: RunFolder) -> None:
    half = joined(run, "embedding", "float16")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, VECTORS.astype(np.float16))
    np.testing.assert_array_equal(joined(run, "embedding", "float32"), VECTORS)


def test_convert_is_applied_to_each_shard_and_tag_keeps_copies_apart(run: RunFolder) -> None:
    shapes: list[tuple[int, ...]] = []

    def norms(array: Any) -> Any:
        shapes.append(array.shape)
        return np.linalg.norm(array, axis=1)

    found = joined(run, "embedding", "float32", norms, "norms")
    np.testing.assert_array_equal(found, np.linalg.norm(VECTORS, axis=1))
    assert shapes == [(4, WIDTH), (1, WIDTH), (6, WIDTH)]
    np.testing.assert_array_equal(joined(run, "embedding", "float32"), VECTORS)
    doubled = joined(run, "embedding", "float32", lambda array: 2 * array, "doubled")
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


def test_builders_that_start_at_once_share_one_copy(run: RunFolder) -> None:
    converted: list[int] = []

    def slow(array: Any) -> Any:
        converted.append(len(array))
        time.sleep(0.02)
        return array

    found = build_at_once(5, lambda: joined(run, "embedding", "float32", slow, "slow"))
    assert converted == [4, 1, 6]
    assert len({array.filename for array in found}) == 1
    for array in found:
        np.testing.assert_array_equal(array, VECTORS)


BUILDER = """
import sys, time
import numpy as np
from raycluster.storage import node_cache
from raycluster.storage.run_folder import RunFolder

def noted(array):
    with open(sys.argv[2], "ab") as file:
        file.write(b"%d " % len(array))
    time.sleep(0.1)
    return array

run = RunFolder(sys.argv[1], lambda *_: {"embeddings": "stages/embeddings/0"})
copy = node_cache.joined(run, "embeddings", "embedding", [0, 4, 5, 11], "float32", noted, "noted")
print(copy.array.tobytes().hex())
"""


def test_processes_that_start_at_once_share_one_copy(run: RunFolder, tmp_path: Path) -> None:
    run.store.put("plan.json", encode(run.plan))
    command = [sys.executable, "-c", BUILDER, run.store.url, str(tmp_path / "converted")]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    assert [builder.communicate(timeout=60)[0].decode().strip() for builder in builders] == 3 * [
        VECTORS.tobytes().hex()
    ]
    assert (tmp_path / "converted").read_bytes() == b"4 1 6 "


def test_what_a_killed_builder_left_is_built_anew(run: RunFolder) -> None:
    path = str(joined(run, "embedding", "float32").filename)
    Path(path).rename(f"{path}.part")
    np.testing.assert_array_equal(joined(run, "embedding", "float32"), VECTORS)
    assert not Path(f"{path}.part").exists()


def tamper(path: Path, how: str) -> None:
    """Do something to a copy that its record does not know of."""
    data = path.read_bytes()
    info = path.stat()
    if how == "no record":
        Path(f"{path}.json").unlink()
    elif how == "another record":
        Path(f"{path}.json").write_bytes(Path(f"{path}.json").read_bytes().replace(b"boot", b"boat"))
    else:
        path.unlink() if how != "written" else path.chmod(0o600)
        if how == "a link":
            target = path.with_suffix(".elsewhere")
            target.write_bytes(data)
            path.symlink_to(target)
        else:
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("how", ["no record", "another record", "written", "another file", "a link"])
def test_a_copy_that_is_not_as_it_was_finished_is_built_anew(run: RunFolder, how: str) -> None:
    path = Path(str(joined(run, "embedding", "float32").filename))
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    tamper(path, how)
    np.testing.assert_array_equal(joined(run, "embedding", "float32"), VECTORS)
    assert not path.is_symlink()


def test_a_copy_is_of_the_parts_that_count(run: RunFolder) -> None:
    joined(run, "embedding", "float32")
    run.markers.drop("embeddings", 1)
    rows = np.arange(4, 5, dtype=np.int32)
    run.commit("embeddings", 1, [{"row": rows, "embedding": -VECTORS[4:5]}], {}, SCHEMA)
    np.testing.assert_array_equal(joined(run, "embedding", "float32")[4], -VECTORS[4])


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0, 0.0])
def test_vectors_that_are_not_of_unit_length_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    run = RunFolder(str(tmp_path / "run"), folders, plan(1))
    vectors = VECTORS.copy()
    vectors[7] *= np.float32(value)
    run.commit("ingest", 0, [{"rank": np.arange(len(vectors)), "embedding": vectors}], {"dropped": []}, INGESTED)
    with pytest.raises(DamagedError, match="not finite or not of unit length"):
        node_cache.scattered(run, "embedding", "float32", 3, len(vectors))
    assert run.finished("ingest") == set()


def test_copies_of_other_columns_are_freed(run: RunFolder) -> None:
    joined(run, "row", "int32")
    joined(run, "embedding", "float32")
    joined(run, "embedding", "float32", lambda values: values[:, 0], "first")
    name, folder = node_cache.name_of(run), Path(node_cache.folder(run))
    names = node_cache.names_of(run, ["embeddings.embedding", "of-another-recipe.row"])
    assert names == ["0-embeddings-embedding-"]
    node_cache.keep_named(name, [*names, *node_cache.names_of(run, ["embeddings.row"])])
    assert {path.name for path in folder.glob("*.npy")} == {
        "0-embeddings-row-int32.npy", "0-embeddings-embedding-float32.npy"
    }  # fmt: skip
    assert node_cache.names_of(run, ["ingest.embedding"], are_distinct=True) == ["0-ingest-embedding.distinct-"]
    node_cache.keep_copies(name, node_cache.names_of(run, ["ingest.embedding"]))
    assert list(folder.iterdir()) == []
    node_cache.keep_named(name, [])
    assert not Path(node_cache.folder(run)).exists()


def test_runs_do_not_see_each_others_copies(run: RunFolder, tmp_path: Path) -> None:
    other = finished(tmp_path / "other")
    assert node_cache.folder(other) != node_cache.folder(run)
    joined(run, "row", "int32")
    joined(other, "row", "int32")
    node_cache.remove(run)
    assert not Path(node_cache.folder(run)).exists()
    assert len(list(Path(node_cache.folder(other)).glob("*.npy"))) == 1


def test_removing_what_is_not_there_is_no_error(run: RunFolder) -> None:
    node_cache.remove(run)
    assert not Path(node_cache.folder(run)).exists()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("short", "fits"), [(0, True), (1, False)])
def test_a_disk_too_small_for_the_copy_is_said_before_anything_is_written(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, short: int, fits: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, VECTORS.nbytes - short))
    if fits:
        np.testing.assert_array_equal(joined(run, "embedding", "float32"), VECTORS)
        return
    with pytest.raises(StorageError) as caught:
        joined(run, "embedding", "float32")
    assert node_cache.folder(run) in str(caught.value)
    assert "RAYCLUSTER_SCRATCH" in str(caught.value)
    assert list(Path(node_cache.folder(run)).iterdir()) == []


def test_a_part_that_is_gone_leaves_no_copy(run: RunFolder) -> None:
    run.store.delete(run.marker("embeddings", 2).key)
    with pytest.raises(StorageError, match="is missing"):
        joined(run, "embedding", "float32")
    assert list(Path(node_cache.folder(run)).glob("*.npy")) == []
