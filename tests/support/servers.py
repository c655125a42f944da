"""Real servers for tests, on free loopback ports and always stopped: an S3 store, a flaky proxy, a Ray cluster."""

from __future__ import annotations

import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import s3fs

FAULTS = ("slow_down", "reset", "lost_reply", "delay")
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


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

    def filesystem(self) -> s3fs.S3FileSystem:
        """A new s3fs client that shares no cache with another."""
        options = {"key": self.access_key, "secret": self.secret_key, "endpoint_url": self.endpoint_url}
        return s3fs.S3FileSystem(**options, skip_instance_cache=True, use_listings_cache=False)


@contextmanager
def seaweed_s3(tmp_path: Path, bucket: str = "raycluster-test") -> Iterator[S3Server]:
    """A SeaweedFS S3 gateway that checks signatures and conditional writes, with one empty bucket."""
    folder = Path(tempfile.mkdtemp(prefix="seaweed-", dir=tmp_path))
    (folder / "data").mkdir()
    key, secret = "test-access-key", secrets.token_hex(16)
    identity = {"name": "tests", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[0]}", key, secret, bucket)
    command = [_program("weed"), "-logtostderr", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    command += [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}", "-master.telemetry=false"]
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=0", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    options = [f"{role}.port{kind}" for role in ("s3", "master", "volume", "filer") for kind in ("", ".grpc")]
    command += [f"-{option}={port}" for option, port in zip(options, ports, strict=True)]

    def ready() -> bool:
        with suppress(OSError):
            server.filesystem().mkdir(bucket)
            return True
        return False

    try:
        with _running(command, folder / "log", {}, ready, term_s=0):
            yield server
    finally:
        for port in ports:
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)


@dataclass
class FlakyProxy:
    """A running proxy: ``rates`` may be changed while it serves, ``counts`` holds what became of the requests."""

    endpoint_url: str
    rates: dict[str, float]
    counts: Counter[str] = field(default_factory=Counter)


@contextmanager
def flaky_proxy(
    target_endpoint: str,
    *,
    seed: int = 0,
    slow_down: float = 0.0,
    reset: float = 0.0,
    lost_reply: float = 0.0,
    delay: float = 0.0,
    delay_s: float = 0.2,
) -> Iterator[FlakyProxy]:
    """An HTTP proxy that hurts a seeded share of requests and forwards the rest with all headers unchanged.

    ``slow_down`` answers 503; ``reset`` drops the connection before forwarding; ``lost_reply`` forwards and then drops
    it, so a write happened that the client cannot see; ``delay`` waits ``delay_s`` and forwards.
    """
    target = urlsplit(target_endpoint).netloc
    rng, lock = random.Random(seed), threading.Lock()
    proxy = FlakyProxy("", dict(zip(FAULTS, (slow_down, reset, lost_reply, delay), strict=True)))

    def draw() -> str:
        with lock:
            weights = [proxy.rates[fault] for fault in FAULTS]
            fault = rng.choices((*FAULTS, "forwarded"), (*weights, max(0.0, 1.0 - sum(weights))))[0]
            proxy.counts[fault] += 1
            return fault

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = draw()
            if fault == "slow_down":
                self.answer(503, [("Content-Type", "application/xml")], SLOW_DOWN)
                return
            if fault == "reset":
                self.drop()
                return
            if fault == "delay":
                time.sleep(delay_s)
            upstream = http.client.HTTPConnection(target, timeout=60)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body or None)
                response = upstream.getresponse()
                content = response.read()
            finally:
                upstream.close()
            if fault == "lost_reply":
                self.drop()
            else:
                self.answer(response.status, response.getheaders(), content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

        def answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            kept = {k: v for k, v in headers if k.lower() not in {"transfer-encoding", "connection"}}
            if self.command != "HEAD":
                kept["Content-Length"] = str(len(content))
            self.send_response_only(status)
            for name, value in kept.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        def drop(self) -> None:
            """Close with a TCP reset instead of an orderly end."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep test output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A dropped connection is expected here."""

    with Server(("127.0.0.1", 0), Handler) as httpd:
        proxy.endpoint_url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            httpd.shutdown()
            thread.join()


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
    gcs, dashboard, *others = free_ports(7)
    job_address = f"http://127.0.0.1:{dashboard}"
    temp_dir = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of its sockets must stay under 107 characters
    command = [_program("ray"), "start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    command += [f"--temp-dir={temp_dir}", f"--num-cpus={num_cpus}", f"--object-store-memory={object_store_mb << 20}"]
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


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports nothing listens on right now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


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
        deadline = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{Path(command[0]).name} did not start:\n{log.read_text(errors='replace')[-3000:]}")
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
