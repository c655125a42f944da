"""Processors of several kinds: what they share, and who is refused."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from raycluster.errors import RayclusterError
from raycluster.models import processors
from raycluster.models.processors import Processor, Shared, common, own_processor, shared_by, take, why_refused

ICE_LAKE = Processor("GenuineIntel", "6/106", "avx512")
SAPPHIRE = Processor("GenuineIntel", "6/143", "avx512", has_bfloat16=True)
HASWELL = Processor("GenuineIntel", "6/63", "avx2")
ZEN_4 = Processor("AuthenticAMD", "25/17", "avx512", has_bfloat16=True)
GRAVITON = Processor("0x41", "/0xd40")


def values(shared: Shared) -> tuple[str, ...]:
    return tuple(shared.variables.values())


def test_one_kind_sets_nothing_and_is_noted() -> None:
    assert shared_by([ZEN_4, ZEN_4], "float32") == Shared("AuthenticAMD 25/17 with avx512")
    assert shared_by([], "float32") == Shared()


@pytest.mark.parametrize(
    ("kinds", "precision", "expected"),
    [
        ([ICE_LAKE, SAPPHIRE], "float32", ("avx512", "AVX512_CORE", "AVX512")),
        ([ICE_LAKE, HASWELL], "float32", ("avx2", "AVX2", "AVX2")),
        ([ICE_LAKE, ZEN_4], "float32", ("avx512", "AVX512_CORE", "COMPATIBLE")),
        ([SAPPHIRE, ZEN_4], "bfloat16", ("avx512", "AVX512_CORE_BF16", "COMPATIBLE")),
        ([ICE_LAKE, ZEN_4], "bfloat16", ("avx512", "AVX512_CORE", "COMPATIBLE")),
        ([ZEN_4, replace(ZEN_4, instructions="avx2")], "float32", ("avx2", "AVX2", "COMPATIBLE")),
    ],
)
def test_several_kinds_take_what_all_have(kinds: list[Processor], precision: str, expected: tuple[str, ...]) -> None:
    assert values(shared_by(kinds, precision)) == expected


def test_kinds_that_share_nothing_are_named() -> None:
    with pytest.raises(RayclusterError, match=r"share no vector instructions \(0x41 /0xd40 with none, Authentic"):
        shared_by([GRAVITON, ZEN_4], "float32")


def test_a_later_node_of_another_kind_is_refused_unless_instructions_are_shared() -> None:
    one = shared_by([ZEN_4], "float32")
    assert why_refused(one, ZEN_4) == ""
    assert why_refused(one, replace(ZEN_4, model="26/2")).startswith(
        "another kind of processor (AuthenticAMD 26/2 with"
    )
    both = common("avx512", is_intel=False, is_native=False)
    assert why_refused(both, SAPPHIRE) == ""
    assert why_refused(both, HASWELL) == (
        "a processor (GenuineIntel 6/63 with avx2) without avx512, with which this run computes scores"
    )


def test_the_own_processor_is_as_torch_uses_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flags = "fma avx2 avx512f avx512bw avx512dq avx512vl avx512_bf16"
    (tmp_path / "cpuinfo").write_text(
        f"processor\t: 0\nvendor_id\t: V\ncpu family\t: 6\nmodel\t\t: 143\nflags\t\t: {flags}\n"
    )
    monkeypatch.setattr(processors, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processors, "fast_on_cpu", lambda: True)
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    assert own_processor() == Processor("V", "6/143", "avx512", has_bfloat16=True)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    assert own_processor() == Processor("V", "6/143", "avx2")
    monkeypatch.setattr(processors, "CPUINFO", tmp_path / "missing")
    assert own_processor() == Processor()


def test_variables_come_too_late_once_torch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    assert take({})
    assert not take({"MKL_CBWR": "COMPATIBLE"}), "these tests have loaded torch"
    assert os.environ["MKL_CBWR"] == "COMPATIBLE"
    assert take({"MKL_CBWR": "COMPATIBLE"})


SCORE = """
import hashlib, json, sys
from raycluster.models.processors import take
assert take(json.loads(sys.argv[1]))
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
layer = torch.nn.TransformerEncoderLayer(48, 4, 96, dropout=0.0, activation="gelu", batch_first=True)
with torch.no_grad():
    print(hashlib.sha256(layer(torch.randn(64, 40, 48)).numpy().tobytes()).hexdigest())
"""


def digest(variables: dict[str, str], **env: str) -> str:
    """Digest of what a small network computes in a process of its own."""
    import json

    run = subprocess.run(
        [sys.executable, "-c", SCORE, json.dumps(variables)],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    return run.stdout.strip()


def test_two_kinds_compute_the_same_bits_with_what_they_share() -> None:
    own = own_processor()
    if own.instructions != "avx512":
        pytest.skip("this processor has no AVX-512 to leave aside")
    assert digest({}) != digest({}, ATEN_CPU_CAPABILITY="avx2"), "or there would be nothing to cure"
    shared = shared_by([own, replace(own, instructions="avx2")], "float32").variables
    assert digest(shared) == digest(shared, ATEN_CPU_CAPABILITY="avx2")
