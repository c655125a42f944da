"""Seconds of every stage of a run, with those of node-local copies apart."""

import contextlib
import time
import weakref
from collections.abc import Iterator

from raycluster.arrays import Array
from raycluster.executors.position import Position
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import cluster_rows
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Conversion


class StageTimes(Silence):
    """Seconds of every stage, without those in which its node-local copies were made.

    `seconds` holds those of a stage's tasks, reading and writing included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.once: dict[str, float] = {}
        """Seconds of a stage's work on the driver, before its tasks."""
        self.copy_seconds = 0.0
        """Seconds in which node-local copies were made."""
        self.copied_bytes = 0
        """Their bytes."""

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count the time towards a stage, less that of the copies made in it."""
        copying = self.copy_seconds
        with super().timed(name):
            yield
        self.seconds[name] -= self.copy_seconds - copying

    @contextlib.contextmanager
    def stage(self, name: str, rows: int, before: int) -> Iterator[Position]:
        """Count the time of tasks apart from that of the driver's work before them.

        Parameters
        ----------
        name
            The stage.
        rows, before
            Rows of all its tasks, and those done before.
        """
        self.once[name] = self.seconds.pop(name, 0.0)
        with self.timed(name):
            yield Position(name, rows, before)


class TimedTables(StoredTables):
    """Tables of a run folder, whose node-local copies are counted."""

    def __init__(self, tables: StoredTables, times: StageTimes) -> None:
        super().__init__(tables.folder, tables.threads, cluster_rows)
        self._times = times
        self._counted: dict[int, weakref.ref[Array]] = {}
        """The copies that are counted, by their address. A copy may go, and its address to another."""

    def column(self, stage: str, name: str, dtype: str | None = None, conversion: Conversion | None = None) -> Array:
        """Return a column of all rows, and count what its copy took the first time.

        Parameters
        ----------
        stage, name
            The column.
        dtype, conversion
            What its copy holds.
        """
        began = time.perf_counter()
        copy = super().column(stage, name, dtype, conversion)
        counted = self._counted.get(id(copy))
        if counted is None or counted() is not copy:
            self._counted[id(copy)] = weakref.ref(copy)
            self._times.copy_seconds += time.perf_counter() - began
            self._times.copied_bytes += copy.nbytes
        return copy
