"""One process's part in a stage: open it once, then run task after task."""

import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

from raycluster.errors import ConfigError, DamagedError, InputError, RayclusterError, StorageError
from raycluster.executors.peak_memory import peak_bytes
from raycluster.executors.sizing import own_machine
from raycluster.secrecy import printable_traceback
from raycluster.stages.stage import ShardFunction, Stage
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Tables, Task

OpenTables = Callable[[str, int], Tables]
"""Run folder and threads to the tables that a worker reads and writes."""


@dataclass(frozen=True)
class Place:
    """Where a worker runs."""

    address: str
    """Of its node, for people."""
    node: str
    """Id of the node."""
    live_nodes: Callable[[], Set[str]]
    """Ids of the nodes that live now."""


@dataclass(frozen=True)
class TaskResult:
    """What happened to a task.

    `error` is empty where it is done, else the name of the error's class.
    """

    number: int
    rows: int
    error: str = ""
    message: str = ""
    record: str = field(default="", compare=False)
    """What is on record of the task, so that the driver fetches no markers."""

    def exception(self) -> RayclusterError:
        """Return the error that the result names."""
        kinds = {kind.__name__: kind for kind in (ConfigError, InputError, StorageError, DamagedError)}
        return kinds.get(self.error, RayclusterError)(self.message)


class StageWorker:
    """Runs tasks of one stage on one set of tables.

    `session` names one start of the job, so that attempts which killed their worker are counted; it is empty in the driver's
    own process, which dies with its task. `place` is where the process runs; none is the driver's own.
    """

    def __init__(self, tables: Tables, stage: Stage, session: str = "", place: "Place | None" = None) -> None:
        self.stage = stage
        self._tables, self._session, self._place = tables, session, place
        self._function: ShardFunction | None = None

    def run(self, task: Task, is_counted: bool = True) -> TaskResult:
        """Compute and commit one task.

        A mistake of the user's comes back as a result, not as a traceback.
        """
        try:
            if is_counted:
                self._count_attempt(task)
            self._compute(task)
        except RayclusterError as error:
            return TaskResult(task.number, len(task), type(error).__name__, str(error))
        return TaskResult(task.number, len(task), record=self._tables.record(self.stage.name, task.number))

    def run_reporting(self, task: Task, is_counted: bool = True) -> TaskResult:
        """Run a task on a remote machine.

        An unexpected failure is written to RUN/errors and comes back as a sentence.
        """
        try:
            return self.run(task, is_counted)
        except Exception as error:
            assert isinstance(self._tables, StoredTables), "remote tasks read a run folder"
            path = f"errors/{self.stage.name}-{task.number:05d}.txt"
            self._tables.folder.store.put(path, printable_traceback().encode())
            what = " ".join(f"{type(error).__name__}: {error}".split())
            message = (
                f"A worker of stage {self.stage.name} failed: {what}; {self._tables.folder.store.name(path)} has more."
            )
            return TaskResult(task.number, len(task), "RayclusterError", message)

    def _count_attempt(self, task: Task) -> None:
        if self._session:
            assert isinstance(self._tables, StoredTables), "only tasks of a run folder are tried again"
            node, live = (self._place.node, self._place.live_nodes) if self._place else ("", set)
            self._tables.folder.count_attempt(self.stage.name, task.number, self._session, node, live)

    def _compute(self, task: Task) -> None:
        tables, stage = self._tables, self.stage
        if self._function is None:
            self._function = stage.open(tables)
        began = time.perf_counter()
        output = self._function(task)
        seconds = round(time.perf_counter() - began, 3)
        schema = stage.writes(tables.config, tables.id_type, tables.width)
        node = {"node": self._place.address, "machine": own_machine()} if self._place else {}
        facts = {**output.facts, "seconds": seconds, "peak_bytes": peak_bytes(), **node}
        tables.commit(stage.name, task, replace(output, facts=facts), schema)


def run_inline(stage: Stage, tables: Tables, tasks: Sequence[Task]) -> Iterator[TaskResult]:
    """Yield the result of every task, run one after another in this process.

    Parameters
    ----------
    stage
        Whose function is opened once.
    tables
        What it reads and writes.
    tasks
        In the order in which they are run.
    """
    worker = StageWorker(tables, stage)
    yield from map(worker.run, tasks)
