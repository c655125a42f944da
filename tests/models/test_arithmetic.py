"""One arithmetic per run: what is in force decides, whatever the processor at hand can do."""

import pytest
import torch

from raycluster.models import arithmetic
from raycluster.models.arithmetic import Arithmetic, current, in_force, network_device, uses_bfloat16
from raycluster.models.blocks import BlockRunner

CPU = torch.device("cpu")


@pytest.fixture(params=[True, False], ids=["fast bfloat16", "none"])
def hardware(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A processor with and without bfloat16."""
    monkeypatch.setattr(arithmetic, "fast_bfloat16", lambda device: request.param)
    return bool(request.param)


def test_without_a_run_the_hardware_decides(hardware: bool) -> None:
    assert current() is None
    assert uses_bfloat16(CPU) is hardware


@pytest.mark.usefixtures("hardware")
def test_a_run_decides_for_every_processor() -> None:
    for precision in ("float32", "bfloat16"):
        with in_force(Arithmetic(precision, "cpu")):
            assert uses_bfloat16(CPU) is (precision == "bfloat16")
            assert BlockRunner(CPU, 1).is_bfloat16 is (precision == "bfloat16")
            assert network_device() == CPU


def failing() -> None:
    """An error within one arithmetic inside another."""
    with in_force(Arithmetic("float32", "cpu")):
        with in_force(Arithmetic("bfloat16", "gpu")):
            assert network_device().type == "cuda"
        assert current() == Arithmetic("float32", "cpu")
        raise KeyError


def test_an_arithmetic_ends_with_its_block_even_after_an_error() -> None:
    with pytest.raises(KeyError):
        failing()
    assert current() is None
