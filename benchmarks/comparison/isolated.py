"""A call in a process of its own, with a limit of time and one of memory: what it returns, or one sentence of why not."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

POLL = 0.02


@dataclass(frozen=True)
class Limits:
    """What one call may take."""

    seconds: float
    """Wall time, imports included."""
    gib: float
    """Resident memory of the process and of any it starts."""


class Failed(Exception):
    """A call that raised, was killed or passed a limit; the message is one line."""


def call(work: Callable[..., Any], *args: Any, limits: Limits) -> Any:
    """What `work(*args)` returns; `work`, `args` and the result are pickled, and `work` is looked up by its module's name.

    Raises Failed with the exception's type and message, the limit that was passed, or the signal that ended the process.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "call").write_bytes(pickle.dumps((work, args)))
        ended = _watched(place, limits)
        if (place / "result").exists():
            good, value = pickle.loads((place / "result").read_bytes())
            if good:
                return value
            raise Failed(value)
        said = (place / "stderr").read_text("utf-8", "replace").strip().splitlines()
        raise Failed(f"{_how(ended)}{f': {said[-1]}' if said else ''}")


def _watched(place: Path, limits: Limits) -> int:
    """Run the call and return its exit status; raises Failed where it passes a limit."""
    command = [sys.executable, "-c", f"from {__name__} import _child; _child({str(place)!r})"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with open(place / "stderr", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        end = time.monotonic() + limits.seconds
        while process.poll() is None:
            if time.monotonic() > end:
                raise Failed(f"took longer than {limits.seconds:g} s")
            if _resident(process.pid) > limits.gib * 2**30:
                raise Failed(f"took more than {limits.gib:.3g} GiB of memory")
            time.sleep(POLL)
        return process.returncode
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _resident(pid: int) -> int:
    """Bytes a process and its children hold; 0 once they are gone."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _child(folder: str) -> None:
    place = Path(folder)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        work, args = pickle.loads((place / "call").read_bytes())
        result = (True, work(*args))
    except Exception as error:
        traceback.print_exc()
        result = (False, " ".join(f"{type(error).__name__}: {error}".split()))
    (place / "part").write_bytes(pickle.dumps(result))
    os.replace(place / "part", place / "result")


def _end_with(parent: int) -> None:
    """End this process, which has a session of its own, once its parent was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)
