"""Training on Ray Train: workers together learn what one does, a dead one is replaced, a mistake arrives as it is."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from raycluster.errors import RayclusterError, ResourceError, StorageError
from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from support import toy as toys
from support.dying import sent_by_value
from support.toy import CONFIG, Toy, fitted

if TYPE_CHECKING:
    from raycluster.executors.ray_train import Report, Work


@pytest.fixture(scope="module", autouse=True)
def _workers_need_not_find_these_modules() -> Iterator[None]:
    with sent_by_value(sys.modules[__name__], toys):
        yield


def toy(arguments: dict[str, Any], rank: int, world: int, device: torch.device, report: Report) -> None:
    """A fit of the toy; worker 1 kills itself, once, after the second look."""
    folder, steps = Path(arguments["folder"]), []

    def tell(entry: dict[str, float]) -> None:
        steps.append(entry["step"])
        if rank == 0:
            with (folder / "looks").open("a") as file:
                file.write(f"{entry['step']} ")
        report(entry)
        if rank == 1 and len(steps) == 2 and not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    assert torch.get_num_threads() == arguments["threads"]
    fitted(Toy(), CONFIG, folder, rank=rank, world=world, device=device, report=tell)


def mistaken(arguments: dict[str, Any], rank: int, *_: Any) -> None:
    """Once both have begun, worker 1 makes a mistake while the other waits for it."""
    with (Path(arguments["folder"]) / f"tries-{rank}").open("a") as file:
        file.write("x")
    torch.distributed.barrier()
    if rank == 1:
        raise ResourceError("There is no room for it.")
    torch.distributed.barrier()


def on_two_workers(work: Work, folder: Path) -> None:
    from raycluster.executors.ray_train import fit_on_ray

    url = os.path.relpath(folder)
    arguments = {"folder": url, "threads": max(1, len(os.sched_getaffinity(0)) // 2)}
    fit_on_ray(work, arguments, workers=2, accelerator="cpu", store=Store(url), name="toy")


def test_two_workers_learn_what_one_does_also_when_one_is_killed(tmp_path: Path) -> None:
    on_two_workers(toy, tmp_path)
    expected = fitted(Toy(), CONFIG, tmp_path / "alone")
    found = checkpoint.load(Store(str(tmp_path)), "training/toy")
    assert found is not None
    assert (found.step, found.finished, found.best_step) == (CONFIG.steps, True, expected.step)
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(found.best[name], tensor, rtol=1e-5, atol=1e-5)
    assert (tmp_path / "killed").exists()
    assert (tmp_path / "looks").read_text() == "10 20 30 ", "it did not go on from its checkpoint"
    assert sorted(path.name for path in (tmp_path / "training").rglob("*") if path.is_file()) == [
        "latest.json",
        "step-00000030.safetensors",
    ]


def test_a_mistake_of_a_worker_arrives_as_it_is_and_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as error:
        on_two_workers(mistaken, tmp_path)
    assert str(error.value) == "There is no room for it."
    assert [(tmp_path / f"tries-{rank}").read_text() for rank in (0, 1)] == ["x", "x"]


def test_workers_that_this_machine_cannot_hold_are_refused(tmp_path: Path) -> None:
    from raycluster.executors.ray_train import fit_on_ray

    with pytest.raises(
        ResourceError, match=r"^Training needs 1000 CPUs, one a worker at least, and this machine has \d+\.$"
    ):
        fit_on_ray(mistaken, {}, workers=1000, accelerator="cpu", store=Store(str(tmp_path)), name="toy")
    with pytest.raises(ResourceError, match=r"^Training needs 1000 GPUs"):
        fit_on_ray(mistaken, {}, workers=1000, accelerator="gpu", store=Store(str(tmp_path)), name="toy")
    assert not (tmp_path / "training").exists()


def group_failed(failures: dict[int, Exception]) -> Exception:
    """What Ray Train raises where workers fail, by rank."""
    from ray.train import WorkerGroupError

    return WorkerGroupError("long", failures)


def controller_failed() -> Exception:
    from ray.train import ControllerError

    return ControllerError(RuntimeError("no address\nat all"))


def actor_died() -> Exception:
    from ray.exceptions import ActorDiedError

    return ActorDiedError()


def failing(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    from ray.train.torch import TorchTrainer

    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(TorchTrainer, "fit", fail)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: group_failed({0: ValueError("no\nmore"), 1: ValueError("no")}), "ValueError: no"),
        (lambda: group_failed({0: ValueError("a"), 1: OSError("b")}), "ValueError: a; OSError: b"),
        (controller_failed, "RuntimeError: no address"),
        (actor_died, "ActorDiedError: The actor died unexpectedly before finishing this task."),
    ],
)
def test_what_ray_reports_at_length_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Exception], sentence: str
) -> None:
    failing(monkeypatch, make())
    with pytest.raises(RayclusterError) as error:
        on_two_workers(mistaken, tmp_path)
    assert str(error.value) == f"Training toy failed on Ray: {sentence}"


def test_a_mistake_that_could_not_be_noted_arrives_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, group_failed({0: RuntimeError("peer closed"), 1: StorageError("The disk is full.")}))
    with pytest.raises(StorageError, match=r"^The disk is full\.$"):
        on_two_workers(mistaken, tmp_path)
