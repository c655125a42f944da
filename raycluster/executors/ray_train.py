"""Training on Ray Train: a group of workers, started again when one of them dies.

Ray starts the workers and connects them; what they have learned lies in
checkpoints of our own, from which a new group goes on. Ray's folder holds its marker, and the mistake that ended the work.
"""

import json
import os
import uuid
from collections.abc import Callable
from typing import Any, Literal

import pyarrow.fs
import torch

from raycluster import errors
from raycluster.config.execution import Execution
from raycluster.errors import RayclusterError, ResourceError
from raycluster.executors.connection import connect
from raycluster.executors.fleet import fleet
from raycluster.executors.sizing import has_cluster, pool_for
from raycluster.storage.object_store import Store

# isort: split
import ray  # after the connection, which sets what Ray reads when it is first imported
import ray.train
import ray.train.torch

Report = Callable[[dict[str, float]], None]
Work = Callable[[Any, int, int, torch.device, Report], Any]
FOLDER = "training/ray"
RESTARTS = 3
"""Groups of workers that may die before the training gives up. More survive more preemptions."""
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # a relative path means to a worker what it means here


def fit_on_ray(
    work: Work,
    arguments: Any,
    *,
    workers: int,
    accelerator: Literal["auto", "gpu", "cpu"],
    store: Store,
    name: str,
) -> None:
    """Run `work` in processes that torch.distributed connects.

    Every process calls `work(arguments, rank, world, device, report)`.

    The processes share out the cluster's CPUs. With `accelerator` gpu each has a GPU, and the work waits for one; with
    auto, where the cluster shows any. `report` is a barrier: all workers call it equally often. A worker that dies ends
    its group, and another group runs the work from the start, at most three times. `name` is for messages.

    A RayclusterError of a worker is raised here as it is, and not tried again; whatever else fails is one RayclusterError.
    Raises ResourceError where this machine, being the cluster, lacks a CPU or GPU for every worker.

    Parameters
    ----------
    work
        What every process runs, with its rank, the number of processes, its device and a function to report by.
    arguments
        Anything that can be pickled; Ray hands it to the processes of this job alone.
    workers
        Processes, from 1 up. A global batch is dealt out among them, so more make a step faster, not larger.
    accelerator
        `auto` takes GPUs where the cluster has any.
    store
        Where the work keeps its checkpoints.
    name
        For messages.
    """
    connect()
    gpu = accelerator == "gpu" or (accelerator == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
    cpus = pool_for(workers, Execution(workers=workers), fleet(), gpu).cpus
    _require("GPU", workers * gpu)
    _require("CPU", workers * cpus)
    unique = f"{name}-{uuid.uuid4().hex[:8]}"  # Ray takes a name it has seen for a run to go on with
    failure = f"{FOLDER}/{unique}/failure.json"
    trainer = _Trainer(
        _run_worker,
        train_loop_config={
            "work": work,
            "arguments": arguments,
            "threads": cpus,
            "gpu": gpu,
            "url": store.url,
            "failure": failure,
        },
        scaling_config=ray.train.ScalingConfig(num_workers=workers, use_gpu=gpu, resources_per_worker={"CPU": cpus}),
        run_config=ray.train.RunConfig(
            name=unique,
            storage_path=store._path(FOLDER),
            storage_filesystem=pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(store._fs)),
            failure_config=ray.train.FailureConfig(max_failures=RESTARTS),
            logging_config=ray.train.LoggingConfig(log_level="CRITICAL"),
        ),
    )
    try:
        trainer.fit()
        if (found := store.get(failure)) is not None:
            mistake = json.loads(found)
            raise getattr(errors, mistake["kind"], RayclusterError)(mistake["message"])
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise _sentence(error, name) from None
    finally:
        store.delete_below(f"{FOLDER}/{unique}")


class _Trainer(ray.train.torch.TorchTrainer):
    def _register_sigint_handler(self, controller: Any) -> None:
        """Leave Ctrl-C with the job.

        Ray's handler would outlive the training and end the job with exit code 0.
        """


def _run_worker(settings: dict[str, Any]) -> None:
    """The work of one worker.

    After a RayclusterError others of the group may wait for this worker, so it fails in Ray's eyes too; the group that Ray
    starts next finds the error and does nothing.
    """
    store, failure = Store(settings["url"]), settings["failure"]
    if store.get(failure) is not None:
        return
    torch.set_num_threads(settings["threads"])
    device = ray.train.torch.get_device() if settings["gpu"] else torch.device("cpu")
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    try:
        settings["work"](settings["arguments"], rank, world, device, ray.train.report)
    except RayclusterError as error:
        store.create(failure, json.dumps({"kind": type(error).__name__, "message": str(error)}).encode())
        raise


def _require(kind: str, count: int) -> None:
    """Refuse what this machine can never give; a cluster may be growing."""
    there = int(ray.cluster_resources().get(kind, 0))
    if count > there and not has_cluster():
        raise ResourceError(f"Training needs {count} {kind}s, one a worker at least, and this machine has {there}.")


def _sentence(error: Exception, name: str) -> RayclusterError:
    """Return one sentence for what Ray reports at length.

    A RayclusterError of a worker is returned unchanged. It comes this way where storage could not take its note.
    """
    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    reasons = []
    for failure in failures.values():
        cause = getattr(failure, "health_check_failure", None) or getattr(failure, "cause", None) or failure
        if isinstance(cause, RayclusterError):
            return cause
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or ["it does not say why"]
        reasons.append(f"{type(cause).__name__}: {lines[-1 if 'ray::' in str(cause) else 0]}")
    return RayclusterError(f"Training {name} failed on Ray: {'; '.join(dict.fromkeys(reasons))}")
