"""A file of the input is the planned one, by its bytes, or it is refused when it is opened."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from raycluster.errors import InputError
from raycluster.storage.object_store import Store
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.planned_files import planned_file
from raycluster.storage.records import PlannedInput
from support.servers import S3Server, s3_here


def write(path: Path, first: int) -> None:
    pq.write_table(pa.table({"id": [first, 2, 3]}), path)


def planned(url: str) -> PlannedInput:
    described = describe_input(url)
    return PlannedInput(described.url, described.files, "int64", 1, 3, states=described.states)


def read(plan: PlannedInput) -> list[int]:
    with planned_file(Store(plan.url), plan, 0) as file:
        return list(file.read()["id"].to_pylist())


def refusal(plan: PlannedInput) -> str:
    with pytest.raises(InputError) as caught:
        read(plan)
    return str(caught.value)


def test_bytes_that_changed_are_noticed_though_size_and_time_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, 1)
    plan, before = planned(str(path)), path.stat()
    assert read(plan) == [1, 2, 3]
    write(tmp_path / "b.parquet", 9)
    assert (tmp_path / "b.parquet").stat().st_size == before.st_size
    os.utime(tmp_path / "b.parquet", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tmp_path / "b.parquet", path)
    assert refusal(plan) == f"{path} changed after the run was planned; use another --output."


def test_the_same_bytes_in_another_state_are_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.parquet"
    path.parent.mkdir()
    write(path, 1)
    plan = planned(str(path.parent))
    os.utime(path, (1, 1))
    assert read(plan) == [1, 2, 3]
    shutil.copyfile(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    assert read(plan) == [1, 2, 3]
    path.write_bytes(path.read_bytes()[:-1])
    assert "changed after the run was planned" in refusal(plan)


def test_a_plan_without_states_compares_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(path, 1)
    described = describe_input(str(path))
    plan = PlannedInput(described.url, described.files, "int64", 1, 3)
    assert read(plan) == [1, 2, 3]
    write(path, 9)
    assert "changed after the run was planned" in refusal(plan)


@pytest.fixture
def bucket() -> Iterator[Any]:
    """A bucket of an object store in this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with s3_here(S3Server(f"http://{host}:{port}", "key", "secret", "planned")):
        yield boto3.resource("s3").create_bucket(Bucket="planned")
    server.stop()


def test_an_object_is_compared_by_the_tag_that_comes_when_it_is_opened(
    tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.parquet", 1)
    bucket.put_object(Key="a.parquet", Body=(tmp_path / "a.parquet").read_bytes())
    plan = planned("s3://planned/a.parquet")
    asked: list[str] = []
    call = s3fs.S3FileSystem._call_s3

    async def counting(self: Any, method: str, *arguments: Any, **named: Any) -> Any:
        asked.append(method)
        return await call(self, method, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(s3fs.S3FileSystem, "_call_s3", counting)
        assert read(plan) == [1, 2, 3]
    assert asked.count("head_object") == 1
    write(tmp_path / "a.parquet", 9)
    bucket.put_object(Key="a.parquet", Body=(tmp_path / "a.parquet").read_bytes())
    assert refusal(plan) == "s3://planned/a.parquet changed after the run was planned; use another --output."


def test_an_object_that_changes_while_it_is_read_is_noticed(tmp_path: Path, bucket: Any) -> None:
    groups = pa.table({"id": np.random.default_rng(0).integers(2**62, size=10**6)})
    pq.write_table(groups, tmp_path / "a.parquet", row_group_size=10**5)
    bucket.upload_file(str(tmp_path / "a.parquet"), "a.parquet")
    plan = planned("s3://planned/a.parquet")

    def read_late() -> None:
        with planned_file(Store(plan.url), plan, 0) as file:
            bucket.put_object(Key="a.parquet", Body=b"x" * plan.files[0].size)
            file.read_row_group(0)

    with pytest.raises(InputError, match="changed after the run was planned"):
        read_late()
