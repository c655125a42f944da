"""Standard streams and the working folder as a command finds them.

They may be closed, full, a device, or gone.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator

from raycluster.errors import ConfigError, StorageError


def open_closed_streams() -> None:
    """Let streams that were closed before the start lead nowhere.

    Else the next file that is opened takes their number, and what is printed goes into it.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, which is this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - it stays open


def require_working_folder() -> None:
    """Raise ConfigError where the working folder was removed.

    Paths and libraries depend on it.
    """
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise ConfigError("The working folder of this command was removed; change to one that exists.") from error


@contextlib.contextmanager
def printed() -> Iterator[None]:
    """Name what keeps an answer from being printed.

    A reader that has gone stays a BrokenPipeError.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to flush goes nowhere
        raise StorageError(f"The work is done, but its answer could not be printed: {error.strerror}.") from error


def write_text(place: str, text: str) -> None:
    """Write a text to a path or URL.

    A link stays and its target is written; a device or a pipe is written to and never replaced.
    """
    from raycluster.storage.clear_errors import clear_errors  # --help and --version need none of these
    from raycluster.storage.object_store import Store
    from raycluster.storage.places import plain_url

    path = plain_url(place)
    if "://" not in path:
        if _is_special(path):
            with clear_errors(path), open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return
        path = os.path.realpath(path)
    folder, _, name = path.rpartition("/")
    Store(folder or "/").put(name, text.encode())


def _is_special(path: str) -> bool:
    """Whether a path leads to a device, a pipe or a socket."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
