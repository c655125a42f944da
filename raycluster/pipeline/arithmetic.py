"""The arithmetic of a run: decided once by the driver, stored, and kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from raycluster.config.execution import Execution
from raycluster.errors import DamagedError, ResourceError
from raycluster.executors.node_report import NodeReport
from raycluster.executors.sizing import joins_cluster
from raycluster.models.arithmetic import Arithmetic, Device, Precision
from raycluster.models.processors import Shared, common, shared_by, take, why_refused
from raycluster.stages import STAGES
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode

ARITHMETIC = "arithmetic.json"
"""Where a run keeps it."""


@dataclass(frozen=True)
class StoredArithmetic:
    """What the first start of a run has decided, and with which versions."""

    precision: Precision
    device: Device
    versions: dict[str, str]
    """Of the driver that has decided it; other nodes have the same."""
    shared: Shared = field(default_factory=Shared)
    """Which kinds of processors compute scores."""


def decided(
    store: Store, execution: Execution, own: NodeReport, nodes: Sequence[NodeReport], show: Callable[[str], None]
) -> Arithmetic:
    """Return the arithmetic that a run has stored, or decide and store it.

    Parameters
    ----------
    store
        The run folder.
    execution
        What the command line wants. A run folder keeps what it started with, and a line names the difference.
    own, nodes
        Reports of the driver and of the other nodes.
    show
        Prints a line.

    Returns
    -------
    Arithmetic
        The same for every start of the run.
    """
    try:
        stored = store.record(ARITHMETIC, StoredArithmetic)
    except DamagedError as error:
        show(f"{error.damage}: it is decided again")
        store.delete(ARITHMETIC)
        stored = None
    if stored is None:
        chosen = choice(execution, own, nodes)
        store.create(ARITHMETIC, encode(StoredArithmetic(chosen.precision, chosen.device, own.versions, chosen.shared)))
        stored = store.record(ARITHMETIC, StoredArithmetic)  # another driver may have been faster
        assert stored is not None, "what was put a moment ago is there"
    wanted = {"precision": execution.precision, "accelerator": execution.accelerator}
    kept = {"precision": stored.precision, "accelerator": stored.device}
    for name, value in kept.items():
        if wanted[name] not in ("auto", value):
            show(f"--{name} {wanted[name]} is left aside: this run computes with {value} since its start")
    if stored.precision == "bfloat16" and not all(node.has_bfloat16 for node in (own, *nodes)):
        show("this run computes in bfloat16, which some processors here emulate: slower")
    changed = [name for name, version in stored.versions.items() if own.versions.get(name, version) != version]
    if changed:
        names = ", ".join(f"{name} {stored.versions[name]} -> {own.versions[name]}" for name in changed)
        show(f"this run started with other versions ({names}): last digits of scores can differ between its shards")
    if execution.processors == "any" and stored.device == "cpu" and not stored.shared.variables:
        show("--processors any: scores are computed again, with instructions that x86 processors share")
        _forget_scores(store)
        stored = replace(stored, shared=common("avx2", False, False))
        store.put(ARITHMETIC, encode(stored))
    elif not joins_cluster(execution) and stored.device == "cpu" and (why := why_refused(stored.shared, own.processor)):
        show(f"this machine has {why}: last digits of scores can differ between its shards")
    if not take(stored.shared.variables):
        show("torch was loaded before: scores of this process may differ in their last digits from those of workers")
    return Arithmetic(stored.precision, stored.device, stored.shared)


def _forget_scores(store: Store) -> None:
    """Remove what networks have computed, and what was computed from it."""
    names: set[str] = set()
    for stage in STAGES:
        if stage.is_scored or names.intersection(stage.reads):
            names.add(stage.name)
            store.delete_below(f"stages/{stage.name}")


def choice(execution: Execution, own: NodeReport, nodes: Sequence[NodeReport]) -> Arithmetic:
    """Return the fastest arithmetic that all nodes have.

    Parameters
    ----------
    execution
        What the command line wants.
    own, nodes
        Reports of the driver and of the other nodes. Where there are others, the driver's is not counted: a head has a
        processor of its own and computes no scores.

    Raises
    ------
    ResourceError
        Where a run in this process wants a GPU that is not there.
    """
    workers = nodes or [own]
    gpus = [node.has_gpu_bfloat16 for node in workers if node.has_gpu_bfloat16 is not None]
    if execution.accelerator == "gpu" and execution.executor == "local" and not gpus:
        raise ResourceError("--accelerator gpu: this machine has no GPU that torch can use; leave it out for CPUs.")
    device: Device = "gpu" if execution.accelerator == "gpu" or (execution.accelerator == "auto" and gpus) else "cpu"
    is_fast = all(node.has_bfloat16 for node in workers) and (device == "cpu" or all(gpus))
    fastest: Precision = "bfloat16" if is_fast else "float32"
    precision = fastest if execution.precision == "auto" else execution.precision
    if device == "gpu":
        return Arithmetic(precision, device)
    if execution.processors == "any":
        return Arithmetic(precision, device, common("avx2", False, False))
    there = [node.processor for node in (own, *nodes) if node.is_worker]
    return Arithmetic(precision, device, shared_by(there, precision))
