"""The servers that other tests rely on do what they say."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import servers
from support.flaky_proxy import flaky_proxy
from support.servers import S3Server, free_ports, seaweed_s3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweed_s3(tmp_path_factory.mktemp("store")) as server:
        yield server


def refuses_connections(url: str) -> bool:
    """Whether nothing listens at a loopback address any more."""
    command = [sys.executable, "-c", "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"]
    parts = urlsplit(url)
    return subprocess.run([*command, str(parts.hostname), str(parts.port)], capture_output=True).returncode != 0


def test_store_keeps_objects_and_lists_them(store: S3Server) -> None:
    fs = store.filesystem()
    fs.pipe({f"{store.bucket}/listed/{i:03d}": b"x" * i for i in range(50)})
    assert fs.cat_file(f"{store.bucket}/listed/007") == b"x" * 7
    assert len(fs.find(f"{store.bucket}/listed")) == 50


def test_store_refuses_to_create_an_existing_key(store: S3Server) -> None:
    fs, key = store.filesystem(), f"{store.bucket}/created-once"
    fs.pipe_file(key, b"first", mode="create")
    with pytest.raises(OSError, match="pre-conditions"):
        fs.pipe_file(key, b"second", mode="create")
    assert fs.cat_file(key) == b"first"


def test_store_refuses_a_wrong_secret(store: S3Server) -> None:
    fs = dataclasses.replace(store, secret_key="wrong").filesystem()
    with pytest.raises(PermissionError):
        fs.pipe_file(f"{store.bucket}/x", b"x")
    with pytest.raises(PermissionError):
        fs.ls(store.bucket)


def test_store_serves_a_client_configured_by_environment_alone(store: S3Server) -> None:
    code = f"import s3fs; s3fs.S3FileSystem().pipe_file('{store.bucket}/from-environment', b'yes')"
    subprocess.run([sys.executable, "-c", code], env=store.env, check=True)
    assert store.filesystem().cat_file(f"{store.bucket}/from-environment") == b"yes"


def test_a_store_whose_port_is_taken_starts_at_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        taken, *free = free_ports(9)
        other.bind(("127.0.0.1", taken))
        offers = iter([[taken, *free[:7]], free_ports(8)])
        monkeypatch.setattr(servers, "free_ports", lambda count: next(offers))
        monkeypatch.setattr(servers, "START_SECONDS", 20.0)
        with seaweed_s3(tmp_path) as server:
            assert urlsplit(server.endpoint_url).port != taken
            server.filesystem().pipe_file(f"{server.bucket}/x", b"x")


def test_store_is_gone_afterwards(tmp_path: Path) -> None:
    with seaweed_s3(tmp_path) as server:
        url = server.endpoint_url
        assert not refuses_connections(url)
    assert refuses_connections(url)


def test_client_survives_a_proxy_that_throttles_and_drops(store: S3Server) -> None:
    objects = {f"{store.bucket}/flaky/{i}": bytes([i]) * 1000 for i in range(20)}
    with flaky_proxy(store.endpoint_url, seed=1, slow_down=0.15, reset=0.15, delay=0.2, delay_s=0.05) as proxy:
        fs = dataclasses.replace(store, endpoint_url=proxy.endpoint_url).filesystem()
        fs.pipe(objects)
        assert fs.cat(list(objects)) == objects
    assert min(proxy.counts[fault] for fault in ("slow_down", "reset", "delay", "forwarded")) > 0


def test_a_lost_reply_makes_a_successful_create_look_refused(store: S3Server) -> None:
    keys, refused = [f"{store.bucket}/lost/{i}" for i in range(10)], 0
    with flaky_proxy(store.endpoint_url, seed=2, lost_reply=0.3) as proxy:
        fs = dataclasses.replace(store, endpoint_url=proxy.endpoint_url).filesystem()
        for key in keys:
            try:
                fs.pipe_file(key, key.encode(), mode="create")
            except OSError:
                refused += 1
    assert refused > 0
    assert store.filesystem().cat(keys) == {key: key.encode() for key in keys}
