"""Real servers for tests, on free loopback ports and always stopped: an S3 store and a Ray cluster."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from unittest import mock

import s3fs
from botocore.exceptions import BotoCoreError

ATTEMPTS = 3
"""Times that a server is started, on other ports each time: another process may have taken one meanwhile."""
START_SECONDS = 80.0
"""Longest wait for a server on a busy machine of two cores; a quiet one takes two to eight."""
PORTS = range(18_000, 32_000)
"""Ports that Linux gives to nobody by itself: its own range, for clients and for port 0, begins at 32,768."""

T = TypeVar("T")


class NotStarted(RuntimeError):
    """A server ended, or did not answer, before a test could use it."""


@dataclass(frozen=True)
class S3Server:
    """Where a test's object store listens and how to sign in; ``dataclasses.replace`` makes a view through a proxy."""

    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str

    @property
    def env(self) -> dict[str, str]:
        """Variables that point any S3 client of a subprocess at this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def filesystem(self, **config: object) -> s3fs.S3FileSystem:
        """A new s3fs client that shares no cache with another; `config` are settings of botocore."""
        options: dict[str, object] = {
            "key": self.access_key,
            "secret": self.secret_key,
            "endpoint_url": self.endpoint_url,
        }
        options |= {"skip_instance_cache": True, "use_listings_cache": False, "config_kwargs": config}
        return s3fs.S3FileSystem(**options)


@contextmanager
def seaweed_s3(tmp_path: Path, bucket: str = "raycluster-test") -> Iterator[S3Server]:
    """A SeaweedFS S3 gateway that checks signatures and conditional writes, with one empty bucket."""

    @contextmanager
    def serve(ports: list[int]) -> Iterator[S3Server]:
        folder = Path(tempfile.mkdtemp(prefix="seaweed-", dir=tmp_path))
        (folder / "data").mkdir()
        key, secret = "test-access-key", secrets.token_hex(16)
        identity = {"name": "tests", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        server = S3Server(f"http://127.0.0.1:{ports[0]}", key, secret, bucket)
        command = [_program("weed"), "-logtostderr", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
        command += [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}", "-master.telemetry=false"]
        command += ["-master.volumeSizeLimitMB=64", "-volume.max=0", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        options = [f"{role}.port{kind}" for role in ("s3", "master", "volume", "filer") for kind in ("", ".grpc")]
        command += [f"-{option}={port}" for option, port in zip(options, ports, strict=True)]

        def ready() -> bool:
            with suppress(OSError, BotoCoreError):
                socket.create_connection(("127.0.0.1", ports[0]), timeout=1).close()
                server.filesystem(read_timeout=5).mkdir(bucket)
                return True
            return False

        try:
            with _running(command, folder / "log", {}, ready, term_s=0):
                yield server
        finally:
            for port in ports:
                for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    path.unlink(missing_ok=True)

    with _on_free_ports(8, serve) as server:
        yield server


@contextmanager
def s3_here(server: S3Server) -> Iterator[None]:
    """Point this process at a server, by clients of its own: s3fs keeps one, whatever becomes of the environment."""
    with mock.patch.dict(os.environ, server.env):
        s3fs.S3FileSystem.clear_instance_cache()
        try:
            yield
        finally:
            s3fs.S3FileSystem.clear_instance_cache()


@dataclass(frozen=True)
class RayHead:
    """A one-node Ray cluster: job server address, GCS address, and the environment its clients need."""

    job_address: str
    gcs_address: str
    token: str
    env: dict[str, str]


@contextmanager
def ray_head(tmp_path: Path, num_cpus: int = 2, object_store_mb: int = 300) -> Iterator[RayHead]:
    """A cluster of its own with token authentication; leaving stops its processes and no other cluster's."""
    token = secrets.token_hex(32)
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"}

    @contextmanager
    def serve(ports: list[int]) -> Iterator[RayHead]:
        gcs, dashboard, *others = ports
        job_address = f"http://127.0.0.1:{dashboard}"
        temp_dir = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of its sockets: at most 107 characters
        command = [_program("ray"), "start", "--head", "--block", "--disable-usage-stats"]
        command += ["--node-ip-address=127.0.0.1", f"--temp-dir={temp_dir}"]
        command += [f"--num-cpus={num_cpus}", f"--object-store-memory={object_store_mb << 20}"]
        command += [f"--port={gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        names = ["dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export"]
        command += [f"--{name}-port={port}" for name, port in zip([*names, "ray-client-server"], others, strict=True)]
        command += ["--min-worker-port=0", "--max-worker-port=0"]

        def ready() -> bool:
            request = urllib.request.Request(f"{job_address}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
            with suppress(OSError), urllib.request.urlopen(request, timeout=5) as reply:
                return bool(reply.status == 200)
            return False

        try:
            with _running(command, tmp_path / "ray-head.log", settings, ready, term_s=4):
                yield RayHead(job_address, f"127.0.0.1:{gcs}", token, _clean_environment() | settings)
        finally:
            shutil.rmtree(temp_dir, ignore_errors=True)

    with _on_free_ports(7, serve) as head:
        yield head


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports nothing listens on right now."""
    with ExitStack() as sockets:
        found: list[int] = []
        for port in random.sample(PORTS, len(PORTS)):
            sock = sockets.enter_context(socket.socket())
            with suppress(OSError):
                sock.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"no {count} ports between {PORTS.start} and {PORTS.stop} are free")


@contextmanager
def _on_free_ports(count: int, serve: Callable[[list[int]], AbstractContextManager[T]]) -> Iterator[T]:
    """What `serve` starts on free ports; where it does not start there, on others."""
    with ExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                server = stack.enter_context(serve(free_ports(count)))
                break
            except NotStarted:
                if attempt == ATTEMPTS:
                    raise
        yield server


def _clean_environment() -> dict[str, str]:
    """This process's environment, its interpreter first on the path, without settings of an outer Ray or S3 client."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "AWS_", "OMP_NUM_THREADS"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def _program(name: str) -> str:
    """Path of a program installed with this interpreter."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{sysconfig.get_path('scripts')}")
    if path is None:
        raise FileNotFoundError(f"{name} is not installed with {sys.executable}; install the dev extra")
    return path


@contextmanager
def _running(
    command: list[str], log: Path, settings: dict[str, str], ready: Callable[[], bool], *, term_s: float
) -> Iterator[None]:
    """Run a server in its own session until the block ends, then stop it and every process that came from it."""
    mark = f"TEST_SERVER={secrets.token_hex(16)}"
    env = _clean_environment() | settings | dict([mark.split("=")])
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{Path(command[0]).name} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield
    finally:
        if term_s:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(term_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pid in _offspring(process.pid, mark.encode()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _offspring(session: int, mark: bytes) -> list[int]:
    """Processes of a session, or that inherited its mark (a driver of a submitted job starts a session of its own)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            if os.getsid(pid) == session or mark in (folder / "environ").read_bytes():
                found.append(pid)
    return found
