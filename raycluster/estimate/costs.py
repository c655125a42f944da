"""Time, money, memory, disk and traffic of stages: declared costs times rates."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from raycluster.config.execution import Execution
from raycluster.config.stages import Config
from raycluster.estimate.rates import Rates
from raycluster.executors.machines import Machine
from raycluster.executors.sizing import OBJECT_STORE_BYTES, Crew, pool
from raycluster.pipeline import health
from raycluster.pipeline.bill import START_SECONDS, Bill
from raycluster.pipeline.outlook import HeldCopies, read_by_tasks, read_by_workers, read_later
from raycluster.stages import wanted_stages
from raycluster.stages.stage import Cost, ProblemSize, Stage

GIB = 2.0**30  # bytes
RAY_START_SECONDS, RAY_STAGE_SECONDS = 10.0, 4.0
"""Starting Ray, and a stage's actors: of `benchmarks/end_to_end.py` on two cores, where 21 of 102 s were neither kernel."""
TASK_BYTES = 1024
"""In the object store, one task: its number there and what happened back."""


@dataclass(frozen=True)
class PlannedRun:
    """The run that a forecast is for, and where it is to happen."""

    config: Config
    size: ProblemSize
    id_type: pa.DataType
    output_url: str
    execution: Execution
    driver: Machine
    worker: Machine
    nodes: int
    has_ray: bool
    base_gib: float
    """Memory of a process before it has done anything: its libraries."""
    plan_seconds: float
    """What reading the footers of the input's files takes, which comes before the stages."""

    @property
    def is_apart(self) -> bool:
        """Whether driver and workers are different nodes."""
        return self.worker.network_gib_s is not None

    def cost(self, stage: Stage, **changes: Any) -> Cost:
        """Return what a stage takes at the run's size, of which some fields may be others."""
        return stage.cost(replace(self.size, **changes), self.config)


@dataclass(frozen=True)
class StageForecast:
    """What one stage takes. Memory, object store and disk are peaks of one node."""

    stage: str
    rows: int
    tasks: int
    processes: int
    where: Literal["driver", "workers"]
    seconds: float
    hours: float
    usd: float | None
    driver_gib: float
    worker_gib: float
    object_store_gib: float
    copies_gib: float
    """Node-local copies that the stage's tasks read; `node_disk_gib` is the most that a node holds meanwhile."""
    node_disk_gib: float
    stored_gib: float
    moved_gib: float
    """Read from storage and written there, by all nodes."""


def crew_of(stage: Stage, run: PlannedRun) -> Crew:
    """Return who runs the tasks of a stage."""
    tasks = run.cost(stage).tasks or run.size.shards
    if stage.is_alone(run.config, tasks) or not run.has_ray:
        return Crew(tasks, 1, run.driver.cores)
    has_gpu = stage.gpu and run.execution.accelerator != "cpu" and run.worker.gpus > 0
    room = run.nodes * (run.worker.gpus if has_gpu else run.worker.cores)
    processes, threads = pool(tasks, run.execution.workers, run.nodes, room, run.worker.cores)
    return Crew(tasks, processes, threads, min(run.nodes, processes), is_driver=False, has_gpu=has_gpu)


def forecasts(run: PlannedRun, rates: Rates) -> Iterator[StageForecast]:
    """Yield the forecast of the plan and of every stage, in order."""
    has_started = False
    bill = None if run.driver.usd_hour is None else Bill(run.driver.usd_hour)
    disks = {place: HeldCopies() for place in ("driver", "workers")}
    yield _entry("plan", run, Crew(1, 1, 1), run.plan_seconds, bill, driver=0.0)
    stages = wanted_stages(run.config)
    for number, stage in enumerate(stages):
        crew = crew_of(stage, run)
        cost = run.cost(stage, threads=crew.threads)
        seconds = _seconds(stage, cost, rates, run, crew)
        if not crew.is_driver:
            seconds += RAY_STAGE_SECONDS + (0.0 if has_started else RAY_START_SECONDS)
            has_started = True
            if run.is_apart and bill is not None and bill.is_cold:
                seconds += START_SECONDS
        # Driver and workers make copies of their own, one after the other: fetched, decoded, written.
        moved, left = 0.0, stages[number + 1 :]
        for place in _places(stage, run, crew):
            new = _copied(run, stage, cost, left, disks, place, has_tasks=place == "workers" or crew.is_driver)
            seconds += new * (rates.copy_seconds + 1 / (GIB * (run.worker.network_gib_s or math.inf)))
            moved += new * (crew.nodes if place == "workers" else 1)
        stored = stage.table_bytes(run.size, run.config, run.id_type) * rates.compression[stage.name]
        streamed = sum(size * rates.compression.get(table, 1.0) for table, size in cost.streams.items())
        yield _entry(
            stage.name, run, crew, seconds, bill,
            driver=cost.driver_bytes + (cost.worker_bytes if crew.is_driver else 0.0),
            worker=cost.worker_bytes, copies=sum(cost.copies.values()), stored=stored,
            disk=max(disk.peak() for disk in disks.values()), moved=stored + streamed + moved,
        )  # fmt: skip
        disks["driver"].keep(read_later(run.size, run.config, left))
        disks["workers"].keep(read_by_workers(run.size, run.config, left))


def _copied(
    run: PlannedRun,
    stage: Stage,
    cost: Cost,
    left: Sequence[Stage],
    disks: Mapping[str, HeldCopies],
    place: str,
    *,
    has_tasks: bool,
) -> float:
    """Return the bytes of the copies that a stage makes at a place.

    Parameters
    ----------
    run
        Size and configuration.
    stage, cost, left
        The stage, what it takes, and the stages after it.
    disks
        By place; they hold the copies afterwards.
    place
        Of `_places`.
    has_tasks
        Whether tasks run there. They do everywhere where driver and workers are one machine.
    """
    new = disks[place].holds(cost.copies_once) if place == "driver" else 0.0
    if has_tasks or not run.is_apart:
        disks[place].keep(read_by_tasks(run.size, run.config, stage, left))
        new += disks[place].holds(cost.copies)
    if not left:  # what is read once labels are published
        new += disks["driver"].holds(health.copies(run.size, run.config))
    return new


def _places(stage: Stage, run: PlannedRun, crew: Crew) -> list[str]:
    """Return where a stage reads copies.

    Driver and workers are one place where they are one machine.
    """
    if crew.is_driver or not run.is_apart:
        return ["driver"]
    return ["workers"] if stage.once is None else ["driver", "workers"]


def _seconds(stage: Stage, cost: Cost, rates: Rates, run: PlannedRun, crew: Crew) -> float:
    """Return the seconds of the driver's work and of all waves of tasks."""
    once = rates.once[stage.name].seconds(run.size.rows, cost.once)
    if cost.is_once_threaded:
        once *= rates.threads / run.driver.cores
    task = rates.tasks[stage.name].seconds(run.size.rows / crew.tasks, cost.work / crew.tasks)
    tflops = run.worker.gpu_tflops if crew.has_gpu else 0.0
    if tflops and cost.gpu_flop:
        task = cost.gpu_flop / (tflops * 1e12) / crew.tasks
    elif tflops and not cost.is_gpu_idle:  # as much faster as products are
        task *= rates.gemm_gflops / (tflops * 1e3)
    elif cost.is_threaded:
        task *= rates.threads / crew.threads
    return once + task * -(-crew.tasks // crew.processes)


def _entry(stage: str, run: PlannedRun, crew: Crew, seconds: float, bill: Bill | None, **sizes: float) -> StageForecast:
    """Return a forecast from seconds and from bytes by what they are of.

    The bill counts whole machines.
    """
    gib = dict.fromkeys(("worker", "copies", "disk", "stored", "moved"), 0.0)
    gib |= {name: size / GIB for name, size in sizes.items()}
    price = run.worker.usd_hour
    usd = None
    if bill is not None and (price is not None or not run.is_apart):
        machines = crew.nodes if run.is_apart and not crew.is_driver else 0
        usd = round(bill.charge(seconds, [price or 0.0] * machines), 2)
    on_one_node = 0 if crew.is_driver else -(-crew.processes // crew.nodes)
    object_store = 0 if crew.is_driver else crew.tasks * TASK_BYTES + (0 if run.is_apart else OBJECT_STORE_BYTES)
    return StageForecast(
        stage, run.size.rows, crew.tasks, crew.processes, "driver" if crew.is_driver else "workers",
        seconds=round(seconds, 2), hours=round(seconds / 3600, 6), usd=usd,
        driver_gib=round(gib["driver"] + run.base_gib, 3),
        worker_gib=round(on_one_node * (gib["worker"] + run.base_gib), 3),
        object_store_gib=round(object_store / GIB, 3), copies_gib=round(gib["copies"], 3),
        node_disk_gib=round(gib["disk"], 3), stored_gib=round(gib["stored"], 6), moved_gib=round(gib["moved"], 3),
    )  # fmt: skip
