"""The origin of a result: what a reader needs to repeat it."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.measuring import machine
from support.paths import ROOT


def test_an_origin_names_command_date_commit_and_machine() -> None:
    found = json.loads(json.dumps(machine.origin("python -m benchmarks nep")))
    assert list(found) == ["command", "date", "commit", "machine"]
    assert datetime.now(UTC) - datetime.fromisoformat(found["date"]) < timedelta(minutes=1)
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode == 0:
        assert head.stdout.startswith(found["commit"].removesuffix("-dirty"))
    else:
        assert found["commit"] is None
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_gib"] > 0.1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("sse avx2", (False, False)), ("avx512f", (True, False)), ("avx512f avx512_bf16 fma", (True, True))],
)
def test_instruction_sets_are_read_of_the_processor(
    flags: str, expected: tuple[bool, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    first = f"processor\t: 0\nmodel name\t: A core: fast\nflags\t\t: {flags}\n"
    cpuinfo.write_text(f"{first}\nprocessor\t: 1\nmodel name\t: another\nflags\t\t: avx512f\n")
    monkeypatch.setattr(machine, "CPUINFO", cpuinfo)
    found = machine.machine()
    assert (found["avx512"], found["bfloat16"]) == expected
    assert found["processor"] == "A core: fast"
