"""One node-local copy: a file that is used only as it was when it was finished."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raycluster.arrays import Array
from raycluster.errors import DamagedError
from raycluster.storage.records import decode, encode

Fill = Callable[[Array], None]
"""Writes all rows of a copy."""
Shape = tuple[tuple[int, ...], np.dtype[np.generic]]


@dataclass(frozen=True)
class State:
    """A file as it was left: what changes when anything writes to it."""

    origin: str
    """Digest of the parts that the copy was made of."""
    boot: str
    """The machine's start."""
    inode: int
    size: int
    modified: int
    """Nanoseconds."""
    changed: int
    """Nanoseconds. Programs cannot set it."""

    @classmethod
    def of(cls, origin: str, info: os.stat_result) -> "State":
        """Return the state of a file now."""
        return cls(origin, _boot(), info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


@dataclass(frozen=True)
class Copy:
    """A copy that this process has opened."""

    array: Array
    path: str
    state: State

    def is_current(self) -> bool:
        """Whether nothing has written to the copy since.

        A copy without a name can be written to by nobody.
        """
        try:
            return State.of(self.state.origin, os.lstat(self.path)) == self.state
        except FileNotFoundError:
            return True


def opened(path: str, origin: str) -> Copy | None:
    """Return the copy at `path`, none where there is none that can be trusted.

    It may be of other parts, or something wrote to it after it was finished.
    """
    try:
        record = decode(Path(f"{path}.json").read_bytes(), State, f"{path}.json")
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))  # noqa: SIM115
    except (OSError, DamagedError):
        return None
    with file:
        if record != State.of(origin, os.fstat(file.fileno())):
            return None
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return Copy(np.memmap(file, dtype, "r", file.tell(), shape), path, record)


def build(path: str, origin: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], fill: Fill) -> None:
    """Write a copy, give it its name when it is whole, and record its state.

    Parameters
    ----------
    path
        Where it belongs.
    origin
        Digest of the parts that it is made of.
    shape, dtype
        Of the array.
    fill
        Writes the rows.
    """
    try:
        with _new_file(f"{path}.part") as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
            offset, size = file.tell(), int(np.prod(shape)) * dtype.itemsize
            if size and hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash in a memory map
                os.posix_fallocate(file.fileno(), offset, size)
            target = np.memmap(file, dtype, "r+", offset, shape)
            fill(target)
            target.flush()
            os.fchmod(file.fileno(), 0o400)
        os.replace(f"{path}.part", path)
        with _new_file(f"{path}.json.part") as file:
            file.write(encode(State.of(origin, os.lstat(path))))
        os.replace(f"{path}.json.part", f"{path}.json")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.part")


@contextlib.contextmanager
def _new_file(path: str) -> Iterator[io.BufferedRandom]:
    """Open a file that did not exist before.

    What a killed builder left under its name is removed.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(path, "w+b", opener=lambda name, _: os.open(name, flags, 0o600)) as file:
        yield file


def _boot() -> str:
    """Return what names this start of the machine, empty where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
