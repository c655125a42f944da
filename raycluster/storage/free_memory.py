"""Memory that this process may still take: of machine and container.

A container sees the memory of the whole machine, but is killed at the limit of its control group.
"""

from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows control groups."""
OWN = Path("/proc/self/cgroup")
"""Which of them this process is in."""


def available_bytes() -> int:
    """Return the memory that is free on the machine and within its container."""
    return int(min([psutil.virtual_memory().available, *_rooms()]))


def _rooms() -> list[int]:
    """Return what is left below every limit of the groups that this process is in."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:  # no Linux, or no such groups
        return []
    rooms = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree for all
            rooms += _below(GROUPS, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            rooms += _below(
                GROUPS / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            )
    return rooms


def _below(tree: Path, path: str, limit: str, usage: str, cache: str) -> list[int]:
    """Return the room of a group and of those above it.

    Parameters
    ----------
    tree, path
        Root of the groups, and the path of this process's own. Within a container the path may be that of the host, and the
        own group is the root.
    limit, usage
        Names of the files with bytes at most, and bytes now.
    cache
        Name of the line in memory.stat with bytes of file cache that the kernel gives back.
    """
    rooms = []
    own = tree / path.lstrip("/")
    for group in dict.fromkeys([own, *own.parents, tree]):
        if not group.is_relative_to(tree):
            continue
        try:
            most, now = (group / limit).read_text().strip(), int((group / usage).read_text())
            words = (group / "memory.stat").read_text().split()
            given_back = int(words[words.index(cache) + 1]) if cache in words else 0
        except (OSError, ValueError):
            continue
        if most != "max":
            rooms.append(max(0, int(most) - now + given_back))
    return rooms
