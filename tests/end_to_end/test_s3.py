"""The whole job from and to a real S3 server that checks signatures: killed, resumed, throttled, refused."""

import dataclasses
import io
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.retries.standard import ExponentialBackoff

from support.command_line import call
from support.flaky_proxy import flaky_proxy
from support.runs import command, evaluation, here, interrupted, labels, run
from support.servers import S3Server, s3_here, seaweed_s3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, identities: str) -> Iterator[S3Server]:
    with seaweed_s3(tmp_path_factory.mktemp("seaweed")) as started:
        for path in Path(identities).glob("*.parquet"):
            started.filesystem().put_file(str(path), f"{started.bucket}/input/{path.name}")
        yield started


@pytest.fixture(scope="module")
def expected(identities: str, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    output = tmp_path_factory.mktemp("local") / "run"
    finished = here(identities, str(output))
    assert finished.code == 0, finished.stderr
    return labels(output)


def _labels(server: S3Server, folder: str) -> pa.Table:
    files = server.filesystem()
    parts = [pq.read_table(io.BytesIO(files.cat_file(path))) for path in files.find(f"{server.bucket}/{folder}/labels")]
    return pa.concat_tables(parts).sort_by("id")


def _arguments(server: S3Server, folder: str, shards: int = 3) -> list[str]:
    source, output = f"s3://{server.bucket}/input", f"s3://{server.bucket}/{folder}"
    return command(source, output, "--executor", "local", "--shards", str(shards))


def test_a_killed_job_on_s3_goes_on_and_is_evaluated_there(
    server: S3Server, expected: pa.Table, tmp_path: Path
) -> None:
    arguments, folder = _arguments(server, "killed"), f"s3://{server.bucket}/killed"
    killed = interrupted(arguments, "stages/knn/*/done/*", 2, env=server.env)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not server.filesystem().exists(f"{server.bucket}/killed/MANIFEST.json")
    with s3_here(server):
        finished = call("cluster", *arguments[2:])
        assert finished.code == 0, finished.stderr
        words = evaluation(folder, f"s3://{server.bucket}/input", str(tmp_path / "scores.json"))[2:]
        evaluated = call("evaluate", *words)
    assert evaluated.code == 0, evaluated.stderr
    assert _labels(server, "killed").equals(expected)
    assert (tmp_path / "scores.json").read_text().strip() == evaluated.stdout.strip()


def test_a_store_that_throttles_drops_and_loses_replies_changes_nothing(
    server: S3Server, expected: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = ExponentialBackoff.delay_amount
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *words: pause(*words) / 20)
    with flaky_proxy(server.endpoint_url, seed=1, slow_down=0.05, reset=0.03, lost_reply=0.03) as proxy:
        through = dataclasses.replace(server, endpoint_url=proxy.endpoint_url)
        with s3_here(through):
            finished = here(f"s3://{server.bucket}/input", f"s3://{server.bucket}/flaky", "--shards", "1")
        assert finished.code == 0, finished.stderr
        assert min(proxy.counts[fault] for fault in ("slow_down", "reset", "lost_reply")) > 3
    assert _labels(server, "flaky").equals(expected)


def test_wrong_credentials_give_one_clear_sentence(server: S3Server) -> None:
    wrong = dataclasses.replace(server, secret_key="not-the-secret")
    refused = run(_arguments(wrong, "refused"), wrong.env)
    assert refused.returncode in (1, 2)
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "credentials" in refused.stderr
    assert "not-the-secret" not in refused.stderr
    assert not server.filesystem().exists(f"{server.bucket}/refused")


def test_a_bucket_that_does_not_exist_is_named(server: S3Server) -> None:
    with s3_here(server):
        refused = here("s3://no-such-bucket/input", f"s3://{server.bucket}/none")
    assert refused.code == 2
    assert "s3://no-such-bucket/input does not exist" in refused.stderr
