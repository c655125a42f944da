"""The scratch folder of this node: ours alone, and freed after jobs that died.

    BASE/raycluster-UID-RUN/            copies of one run, mode 0700; a folder of another user is refused:
    BASE/raycluster-UID-RUN.lock        held by every process that uses them, until it ends or dies:
    BASE/raycluster-UID-RUN.job         on the node of the driver: the copies go as soon as the lock is free
    BASE/raycluster-UID-RUN-NAME.lock   held while one copy is built

Locks are the kernel's: they end with their process, whether it is killed or the machine restarts. So no process number is
taken for another one, and locks lie outside of the folder that is removed.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator

from raycluster.errors import StorageError

IDLE_SECONDS = 900.0
"""Age at which copies that no process uses are removed from a node without a driver: 15 minutes. Between two stages no worker
lives there; a copy that is removed too early is made again."""
_held: dict[str, int] = {}
"""Locks of runs that this process holds: file descriptor by path."""


def base() -> str:
    """Return the folder below which this node keeps its copies."""
    return os.environ.get("RAYCLUSTER_SCRATCH") or tempfile.gettempdir()


def own_folder(path: str) -> str:
    """Return a folder that this user alone may enter, made if there is none.

    Raises StorageError where the name belongs to somebody else.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise StorageError(
            f"The scratch folder {path} belongs to another user; point RAYCLUSTER_SCRATCH at a folder of your own."
        )
    if stat.S_IMODE(info.st_mode) != 0o700:
        os.chmod(path, 0o700)
    return path


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Name the scratch folder where the system refuses it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(
            f"The scratch folder {base()} cannot be used ({reason}); point RAYCLUSTER_SCRATCH at a folder that can be written."
        ) from error


def _prefix() -> str:
    """What the names of this user's copies on this node begin with."""
    return f"raycluster-{os.getuid() if hasattr(os, 'getuid') else 0}-"


def folder(run: str) -> str:
    """Return the folder of a run's copies on this node."""
    return os.path.join(base(), f"{_prefix()}{run}")


def hold(run: str, *, is_driver: bool = False) -> str:
    """Return the folder of a run's copies, which stays while this process lives."""
    with _usable():
        os.makedirs(base(), exist_ok=True)
        lock = f"{folder(run)}.lock"
        if lock not in _held:
            _held[lock] = _open_locked(lock, is_shared=True)
        if is_driver:
            with open(f"{folder(run)}.job", "wb"):
                pass
        return own_folder(folder(run))


@contextlib.contextmanager
def building(run: str, name: str) -> Iterator[None]:
    """Hold the lock of one copy, so that one process of this node builds it."""
    with _usable():
        os.makedirs(base(), exist_ok=True)
        descriptor = _open_locked(f"{folder(run)}-{name}.lock")
    try:
        yield
    finally:
        os.close(descriptor)


def remove(run: str) -> None:
    """Free this node's copies of a run, and all that belongs to them."""
    shutil.rmtree(folder(run), ignore_errors=True)
    descriptor = _held.pop(f"{folder(run)}.lock", None)
    _remove_rest(run)
    if descriptor is not None:
        os.close(descriptor)


def leave(run: str) -> None:
    """Stop using a run's copies on this node; the last process that does frees them."""
    import fcntl

    descriptor = _held.pop(f"{folder(run)}.lock", None)
    if descriptor is None:
        return
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder(run), ignore_errors=True)
        _remove_rest(run)
    os.close(descriptor)


def sweep(but: str = "") -> list[str]:
    """Free the copies that dead jobs left on this node, but those of `but`.

    Returns the runs.
    """
    if not os.path.isdir(base()):
        return []
    with _usable():
        names = os.listdir(base())
    own = (name.removeprefix(_prefix()) for name in names if name.startswith(_prefix()))
    runs = {re.split(r"[.-]", name)[0] for name in own} - {but}
    return [run for run in sorted(runs) if _is_orphan(run)]


def _is_orphan(run: str) -> bool:
    """Whether no process uses a run's copies, which are gone then."""
    lock = f"{folder(run)}.lock"
    if lock in _held:
        return False
    try:
        descriptor = _open_locked(lock, is_waiting=False)
    except BlockingIOError:
        return False
    try:
        used = [os.stat(path).st_mtime for path in (folder(run), lock) if os.path.exists(path)]
        if not os.path.exists(f"{folder(run)}.job") and time.time() - max(used, default=0.0) < IDLE_SECONDS:
            return False
        shutil.rmtree(folder(run), ignore_errors=True)
        _remove_rest(run)
    finally:
        os.close(descriptor)
    return True


def _remove_rest(run: str) -> None:
    start = os.path.basename(folder(run)) + "-"
    names = os.listdir(base()) if os.path.isdir(base()) else []
    paths = [os.path.join(base(), name) for name in names if name.startswith(start) and name.endswith(".lock")]
    for path in (*paths, f"{folder(run)}.job", f"{folder(run)}.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _open_locked(path: str, *, is_shared: bool = False, is_waiting: bool = True) -> int:
    """Return the descriptor of a locked file.

    A file that was removed while we waited is opened anew.
    """
    import fcntl  # Windows has none; an array in memory needs no copy, and runs there

    how = (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | (0 if is_waiting else fcntl.LOCK_NB)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, how)
            if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
