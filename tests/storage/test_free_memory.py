"""Memory within the limits of a container, by either version of control groups."""

from pathlib import Path

import psutil
import pytest

from raycluster.storage import free_memory
from raycluster.storage.free_memory import available_bytes

GIB = 2**30


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 64 GiB free, and no limit yet."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64 * GIB}))
    monkeypatch.setattr(free_memory, "GROUPS", tmp_path / "fs")
    monkeypatch.setattr(free_memory, "OWN", tmp_path / "own")
    return tmp_path


def limited(group: Path, limit: str, usage: int, names: tuple[str, str, str]) -> None:
    group.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, str(usage), f"anon 5\n{names[2]} {GIB}\n"), strict=True):
        (group / (name if "inactive" not in name else "memory.stat")).write_text(f"{value}\n")


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.mark.usefixtures("groups")
def test_without_groups_it_is_the_machines() -> None:
    assert available_bytes() == 64 * GIB


def test_the_tightest_group_counts_and_cache_is_given_back(groups: Path) -> None:
    (groups / "own").write_text("0::/pod/box\n")
    limited(groups / "fs" / "pod" / "box", "max", 3 * GIB, V2)
    assert available_bytes() == 64 * GIB
    limited(groups / "fs" / "pod", str(8 * GIB), 3 * GIB, V2)
    assert available_bytes() == 6 * GIB
    limited(groups / "fs" / "pod" / "box", str(4 * GIB), 5 * GIB, V2)
    assert available_bytes() == 0


def test_within_a_container_the_root_is_the_own_group(groups: Path) -> None:
    (groups / "own").write_text("0::/kubepods/pod1/abc\n")
    limited(groups / "fs", str(2 * GIB), GIB, V2)
    assert available_bytes() == 2 * GIB


def test_version_1_has_a_tree_of_its_own(groups: Path) -> None:
    (groups / "own").write_text("3:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n1:name=systemd:/\n")
    limited(groups / "fs" / "memory" / "docker" / "x", str(4 * GIB), 2 * GIB, V1)
    assert available_bytes() == 3 * GIB
    limited(groups / "fs" / "memory", str(2**63 - 4096), 10 * GIB, V1)
    assert available_bytes() == 3 * GIB


def test_this_machine_has_some() -> None:
    assert 0 < available_bytes() <= psutil.virtual_memory().total
