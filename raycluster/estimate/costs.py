"""Time, money, memory, disk and traffic of every stage where it is to run: laws times rates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from raycluster.config.stages import Config
from raycluster.estimate import laws
from raycluster.estimate.laws import Scale
from raycluster.estimate.machines import Machine
from raycluster.estimate.probe import Rates
from raycluster.pipeline.run import STAGES, Execution
from raycluster.stages import communities
from raycluster.storage.parquet_input import OBJECT_STORE_BYTES, pool
from raycluster.storage.run_folder import Stage

GIB = 2.0**30
RAY_SECONDS = {"start": 10.0, "stage": 4.0}
"""Starting Ray, and a stage's actors: of `benchmarks/end_to_end.py` on two cores, where 21 of 102 s were neither kernel."""
PLAN_SECONDS_A_ROW = 1e-6
"""Reading and ordering int64 ids of rows that are only assumed; 0.5 s a million were measured without the reading."""
TASK_BYTES = 1024
"""In the object store, a task: a shard number there and what happened back."""


@dataclass(frozen=True)
class Place:
    """Where a run is to happen."""

    driver: Machine
    worker: Machine
    nodes: int
    execution: Execution
    ray: bool
    base_gib: float
    """Memory of a process before it has done anything: its libraries."""

    @property
    def apart(self) -> bool:
        """Whether driver and workers are different nodes."""
        return self.worker.network_gib_s is not None

    def on_gpu(self, stage: Stage) -> bool:
        """Whether a worker of the stage takes a GPU."""
        return stage.gpu and self.execution.accelerator != "cpu" and self.worker.gpus > 0

    def workers(self, stage: Stage, tasks: int) -> tuple[int, int]:
        """Processes that share the tasks of a stage, and threads of each."""
        if not self.ray:
            return 1, self.worker.cores
        room = self.nodes * (self.worker.gpus if self.on_gpu(stage) else self.worker.cores)
        return pool(tasks, self.execution.workers, self.nodes, room, self.worker.cores)


def planning(config: Config, scale: Scale, seconds: float, measured_rows: int, place: Place) -> dict[str, Any]:
    """The order of ids, which the dry run has found itself."""
    taken = seconds + PLAN_SECONDS_A_ROW * max(0, scale.rows - measured_rows)
    memory = laws.driver_bytes("plan", config, scale) / GIB + place.base_gib
    return _entry("plan", scale.rows, 1, taken, place, False, driver_gib=memory, moved=8.0 * scale.rows)


def stages(config: Config, scale: Scale, rates: Rates, place: Place) -> Iterator[dict[str, Any]]:
    """Every wanted stage in order."""
    made: dict[str, float] = {}
    first = True
    for stage in STAGES:
        if not stage.wanted(config):
            continue
        name, tasks = stage.name, _tasks(stage, config, scale)
        alone = stage.on_driver(config) or (tasks == 1 and not stage.gpu) or not place.ray
        processes, threads = (1, place.driver.cores) if alone else place.workers(stage, tasks)
        needed = laws.copies(name, config, scale)
        new = {of: size for of, size in needed.items() if of not in made}
        made |= new
        nodes = 1 if alone else min(place.nodes, processes)
        seconds = _seconds(stage, config, scale, rates, place, tasks, processes, threads, alone)
        seconds += _copying(sum(new.values()), rates, place) * (2 if place.apart and stage.prepare and not alone else 1)
        if not alone:
            seconds += RAY_SECONDS["stage"] + (RAY_SECONDS["start"] if first else 0)
            first = False
        stored = laws.stored_bytes(name, config, scale) * rates.compression.get(name, 1.0)
        moved = stored + sum(new.values()) * (nodes + (1 if place.apart else 0)) + _read(name, config, scale, rates)
        on_one = -(-processes // nodes)
        task, whole = laws.worker_bytes(name, config, scale, threads), laws.driver_bytes(name, config, scale)
        if name == "communities" and not alone:  # several trials, each a task that holds the whole edge list
            task, whole = whole, 0.0
        inside = on_one * (task / GIB + (0 if alone else place.base_gib))
        driver = whole / GIB + place.base_gib
        yield _entry(
            name, scale.rows, tasks, seconds, place, not alone,
            driver_gib=driver + (inside if alone else 0),
            worker_gib=0.0 if alone else inside,
            processes=processes, copies=sum(needed.values()), disk=sum(made.values()), stored=stored, moved=moved,
        )  # fmt: skip


def _tasks(stage: Stage, config: Config, scale: Scale) -> int:
    alone = {"communities": communities.trials(config.communities), "density": 1}
    if stage.name in alone:
        return alone[stage.name]
    return scale.pieces if stage.name == "ingest" else scale.shards


def _seconds(
    stage: Stage, config: Config, scale: Scale, rates: Rates, place: Place, tasks: int, processes: int, threads: int,
    alone: bool,
) -> float:  # fmt: skip
    """Preparation on the driver, then waves of tasks."""
    units = laws.work(stage.name, config, scale)
    once = rates.once[stage.name].seconds(scale.rows, units.once)
    if stage.name in ("lists", "knn"):
        once *= rates.threads / place.driver.cores
    if stage.name == "communities":  # every trial does all the work
        return rates.tasks[stage.name].seconds(scale.rows, units.tasks) * (-(-tasks // processes))
    each = rates.tasks[stage.name].seconds(scale.rows / tasks, units.tasks / tasks)
    if place.on_gpu(stage) and not alone and place.worker.gpu_tflops:
        each = _gpu_seconds(stage, config, scale, rates, place) / tasks
    elif laws.threaded(stage.name, config):
        each *= rates.threads / threads
    return once + each * (-(-tasks // processes))


def _gpu_seconds(stage: Stage, config: Config, scale: Scale, rates: Rates, place: Place) -> float:
    """Of all tasks on one GPU: kNN by its products, networks by the ratio of this machine's gemm to the GPU's."""
    if stage.name == "knn" and config.knn.index == "exact" and config.knn.source is None:
        return 2.0 * scale.rows * scale.rows * scale.width / (place.worker.gpu_tflops * 1e12)
    here = rates.tasks[stage.name].seconds(scale.rows, laws.work(stage.name, config, scale).tasks)
    if stage.name == "knn":  # inverted lists are read by the CPU
        return here * rates.threads / place.worker.cores
    return here * rates.gemm_gflops / (place.worker.gpu_tflops * 1e3)


def _copying(size: float, rates: Rates, place: Place) -> float:
    """Seconds in which a node makes its copies: fetched, decoded, written."""
    network = size / GIB / place.worker.network_gib_s if place.worker.network_gib_s else 0.0
    return size * rates.copy_seconds + network


def _read(stage: str, config: Config, scale: Scale, rates: Rates) -> float:
    """Bytes read from storage besides what goes into copies."""
    if stage == "ingest":
        return float(scale.rows * (8 + 4 * scale.width))
    before = {"embeddings": "ingest", "communities": "edges", "labels": "edges"}.get(stage)
    return laws.stored_bytes(before, config, scale) * rates.compression.get(before, 1.0) if before else 0.0


def _entry(
    stage: str, rows: int, tasks: int, seconds: float, place: Place, on_workers: bool, *, driver_gib: float,
    worker_gib: float = 0.0, processes: int = 1, copies: float = 0.0, disk: float = 0.0, stored: float = 0.0, moved: float = 0.0,
) -> dict[str, Any]:  # fmt: skip
    prices = [place.driver.usd_hour]
    if place.apart and on_workers:
        prices += [place.worker.usd_hour] * place.nodes
    price = None if None in prices else sum(filter(None, prices))
    local = OBJECT_STORE_BYTES if on_workers and not place.apart else 0
    return {
        "stage": stage,
        "rows": rows,
        "tasks": tasks,
        "processes": processes,
        "where": "workers" if on_workers else "driver",
        "seconds": round(seconds, 2),
        "hours": round(seconds / 3600, 6),
        "usd": None if price is None else round(seconds / 3600 * price, 2),
        "driver_gib": round(driver_gib, 3),
        "worker_gib": round(worker_gib, 3),
        "object_store_gib": round((local + tasks * TASK_BYTES) / GIB, 3) if on_workers else 0.0,
        "copies_gib": round(copies / GIB, 3),
        "node_disk_gib": round(disk / GIB, 3),
        "stored_gib": round(stored / GIB, 6),
        "moved_gib": round(moved / GIB, 3),
    }
