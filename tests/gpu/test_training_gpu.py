"""Training on a real GPU: it learns what the CPU learns, in bfloat16 too, and Ray Train connects its workers by NCCL."""

from pathlib import Path
from typing import Any

import pytest
import torch

from raycluster.config.networks import EncoderConfig, FitConfig, PredictorConfig
from raycluster.models.networks.relation_predictor import RowPredictor
from raycluster.storage.object_store import Store
from raycluster.training.loop import Fitted, fit
from raycluster.training.objectives import RowObjective
from support.labelled import K, opened

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ENCODER = EncoderConfig(layers=1, heads=2, width=16, hidden=32, dropout=0.0, attention="differential")
CONFIG = FitConfig(
    optimizer="adamw", learning_rate=0.01, warmup_steps=5, steps=60, batch=16, evaluate_every=20, patience=0
)


def fitted(folder: Path, device: str, precision: Any) -> Fitted:
    part = opened(folder, noise=0.9)
    torch.manual_seed(0)
    network = RowPredictor(PredictorConfig(form="row", tokens="gram", encoder=ENCODER), K, 0)
    task = RowObjective([part], network, torch.device(device))
    store = Store(str(folder / "fit"))
    return fit(task, CONFIG, store, "row", seed=0, precision=precision, device=torch.device(device))


@pytest.mark.parametrize(("precision", "near"), [("float32", 0.02), ("bfloat16", 0.1)])
def test_a_gpu_learns_what_a_cpu_learns(tmp_path: Path, precision: str, near: float) -> None:
    expected, found = fitted(tmp_path / "cpu", "cpu", "float32"), fitted(tmp_path / "gpu", "cuda", precision)
    assert found.steps == expected.steps
    for one, other in zip(found.history, expected.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=near)
        assert one["score"] == pytest.approx(other["score"], abs=near)
    assert all(tensor.device.type == "cpu" for tensor in found.tensors.values())


def backend(arguments: dict[str, Any], rank: int, world: int, device: torch.device, report: Any) -> None:
    """Notes which library connects the workers, once they have summed a tensor on their GPUs."""
    total = torch.ones(1, device=device)
    torch.distributed.all_reduce(total)
    report({"step": 1})
    told = f"{torch.distributed.get_backend()} {device.type} {int(total)} of {world}"
    (Path(arguments["folder"]) / f"rank-{rank}").write_text(told)


def test_ray_gives_a_worker_a_gpu_and_connects_them_by_nccl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray.shutdown()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    from raycluster.executors.ray_train import fit_on_ray

    store = Store(str(tmp_path))
    fit_on_ray(backend, {"folder": str(tmp_path)}, workers=1, accelerator="gpu", store=store, name="backend")
    ray.shutdown()
    assert (tmp_path / "rank-0").read_text() == "nccl cuda 1 of 1"
