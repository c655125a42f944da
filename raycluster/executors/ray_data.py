"""Tasks of a stage mapped over a pool of actors by Ray Data.

A dataset holds one row per task. Actors read and write storage themselves and return only what happened to a task. So the
object store never carries a table, and a task that two actors ran counts once: by its marker. An actor that dies is replaced
and its task tried again. The pool begins with one actor and takes in nodes as they come.
"""

import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from raycluster.config.execution import Execution
from raycluster.errors import RayclusterError
from raycluster.executors import reach
from raycluster.executors.board import NOTHING_LEFT, NOTHING_YET, Board
from raycluster.executors.connection import connect  # before ray, which reads its settings when it is first imported
from raycluster.executors.fleet import fleet, wish_for
from raycluster.executors.node_report import NodeReport, report, require_alike
from raycluster.executors.ray_logs import keep_logs
from raycluster.executors.same_bits import refusal_of_processor
from raycluster.executors.sizing import Pool, pool_for
from raycluster.executors.watcher import ANSWER_SECONDS, Watcher
from raycluster.executors.worker import OpenTables, Place, StageWorker, TaskResult
from raycluster.kernels.advance import listening
from raycluster.models.arithmetic import Arithmetic, adopt, current
from raycluster.stages import stage_named
from raycluster.storage.object_store import Store
from raycluster.storage.tables import Task

# isort: split
import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

SPARE = -1
"""Number of a task that takes over a late shard of another."""
SPARES = 0.1
"""Share of the tasks that may get a second copy, once no task is left to begin: the last tenth of a stage."""
REPORT_SECONDS = 2.0
"""Seconds between two reports of rows from one worker to the board."""
POLL_SECONDS = 1.0
"""Seconds between two questions of a spare task to the board, and two checks of the driver. Fewer find late shards sooner."""


def _no_bytes(threads: int) -> float:  # noqa: ARG001
    return 0.0


def _nothing(*_: Any) -> None:
    """Print, count and show nothing."""


@dataclass(frozen=True)
class StageJob:
    """What of a stage is left to run on Ray."""

    stage: str
    tasks: Sequence[Task]
    open_tables: OpenTables
    """How a worker opens the run folder."""
    url: str
    """The run folder."""
    execution: Execution = field(default_factory=Execution)
    has_gpu: bool = False
    """Whether every worker takes a GPU."""
    worker_bytes: Callable[[int], float] = _no_bytes
    """Threads of a worker to its memory."""
    say: Callable[[str], None] = _nothing
    """Prints a line."""
    within: Callable[[float], None] = _nothing
    """Takes rows of tasks that are under way, about once per second."""


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker needs besides its board."""

    open_tables: OpenTables
    url: str
    stage: str
    session: str
    arithmetic: Arithmetic | None
    has_gpu: bool
    driver: NodeReport


class StageActor:
    """One worker process: opens the stage once and runs one task at a time."""

    def __init__(self, setup: WorkerSetup, board: Any) -> None:
        context = ray.get_runtime_context()
        self._node, self._id, self._board = context.get_node_id(), uuid.uuid4().hex, board
        if not setup.has_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # what others have taken, or what this run does without
        adopt(setup.arithmetic)
        threads = max(1, int(context.get_assigned_resources().get("CPU", 1)))
        address = ray.util.get_node_ip_address()
        _asked(board.enter, self._node, address)
        place = Place(address, self._node, _ids_of_live_nodes)
        self._refusal = _refusal(setup, report(address))
        try:
            tables = setup.open_tables(setup.url, threads)
        except RayclusterError as error:  # an actor that fails here would be started again and again
            self._refusal = TaskResult(SPARE, 0, type(error).__name__, str(error))
            return
        self._worker = StageWorker(tables, stage_named(setup.stage), setup.session, place)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Run the batch's one task."""
        task = Task(*(int(batch[name][0]) for name in ("number", "start", "stop")))
        result = self._refusal or (self._spare(batch) if task.number == SPARE else self._run(task))
        return {name: [value] for name, value in vars(result).items()}

    def _run(self, task: Task) -> TaskResult:
        _asked(self._board.begin, task.number, self._id, self._node)
        with listening(self._listener()):
            result = self._worker.run_reporting(task)
        _asked(self._board.end, task.number, self._id)
        return result

    def _listener(self) -> Callable[[float], None]:
        """Return what sends the rows that kernels report to the board, not too often."""
        lock, last, waiting = threading.Lock(), time.monotonic(), 0.0

        def listen(rows: float) -> None:
            nonlocal last, waiting
            with lock:
                waiting += rows
                if time.monotonic() - last >= REPORT_SECONDS:
                    self._board.advance.remote(waiting)
                    last, waiting = time.monotonic(), 0.0

        return listen

    def _spare(self, batch: dict[str, Any]) -> TaskResult:
        """Take over the first task that is late; with none, wait until all are done."""
        bounds = batch["bounds"][0]
        pause = threading.Event()
        while (number := _asked(self._board.late, self._id, self._node)) == NOTHING_YET:
            pause.wait(POLL_SECONDS)
        if number is None or number == NOTHING_LEFT:
            return TaskResult(SPARE, 0)
        start, stop = next((start, stop) for one, start, stop in bounds if one == number)
        result = self._worker.run_reporting(Task(int(number), int(start), int(stop)), is_counted=False)
        _asked(self._board.end, number, self._id)
        return result


def _asked(method: Any, *words: Any) -> Any:
    """Return what the board answers; none where it does not, and the run goes on."""
    try:
        return ray.get(method.remote(*words), timeout=ANSWER_SECONDS)
    except ray.exceptions.RayError:
        return None


def _refusal(setup: WorkerSetup, own: NodeReport) -> TaskResult | None:
    """Return what a node that cannot take part answers to every task.

    None for others.
    """
    try:
        require_alike(setup.driver, [own])
        if _is_scored(setup.stage, setup.has_gpu) and setup.arithmetic is not None:
            why = refusal_of_processor(Store(setup.url), setup.arithmetic.shared, own.processor, own.node)
            if why:
                raise RayclusterError(why)
    except RayclusterError as error:
        return TaskResult(SPARE, 0, type(error).__name__, str(error))
    return None


def _is_scored(stage: str, has_gpu: bool) -> bool:
    """Whether the processors of workers compute scores in a stage."""
    return stage_named(stage).is_scored and not has_gpu


def run_on_ray(job: StageJob) -> Iterator[TaskResult]:
    """Yield the result of every task, in the order they finish.

    Raises RayclusterError where Ray itself fails, where its head is gone, and where no worker starts within `--wait`.
    """
    connect()
    pool = pool_for(len(job.tasks), job.execution, fleet(), job.has_gpu, job.worker_bytes)
    is_wished = job.has_gpu or job.execution.workers is not None
    board = _board([task.number for task in job.tasks])
    watcher = Watcher(job.stage, pool, board, job.execution, job.say, wish_for if is_wished else None)
    results: queue.Queue[TaskResult | Exception | None] = queue.Queue()
    consumer = threading.Thread(
        target=_consume, args=(_dataset(job, pool, board), len(job.tasks), results), daemon=True
    )
    watcher.begin()
    consumer.start()
    with reach.watching():
        yield from _until_done(results, watcher, board, job)


def _until_done(
    results: "queue.Queue[TaskResult | Exception | None]", watcher: Watcher, board: Any, job: StageJob
) -> Iterator[TaskResult]:
    """Yield results as they come, and watch meanwhile."""
    try:
        while True:
            try:
                result = results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                job.within(watcher.check())
                continue
            if result is None:
                return
            if isinstance(result, Exception):
                keep_logs(Store(job.url))
                raise watcher.sentence(result) from None
            watcher.progressed()
            yield result
    finally:
        watcher.end()
        if not watcher.is_head_gone:  # else every call would block until Ray ends this process
            ray.kill(board)


def _board(numbers: list[int]) -> Any:
    """Return a board beside the driver, where no lost node takes it along."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = ray.remote(num_cpus=0, max_restarts=-1)(Board).options(scheduling_strategy=here)
    return actor.remote(numbers, _ids_of_live_nodes)


def _ids_of_live_nodes() -> set[str]:
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _dataset(job: StageJob, pool: Pool, board: Any) -> ray.data.Dataset:
    """Return a stage's tasks, and spare ones after them, mapped over the pool."""
    setup = WorkerSetup(
        job.open_tables, job.url, job.stage, uuid.uuid4().hex[:8], current(), job.has_gpu, report("of the driver")
    )
    rows: list[dict[str, Any]] = [
        {"number": task.number, "start": task.start, "stop": task.stop, "bounds": []} for task in job.tasks
    ]
    if pool.most > 1:
        bounds = [[task.number, task.start, task.stop] for task in job.tasks]
        spare = {"number": SPARE, "start": 0, "stop": 0, "bounds": bounds}
        rows += [spare] * min(pool.most - 1, max(1, round(SPARES * len(job.tasks))))
    variables = setup.arithmetic.shared.variables if setup.arithmetic and _is_scored(job.stage, job.has_gpu) else {}
    runtime: dict[str, Any] = {"runtime_env": {"env_vars": variables}} if variables else {}  # read when torch is loaded
    context = ray.data.DataContext.get_current()
    # one task in flight is a full actor: without this Ray Data would wait for a backlog that there is not
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        type(job.stage, (StageActor,), {}),  # the dashboard names operators by their class
        fn_constructor_args=(setup, board),
        batch_size=1,
        num_cpus=pool.cpus,
        num_gpus=pool.gpus or None,
        memory=pool.memory_bytes or None,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=pool.most, max_tasks_in_flight_per_actor=1),
        **runtime,
    )
    dataset.set_name(f"raycluster {job.stage}")
    return dataset


def _consume(dataset: ray.data.Dataset, tasks: int, results: queue.Queue[TaskResult | Exception | None]) -> None:
    """Put every task's first result into a queue; then none, or what Ray raised.

    Once all tasks are done the dataset is given up, and with it the workers that are late.
    """
    done: set[int] = set()
    try:
        for row in dataset.iter_rows():
            result = TaskResult(**row)
            if result.error or (result.number != SPARE and result.number not in done):
                done.add(result.number)
                results.put(result)
            if len(done) >= tasks:
                break
        results.put(None)
    except Exception as error:
        results.put(error)
