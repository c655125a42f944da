"""What a local disk needs beside plain reads and writes.

Names are claimed once, and folders are listed without gaps.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterator

NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES, errno.EINVAL}
"""What a file system without hard links (exFAT, SMB, many FUSE mounts) answers to a request for one."""
CLAIM_SECONDS = 2.0
"""Seconds after which a file that was claimed and never written counts as left by a process that died."""


def link_once(temporary: str, target: str) -> bool:
    """Give a written file its final name unless another file has it.

    False where one does.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        return _claim_once(temporary, target)
    return True


def _claim_once(temporary: str, target: str) -> bool:
    """Do the same without hard links.

    Claim the name with an empty file, then put the written one in its place.

    An empty file that stays empty was left by a process that died between the two steps, and is taken over.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        deadline = time.monotonic() + CLAIM_SECONDS
        while os.path.getsize(target) == 0:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return False
    os.replace(temporary, target)
    return True


def files_below(root: str, path: str) -> list[str]:
    """Return the files below a local folder, relative to `root`.

    An unreadable folder is an error. Links are followed, but not to a folder that they lie in. Pipes, sockets and devices
    are an error: reading one can wait for ever.
    """
    top = os.path.join(root, path) if path else root
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = [os.path.relpath(name, root) for name in _walked(top, frozenset())]
        return sorted(name.replace(os.sep, "/") for name in names)
    return []


def _walked(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Yield the files below a folder that lies in the folders `above`.

    Folders are named by device and number.
    """
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in above:
        return
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _below(entry.path, above | {(status.st_dev, status.st_ino)})
        elif entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)):
            yield entry.path
        else:
            raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", entry.path)


def _below(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Yield the files of a subfolder; one that is gone meanwhile has none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from _walked(folder, above)
