"""Nodes die while Ray Train fits networks: the fit goes on from its checkpoint, and the weights stay equal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raycluster.models.card import load_card
from support.paths import ROOT
from support.raylets import Raylets, raylets, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SMALL = {"layers": 1, "heads": 2, "width": 16, "hidden": 32, "dropout": 0.0}
FIT = {"optimizer": "adamw", "learning-rate": 0.01, "warmup-steps": 5, "batch": 32, "patience": 0}
FIT |= {"steps": 240, "evaluate-every": 40}
KEYS = {
    "knn": {"k": 16},
    "training": {
        "generated": 0,
        "filter": {"tokens": "gram", "encoder": SMALL, "fit": FIT},
        "predictor": {"encoder": SMALL, "fit": FIT},
    },
}
KILLED_AT = 80
"""Step of the checkpoint after which a node dies. A fit that began anew would put step 40 next."""


def training(cluster: Raylets, identities: str, output: Path) -> subprocess.Popen[bytes]:
    """The training job on a cluster, with two workers."""
    settings = cluster.folder / "keys.json"
    settings.write_text(json.dumps(KEYS))
    command = [sys.executable, str(ROOT / "jobs" / "train.py"), "--input", identities, "--recipe", "sdt-row"]
    command += ["--output", str(output), "--config", str(settings), "--executor", "ray", "--workers", "2"]
    with (cluster.folder / f"{output.name}.log").open("ab") as sink:
        return subprocess.Popen(command, env=cluster.env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=ROOT)


def step_of(output: Path, network: str) -> int:
    """Step of a fit's checkpoint; 0 without one."""
    for path in output.glob(f"**/{network}/latest.json"):
        try:
            return int(json.loads(path.read_bytes())["step"])
        except (OSError, ValueError):  # it is replaced at this moment
            continue
    return 0


def test_a_fit_goes_on_from_its_checkpoint_when_nodes_die(identities: str, tmp_path: Path) -> None:
    with raylets(tmp_path / "cluster", nodes=2) as cluster:
        undisturbed = training(cluster, identities, tmp_path / "expected")
        assert undisturbed.wait(280) == 0, (cluster.folder / "expected.log").read_text()
        job = training(cluster, identities, tmp_path / "model")
        for number, network in enumerate(("filter", "predictor")):
            until(
                lambda name=network: step_of(tmp_path / "model", name) >= KILLED_AT, f"step 80 of {network}", 240, 0.02
            )
            before = step_of(tmp_path / "model", network)
            assert before < FIT["steps"], "the node must die before the fit ends"
            cluster.nodes[number].kill()
            cluster.add(f"n{2 + number}", is_awaited=False)
            began, after = time.monotonic(), before
            while after == before:
                assert job.poll() is None, (cluster.folder / "model.log").read_text()
                time.sleep(0.02)
                after = step_of(tmp_path / "model", network)
            print(f"{network}: killed at step {before}, step {after} {time.monotonic() - began:.0f} s later")
            assert after > before, "a fit that begins anew puts an earlier step"
        assert job.wait(280) == 0, (cluster.folder / "model.log").read_text()
    expected, model = (load_card(str(tmp_path / name))[0] for name in ("expected", "model"))
    steps = [look["step"] for look in model.history["predictor"]]
    assert steps == [look["step"] for look in expected.history["predictor"]]
    assert model.networks == expected.networks, "weights are those of the undisturbed training, to the bit"
    assert model.thresholds == expected.thresholds
