"""Errors of storage clients, each turned into one sentence."""

import contextlib
import errno
from collections.abc import Iterator

import pyarrow as pa

from raycluster.errors import InputError, RayclusterError, StorageError


@contextlib.contextmanager
def clear_errors(name: str) -> Iterator[None]:
    """Turn what a storage client raises into one sentence."""
    try:
        yield
    except RayclusterError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"{name} was not found: {reason_of(error)}.") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(f"{name} cannot be used, a file is where a folder should be: {reason_of(error)}.") from error
    except PermissionError as error:
        raise StorageError(f"Storage refused access to {name}: {reason_of(error)}; check the credentials.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(f"The disk is full at {name}; free space and run the same command.") from error
        raise StorageError(f"Storage failed at {name}: {reason_of(error)}.") from error
    except (ImportError, ValueError) as error:
        if isinstance(error, pa.ArrowException):
            raise
        raise InputError(f"{name} cannot be opened: {reason_of(error)}.") from error
    except Exception as error:
        if type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp")):
            raise StorageError(
                f"Storage failed at {name}: {reason_of(error)}; check credentials and endpoint."
            ) from error
        raise


def reason_of(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
