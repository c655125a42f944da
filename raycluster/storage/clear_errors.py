"""Errors of storage clients, each turned into one sentence."""

import contextlib
import errno
from collections.abc import Iterator

import pyarrow as pa

from raycluster.errors import InputError, RayclusterError, StorageError

REMEDIES = {
    errno.ENOSPC: "The disk is full at {name}; free space",
    errno.EDQUOT: "The quota of the disk is used up at {name}; free space",
    errno.EFBIG: "The file {name} is larger than its file system or the limit of this process (ulimit -f) allows; raise it",
    errno.EROFS: "The disk at {name} can only be read; choose another --output",
}
"""What the system refuses to write, in words, and what to do before the same command."""


@contextlib.contextmanager
def clear_errors(name: str) -> Iterator[None]:
    """Turn what a storage client raises into one sentence."""
    try:
        yield
    except RayclusterError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{name} was not found: {reason_of(error)}.") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} cannot be used, a folder is where a file should be: {reason_of(error)}.") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{name} cannot be used, a file is where a folder should be: {reason_of(error)}.") from error
    except PermissionError as error:
        check = "the credentials" if "://" in name else "the owner and the permissions"
        raise StorageError(f"Storage refused access to {name}: {reason_of(error)}; check {check}.") from error
    except OSError as error:
        if error.errno in REMEDIES:
            raise StorageError(f"{REMEDIES[error.errno].format(name=name)} and run the same command.") from error
        if _is_timeout(error):
            raise StorageError(_silent(name)) from error
        raise StorageError(f"Storage failed at {name}: {reason_of(error)}.") from error
    except (ImportError, ValueError) as error:
        if isinstance(error, pa.ArrowException):
            raise
        raise InputError(f"{name} cannot be opened: {reason_of(error)}.") from error
    except Exception as error:
        if _is_timeout(error):
            raise StorageError(_silent(name)) from error
        if type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
            raise StorageError(
                f"Storage failed at {name}: {reason_of(error)}; check credentials and endpoint."
            ) from error
        raise


def _is_timeout(error: BaseException) -> bool:
    """Whether a client waited in vain, by the names that clients give to it."""
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def _silent(name: str) -> str:
    return f"Storage did not answer at {name} for minutes; the same command goes on from here."


def reason_of(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
