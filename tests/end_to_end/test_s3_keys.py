"""Keys of an object store that are no paths: marks of folders, other characters, names that only S3 allows."""

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from support.command_line import Outcome, call
from support.servers import S3Server, s3_here

pytestmark = pytest.mark.process  # a server, in this process
BUCKET = "bucket"
ROWS = 16
VECTORS = np.eye(4, dtype=np.float32)[np.arange(ROWS) % 4]


def rows(start: int, stop: int) -> bytes:
    """Rows of four identities as a Parquet file."""
    sink = io.BytesIO()
    vectors = pa.array(list(VECTORS[start:stop]), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": np.arange(start, stop), "embedding": vectors}), sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A store that keeps keys as S3 does, byte for byte."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with s3_here(S3Server(f"http://{host}:{port}", "key", "secret", BUCKET)):
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
    server.stop()


def clustered(url: str, output: str) -> Outcome:
    options = ("--recipe", "cosine", "--limit", "0.8", "--executor", "local", "--no-report")
    return call("cluster", url, "-o", output, *options)


def labels(client: Any, folder: str) -> dict[int, int]:
    """Clusters by id, from the files that the manifest names."""

    def read(key: str) -> bytes:
        return bytes(client.get_object(Bucket=BUCKET, Key=f"{folder}/{key}")["Body"].read())

    parts = [part["path"] for part in json.loads(read("MANIFEST.json"))["labels"]]
    table = pa.concat_tables([pq.read_table(io.BytesIO(read(part))) for part in parts])
    return dict(zip(table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True))


def assert_whole(client: Any, outcome: Outcome, folder: str) -> None:
    """Every row is there, in the cluster of its identity."""
    assert outcome.code == 0, outcome.stderr
    found = labels(client, folder)
    assert sorted(found) == list(range(ROWS))
    assert len({(label, key % 4) for key, label in found.items()}) == len(set(found.values())) == 4


KEYS = (
    "sub/1.parquet", "/1.parquet", "./1.parquet", "../1.parquet", "part-1", "a::b.parquet", "a b+c%20#d.parquet",
    "[1]*.parquet", "\u00fc\u2028.parquet", " 1 .parquet",
)  # fmt: skip
"""What may stand behind a prefix; the object of each holds the row of its place here."""


def test_every_object_below_a_prefix_is_read(client: Any) -> None:
    objects = {key: rows(row, row + 1) for row, key in enumerate(KEYS)} | {"0.parquet": rows(len(KEYS), ROWS)}
    objects |= dict.fromkeys(("", "sub/", "empty/", "sub_$folder$"), b"")
    for below, data in objects.items():
        client.put_object(Bucket=BUCKET, Key=f"keys/{below}", Body=data)
    assert_whole(client, clustered(f"s3://{BUCKET}/keys", f"s3://{BUCKET}/run-keys"), "run-keys")


@pytest.mark.parametrize("key", ["a::b.parquet", "no-ending", "a b%20c#d.parquet", "x[1]?.parquet"])
def test_one_object_is_read_by_its_key(client: Any, key: str) -> None:
    client.put_object(Bucket=BUCKET, Key=f"one/{key}", Body=rows(0, ROWS))
    output = f"run-one-{key}"
    assert_whole(client, clustered(f"s3://{BUCKET}/one/{key}", f"s3://{BUCKET}/{output}"), output)


def test_an_empty_object_with_others_below_it_is_a_folder(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="mark", Body=b"")
    client.put_object(Bucket=BUCKET, Key="mark/0.parquet", Body=rows(0, ROWS))
    assert_whole(client, clustered(f"s3://{BUCKET}/mark", f"s3://{BUCKET}/run-mark"), "run-mark")


@pytest.mark.parametrize("mark", ["out/", "out/stages/"])
def test_an_output_that_holds_only_marks_of_folders_is_empty(client: Any, mark: str) -> None:
    client.put_object(Bucket=BUCKET, Key="whole/0.parquet", Body=rows(0, ROWS))
    client.put_object(Bucket=BUCKET, Key=f"{mark[:-1]}{len(mark)}/", Body=b"")
    output = f"{mark[:-1]}{len(mark)}"
    assert_whole(client, clustered(f"s3://{BUCKET}/whole", f"s3://{BUCKET}/{output}"), output)


@pytest.mark.parametrize("output", ["s3://bucket//nested/run", "s3a://bucket/nested/run", "s3n://bucket/nested//run"])
def test_an_output_inside_the_input_is_refused_however_it_is_spelled(client: Any, output: str) -> None:
    client.put_object(Bucket=BUCKET, Key="nested/0.parquet", Body=rows(0, ROWS))
    refused = clustered(f"s3://{BUCKET}/nested", output)
    assert refused.code == 2
    assert "lies in the input" in refused.stderr
    assert [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix="nested")["Contents"]] == [
        "nested/0.parquet"
    ]


def test_a_version_of_an_object_is_read_and_nothing_is_written_to_one(client: Any) -> None:
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=BUCKET, Key="old.parquet", Body=rows(0, ROWS))["VersionId"]
    client.put_object(Bucket=BUCKET, Key="old.parquet", Body=b"another file")
    url = f"s3://{BUCKET}/old.parquet?versionId={first}"
    assert_whole(client, clustered(url, f"s3://{BUCKET}/run-version"), "run-version")
    refused = clustered(url, f"s3://{BUCKET}/run?versionId={first}")
    assert refused.code == 2
    assert "?versionId=; it names one version of an object that is read" in refused.stderr
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix="run?")
    unknown = clustered(f"s3://{BUCKET}/old.parquet?versionId=none", f"s3://{BUCKET}/run-none")
    assert unknown.code != 0
    assert "unexpected" not in unknown.stderr
