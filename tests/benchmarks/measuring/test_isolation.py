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

from benchmarks.measuring import isolation

pytestmark = pytest.mark.process
LIMITS = isolation.ResourceLimits(seconds=60, gib=4)


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
    tells_of(marker, os.getpid())


def tells_of(marker: str, process: int) -> None:
    Path(f"{marker}.part").write_text(str(process))
    os.replace(f"{marker}.part", marker)
    time.sleep(60)


def starts_another(marker: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    tells_of(marker, process.pid)


def threads() -> int:
    import numba

    return int(numba.config.NUMBA_NUM_THREADS)


def sleeps(marker: str) -> None:
    Path(marker).touch()
    time.sleep(60)


def test_the_result_comes_back_from_another_process() -> None:
    values, process = isolation.call(doubled, np.arange(1000), limits=LIMITS)
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
    with pytest.raises(isolation.Failed) as error:
        isolation.call(work, argument, limits=LIMITS)
    assert str(error.value) == message


def test_a_call_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    for seconds in (2, 4, 8, 16, 32):  # imports count, and take long on a busy machine
        began = time.monotonic()
        with pytest.raises(isolation.Failed, match=f"^took longer than {seconds} s$"):
            isolation.call(sleeps, str(tmp_path / "started"), limits=isolation.ResourceLimits(seconds=seconds, gib=4))
        assert time.monotonic() - began < seconds + 30
        if (tmp_path / "started").exists():
            break
    assert (tmp_path / "started").exists()


def test_a_call_ends_when_its_caller_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import test_isolation
test_isolation.isolation.call(test_isolation.tells, {str(tmp_path / "process")!r}, limits=test_isolation.LIMITS)
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
    with pytest.raises(isolation.Failed, match=r"^took more than 0\.5 GiB of memory$"):
        isolation.call(takes, 1.0, limits=isolation.ResourceLimits(seconds=60, gib=0.5))


def test_a_call_that_is_ended_leaves_nothing_that_it_started(tmp_path: Path) -> None:
    for seconds in (2, 4, 8, 16, 32):
        with pytest.raises(isolation.Failed, match="took longer"):
            isolation.call(
                starts_another, str(tmp_path / "other"), limits=isolation.ResourceLimits(seconds=seconds, gib=4)
            )
        if (tmp_path / "other").exists():
            break
    process = int((tmp_path / "other").read_text())
    gone = [psutil.Process(process)] if psutil.pid_exists(process) else []
    psutil.wait_procs(gone, timeout=20)
    assert all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in gone)


def test_variables_are_set_before_libraries_read_them() -> None:
    for count in (1, 3):
        environment = {"NUMBA_NUM_THREADS": str(count)}
        assert isolation.call(threads, limits=LIMITS, environment=environment) == count
