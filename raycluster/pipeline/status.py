"""How far a run is, for programs: RUN/progress.json and Prometheus gauges."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from raycluster.errors import StorageError
from raycluster.executors import gauges
from raycluster.executors.position import Position
from raycluster.pipeline.bill import usd_so_far
from raycluster.storage.object_store import Store
from raycluster.storage.records import decode

FILE = "progress.json"
"""Where a run keeps it."""
SECONDS_BETWEEN = 30.0
"""Seconds between two writes. Fewer are requests that nobody reads."""
JOIN_SECONDS = 5.0
"""Longest wait for a write that is under way: a head that is gone does not hold up the sentence about it."""


class Status:
    """Writes how far a run is while it runs, on a thread of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._began = self._counted = time.monotonic()
        self._hours = 0.0
        self._machines: dict[str, str] = {}

    @contextlib.contextmanager
    def of_stage(self, position: Position) -> Iterator["Status"]:
        """Write the position of a stage at its start, every half minute, and at its end."""
        is_over = threading.Event()

        def follow() -> None:
            self._write(position)
            while not is_over.wait(SECONDS_BETWEEN):
                self._write(position)

        clock = threading.Thread(target=follow, name="status", daemon=True)
        clock.start()
        try:
            yield self
        finally:
            is_over.set()
            clock.join(JOIN_SECONDS)
            self._write(position)

    def learn(self, record: str) -> None:
        """Learn from the record of a task on which kind of machine it ran."""
        facts = decode(record.encode(), dict[str, Any], "a marker").get("facts", {}) if record else {}
        if facts.get("machine"):
            self._machines[facts["node"]] = facts["machine"]

    def _write(self, position: Position) -> None:
        """Write a position. What fails here is no reason to end a run."""
        with contextlib.suppress(StorageError, OSError):
            values = self.values(position, time.monotonic())
            gauges.show(self._store.url, values)
            self._store.put(FILE, json.dumps(values, indent=2).encode())

    def values(self, position: Position, now: float) -> dict[str, Any]:
        """Return what the file holds at a moment."""
        self._hours += gauges.machines() * (now - self._counted) / 3600
        self._counted = now
        elapsed, left = now - position.began, position.seconds_left(now)
        return {
            "stage": position.name,
            "rows": position.rows,
            "rows_done": int(position.done),
            "rows_per_second": round((position.done - position.before) / elapsed, 1) if elapsed > 0 else None,
            "seconds_left": None if left is None else round(left, 1),
            "seconds_left_of_run": None if left is None or position.later is None else round(left + position.later, 1),
            "machine_hours": round(self._hours, 4),
            "usd": usd_so_far((now - self._began) / 3600, self._hours, self._machines.values()),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
