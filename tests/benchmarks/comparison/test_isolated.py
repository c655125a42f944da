"""A call in a process of its own: its result, and why there is none."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from support.paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import comparison.isolated as isolated

pytestmark = pytest.mark.process

LIMITS = isolated.Limits(seconds=60, gib=4)


def doubled(values: Any) -> Any:
    return 2 * values, os.getpid()


def raises(message: str) -> None:
    raise ValueError(message)


def ends(status: int) -> None:
    print("the last thing said", flush=True)
    os._exit(status)


def kills(signal: int) -> None:
    os.kill(os.getpid(), signal)


def takes(gib: float) -> None:
    held = np.ones(int(gib * 2**27))
    time.sleep(60)
    del held


def tells(marker: str) -> None:
    Path(f"{marker}.part").write_text(str(os.getpid()))
    os.replace(f"{marker}.part", marker)
    time.sleep(60)


def sleeps(marker: str) -> None:
    Path(marker).touch()
    time.sleep(60)


def test_the_result_comes_back_from_another_process() -> None:
    values, process = isolated.call(doubled, np.arange(1000), limits=LIMITS)
    np.testing.assert_array_equal(values, 2 * np.arange(1000))
    assert process != os.getpid()


@pytest.mark.parametrize(
    ("work", "argument", "message"),
    [
        (raises, "no such\nthing", "ValueError: no such thing"),
        (ends, 3, "ended with status 3: the last thing said"),
        (kills, 9, "killed by SIGKILL"),
    ],
)
def test_what_fails_says_why_in_one_line(work: Any, argument: Any, message: str) -> None:
    with pytest.raises(isolated.Failed) as error:
        isolated.call(work, argument, limits=LIMITS)
    assert str(error.value) == message


def test_a_call_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    for seconds in (2, 4, 8, 16, 32):  # imports count, and take long on a busy machine
        began = time.monotonic()
        with pytest.raises(isolated.Failed, match=f"^took longer than {seconds} s$"):
            isolated.call(sleeps, str(tmp_path / "started"), limits=isolated.Limits(seconds=seconds, gib=4))
        assert time.monotonic() - began < seconds + 30
        if (tmp_path / "started").exists():
            break
    assert (tmp_path / "started").exists()


def test_a_call_ends_when_its_caller_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import test_isolated
test_isolated.isolated.call(test_isolated.tells, {str(tmp_path / "process")!r}, limits=test_isolated.LIMITS)
"""
    caller = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "process").exists():
        assert caller.poll() is None
        time.sleep(0.05)
    process = psutil.Process(int((tmp_path / "process").read_text()))
    caller.kill()
    caller.wait()
    psutil.wait_procs([process], timeout=20)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_call_that_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(isolated.Failed, match=r"^took more than 0\.5 GiB of memory$"):
        isolated.call(takes, 1.0, limits=isolated.Limits(seconds=60, gib=0.5))
