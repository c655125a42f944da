"""Call a function in a process of its own, with a limit of time and one of memory."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import psutil
from pebble import ProcessExpired
from pebble import concurrent as pebble

POLL_SECONDS = 0.02
"""Time between two readings of a call's memory. Reading takes about 0.1 ms; a call can exceed its limit for so long."""
PARENT_SECONDS = 1.0
"""Time between two readings of a call's parent: so long a call may outlive a caller that was killed."""

ENVIRONMENT = {"NUMBA_THREADING_LAYER": "default"}
"""Variables of every call. On import raycluster chooses numba's own pool of threads, in which the nested loops of EVoC crash;
in these processes numba chooses."""


@dataclass(frozen=True)
class ResourceLimits:
    """What one call may take."""

    seconds: float | None = None
    """Wall time, imports included; none means no limit."""
    gib: float | None = None
    """Resident memory of the process and of all that it starts; none means no limit."""


UNLIMITED = ResourceLimits()


class Failed(Exception):
    """A call that raised, was killed or passed a limit; the message is one line."""


def call(
    work: Callable[..., Any],
    *args: Any,
    limits: ResourceLimits = UNLIMITED,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Return what `work(*args)` returns in another process.

    Parameters
    ----------
    work, args
        A function of a module and its arguments; they and the result are pickled.
    limits
        Time and memory. The process and all that it started are killed when it passes one of them, and when this
        process ends, however that happens.
    environment
        Variables that are set before any library is imported.

    Raises
    ------
    Failed
        With the exception's type and message, the limit that was passed, or the signal that ended the process.
    """
    with NamedTemporaryFile() as log:
        name = f"isolated {time.monotonic_ns()}"
        spawn = multiprocessing.get_context("spawn")
        # Annotated as `mp_context`, but read as `context`: under the other name the process would be a fork.
        start: Any = pebble.process(name=name, daemon=False, timeout=limits.seconds, context=spawn)  # type: ignore[call-overload]
        future = start(_child)(pickle.dumps((work, args)), log.name, {**ENVIRONMENT, **(environment or {})})
        process = next((each.pid for each in multiprocessing.active_children() if each.name == name), None)
        try:
            _watch(future, process, limits)
            good, value = future.result()
        except TimeoutError:
            raise Failed(f"took longer than {limits.seconds:g} s") from None
        except ProcessExpired as error:
            lines = Path(log.name).read_text("utf-8", "replace").strip().splitlines()
            raise Failed(f"{_ending(error.exitcode)}{f': {lines[-1]}' if lines else ''}") from None
        finally:
            _kill(process, future)
    if not good:
        raise Failed(value)
    return value


def _watch(future: "concurrent.futures.Future[Any]", process: int | None, limits: ResourceLimits) -> None:
    """Wait for a call; raises Failed where it takes too much memory."""
    while not concurrent.futures.wait([future], POLL_SECONDS).done:
        if process and limits.gib and _resident(process) > limits.gib * 2**30:
            raise Failed(f"took more than {limits.gib:.3g} GiB of memory")


def _resident(process: int) -> int:
    """Return the bytes that a process and its children hold; 0 once they are gone."""
    try:
        parent = psutil.Process(process)
        return sum(each.memory_info().rss for each in (parent, *parent.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _kill(process: int | None, future: "concurrent.futures.Future[Any]") -> None:
    """End what is left of a call and of all that it started.

    The call's process leads a group, to which they belong.
    """
    if process:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
        if not future.done():  # it may have been too young to lead a group
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        concurrent.futures.wait([future])


def _ending(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _child(pickled: bytes, log: str, environment: dict[str, str]) -> tuple[bool, Any]:
    """Return whether the call returned, and its result or the reason why not.

    Its output goes to a file, because tables are printed to stdout.
    """
    os.setsid()
    with open(log, "ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    os.environ.update(environment)  # before `pickle` imports the libraries that read it
    try:
        work, args = pickle.loads(pickled)
        return True, work(*args)
    except Exception as error:
        traceback.print_exc()
        return False, " ".join(f"{type(error).__name__}: {error}".split())


def _end_with(parent: int) -> None:
    """End this process and its group once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.killpg(0, signal.SIGKILL)
