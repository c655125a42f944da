"""A Ray cluster of several raylets on this machine: nodes with addresses and scratch folders of their own, killed at will.

Every process carries the mark of its cluster and node in its environment. Nodes are stopped by this mark, never by name.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.paths import ROOT
from support.servers import _clean_environment, _program, free_ports

OBJECT_STORE_BYTES = 80 << 20
"""Object store of a node. Ray refuses less than 75 MiB; tasks of tests are numbers."""
PORTS = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port", "metrics-export-port")
NODE_SECONDS = 60.0
"""Longest wait for a node before it is started again."""
START_SECONDS = 120.0
"""Longest wait for a head or a node on a busy machine of two cores."""


@dataclass
class Node:
    """One raylet and what it started."""

    name: str
    address: str
    scratch: Path
    mark: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End every process of the node at once, as a preempted machine does."""
        kill_marked(self.mark)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)


@dataclass
class Raylets:
    """A head and its nodes."""

    folder: Path
    token: str | None = None
    """Of the cluster's authentication; none for a cluster without."""
    head_cpus: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    """Variables of every process of the cluster."""
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._head: subprocess.Popen[bytes] | None = None
        self.mark = f"{secrets.token_hex(8)}-"
        self.temporary = Path(tempfile.mkdtemp(prefix="rl-", dir="/tmp"))  # paths of sockets stay under 107 characters
        path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"  # workers find this checkout, and what tests slow down
        plain = {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        plain["RAY_raylet_start_wait_time_s"] = "180"  # a busy machine starts raylets slowly
        self.settings = plain | self.settings
        if self.token:
            self.settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        else:
            self.settings |= {"RAY_AUTH_MODE": "disabled"}
        self._ports = free_ports(7)

    @property
    def gcs_address(self) -> str:
        """Where drivers connect."""
        return f"127.0.0.10:{self._ports[0]}"

    @property
    def job_address(self) -> str:
        """Where jobs are submitted."""
        return f"http://127.0.0.1:{self._ports[1]}"

    @property
    def env(self) -> dict[str, str]:
        """Environment of a driver on this cluster, which is made to run on the head.

        Ray has the address of a driver's node in a file that all raylets of this machine share.
        """
        for session in self.temporary.glob("session_*/"):
            (session / "node_ip_address.json").write_text(json.dumps({"node_ip_address": "127.0.0.10"}))
        own = {"RAY_ADDRESS": self.gcs_address, "RAYCLUSTER_SCRATCH": str(self._scratch("head"))}
        variables = _clean_environment() | self.settings | own | {"RAYLET_MARK": f"{self.mark}driver"}
        if not self.token:
            variables.pop("RAY_AUTH_MODE")  # a driver has Ray's own setting
        return variables

    def add(
        self,
        name: str,
        cpus: int = 1,
        gpus: int = 0,
        env: dict[str, str] | None = None,
        private: tuple[str, ...] = (),
        is_awaited: bool = True,
    ) -> Node:
        """Start a node, and wait until it is there: two that start at once can hang each other.

        `private` folders are empty on it: it has mounts of its own there.
        """
        address = f"127.0.0.{11 + len(self.nodes)}"
        command = [_program("ray"), "start", "--block", "--disable-usage-stats", f"--address={self.gcs_address}"]
        command += [f"--node-ip-address={address}", f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        command += [f"--object-store-memory={OBJECT_STORE_BYTES}", "--min-worker-port=0", "--max-worker-port=0"]
        command += [f"--{port}={number}" for port, number in zip(PORTS, free_ports(4), strict=True)]
        command += ["--resources", json.dumps({f"node_{name}": 1})]
        if private:
            mounts = " && ".join(f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in private)
            shell = ["bash", "-c", f'{mounts} && exec "$@"', "--"]
            command = ["unshare", "-m", "--propagation", "private", *shell, *command]
        scratch, mark = self._scratch(name), f"{self.mark}{name}"
        settings = self.settings | {"RAYCLUSTER_SCRATCH": str(scratch), "RAYLET_MARK": mark} | (env or {})
        node = Node(name, address, scratch, mark, self._started(command, settings, name))
        self.nodes.append(node)
        for is_last in (False, True):
            try:
                if is_awaited:
                    until(lambda: node.address in self.addresses(), f"node {name} of {self.folder}", NODE_SECONDS)
                return node
            except AssertionError:  # a raylet that hangs on a busy machine
                if is_last:
                    raise
                node.kill()
                node.process = self._started(command, settings, name)
        return node

    def addresses(self) -> list[str]:
        """Addresses of the live nodes, the head's included."""
        reply = self.request("/api/v0/nodes?limit=100&detail=false")
        rows = reply["data"]["result"]["result"] if reply else []
        return [row["node_ip"] for row in rows if row["state"] == "ALIVE"]

    def request(self, path: str) -> Any:
        """What the head's HTTP server answers; none where it does not."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(f"{self.job_address}{path}", headers=headers)
        with suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=5) as reply:
            return json.loads(reply.read())
        return None

    def kill_head(self) -> None:
        """End the head's processes at once."""
        kill_marked(f"{self.mark}head")
        assert self._head is not None
        with suppress(subprocess.TimeoutExpired):
            self._head.wait(5)

    def stop(self) -> None:
        """End every process of the cluster and of its drivers."""
        for _ in range(3):  # what is being started while others are killed
            kill_marked(self.mark)
            time.sleep(0.2)
        for process in [self._head, *(node.process for node in self.nodes)]:
            if process is not None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(5)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def start_head(self) -> None:
        """Start the head, or another one at the addresses of one that was killed."""
        command = [_program("ray"), "start", "--head", "--block", "--disable-usage-stats", "--dashboard-host=127.0.0.1"]
        command += ["--node-ip-address=127.0.0.10", f"--temp-dir={self.temporary}", f"--num-cpus={self.head_cpus}"]
        command += [f"--port={self._ports[0]}", f"--dashboard-port={self._ports[1]}", "--num-gpus=0"]
        command += [f"--object-store-memory={OBJECT_STORE_BYTES}", "--min-worker-port=0", "--max-worker-port=0"]
        ports = zip((*PORTS, "ray-client-server-port"), self._ports[2:], strict=True)
        command += [f"--{port}={number}" for port, number in ports]
        settings = self.settings | {"RAYCLUSTER_SCRATCH": str(self._scratch("head")), "RAYLET_MARK": f"{self.mark}head"}
        self._head = self._started(command, settings, "head")
        until(lambda: bool(self.addresses()), f"the head of {self.folder}")

    def _scratch(self, name: str) -> Path:
        path = self.folder / f"scratch-{name}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _started(self, command: list[str], settings: dict[str, str], name: str) -> subprocess.Popen[bytes]:
        place = self.folder / f"cwd-{name}"
        place.mkdir(exist_ok=True)
        env = _clean_environment() | settings
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=place, start_new_session=True
            )


@contextmanager
def raylets(folder: Path, nodes: int = 2, cpus: int = 1, **options: Any) -> Iterator[Raylets]:
    """A cluster of a head without CPUs and some nodes; leaving the block ends all its processes."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Raylets(folder, **options)
    try:
        cluster.start_head()
        for number in range(nodes):
            cluster.add(f"n{number}", cpus)
        yield cluster
    finally:
        cluster.stop()


def kill_marked(mark: str) -> None:
    """Kill every process that carries a mark: of a node, or the beginning that all of a cluster share."""
    for pid in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Processes that carry a mark. A mark that ends in a hyphen is the beginning of many."""
    text = f"RAYLET_MARK={mark}".encode() + (b"" if mark.endswith("-") else b"\0")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if text in (folder / "environ").read_bytes() + b"\0":
                found.append(int(folder.name))
    return found


def until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS, every: float = 0.3) -> float:
    """Wait for a condition; returns the seconds it took. Fails after `seconds`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"{what}: not there after {seconds:.0f} s"
        time.sleep(every)
    return time.monotonic() - began


def on_interpreter(code: str, env: dict[str, str], timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run some lines of Python in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
