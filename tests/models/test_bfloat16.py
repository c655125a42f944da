"""bfloat16 is fast only where the hardware says so."""

from pathlib import Path

import pytest
import torch

from raycluster.models import bfloat16 as precision
from raycluster.models.bfloat16 import fast_bfloat16

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _fresh():
    fast_bfloat16.cache_clear()
    yield
    fast_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("flags", "fast"),
    [
        ("fma avx2 avx512f avx512_bf16 sse", True),
        ("avx2 amx_bf16 amx_tile", True),
        ("fma avx2 avx512f avx512_vnni sse", False),
        ("avx512_bf16x", False),
        ("", False),
    ],
)
def test_a_cpu_is_fast_where_its_flags_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, fast: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: spectre_v1\n")
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    assert fast_bfloat16(CPU) is fast


def test_a_machine_that_does_not_tell_is_not_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "none")
    assert not fast_bfloat16(CPU)
    assert not fast_bfloat16(torch.device("mps"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_fast_from_ampere_on() -> None:
    assert fast_bfloat16(torch.device("cuda")) == (torch.cuda.get_device_capability() >= (8, 0))
