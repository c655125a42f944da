"""The door to Ray: a cluster that is there, or one that this process starts.

It is imported before ray, because Ray reads its settings when it is first imported. Authentication is left as the cluster
has it: only a cluster that this process starts gets a token of its own.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from raycluster.errors import RayclusterError
from raycluster.executors import reach
from raycluster.executors.sizing import ADDRESS, OBJECT_STORE_BYTES, has_cluster, own_threads

if "ray" not in sys.modules:  # its child processes read these when they start
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a thread that is left behind starts no cluster
    if not has_cluster():
        os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
import ray.data

_is_ours = False
"""Whether this process has connected through `connect`, and not its user."""
MOST_FAILED_STARTS = 20
"""Workers in a row that may die while they start: with their nodes, or for memory. Raising it survives more preemptions, and
takes longer to report a node where nothing can start."""


def connect() -> None:
    """Connect this process to the cluster, or start one.

    Raises RayclusterError where neither succeeds.
    """
    global _is_ours
    if ray.is_initialized():
        return
    _is_ours = True
    options = {} if has_cluster() else _local_cluster()
    try:
        with _native_stderr_muted():
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # of many kinds, bare ones among them
        raise _sentence(error) from None
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1
    context.raise_original_map_exception = True
    context.max_consecutive_actor_init_deaths = MOST_FAILED_STARTS


def head_address() -> str:
    """Return HOST:PORT of the head; empty while this process is on no cluster."""
    return ray.get_runtime_context().gcs_address if ray.is_initialized() else ""


def leave() -> None:
    """Let go of the cluster, so that a head that is lost ends nothing.

    What is left runs in this process. A connection of the user's own stays.
    """
    if _is_ours and ray.is_initialized() and not reach.is_lost():
        ray.shutdown()


def _sentence(error: Exception) -> RayclusterError:
    """Return why there is no connection, in one sentence."""
    cluster = os.environ.get(ADDRESS, "this machine")
    if any(_is_about_token(cause) for cause in _causes(error)):
        return RayclusterError(
            f"The Ray cluster at {cluster} refused this job's token: set RAY_AUTH_MODE and RAY_AUTH_TOKEN, or the file "
            "~/.ray/auth_token, as on the cluster."
        )
    return RayclusterError(f"The Ray cluster at {cluster}: {' '.join(str(error).split('Traceback')[0].split())}")


def _is_about_token(error: BaseException) -> bool:
    """Whether an error is a refused token: after some tries, in another's text."""
    return isinstance(error, ray.exceptions.AuthenticationError) or "AuthenticationError" in str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextlib.contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Ray's native code greets on file descriptor 2, whatever its log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _local_cluster() -> dict[str, Any]:
    return {
        "address": "local",  # without it, Ray would join a cluster that somebody else has started on this machine
        "num_cpus": own_threads(),
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
