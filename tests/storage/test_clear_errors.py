"""What storage clients raise becomes one sentence that names the object; what is ours passes through."""

import errno

import pyarrow as pa
import pytest

from raycluster.errors import ConfigError, InputError, RayclusterError, StorageError
from raycluster.storage.clear_errors import clear_errors, reason_of

NAME = "s3://bucket/run/plan.json"
ClientError = type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})


@pytest.mark.parametrize(
    ("raised", "kind", "sentence"),
    [
        (FileNotFoundError("no\nkey"), StorageError, f"{NAME} was not found: no key."),
        (NotADirectoryError("a"), InputError, f"{NAME} cannot be used, a file is where a folder should be: a."),
        (IsADirectoryError("a"), InputError, f"{NAME} cannot be used, a folder is where a file should be: a."),
        (PermissionError("403."), StorageError, f"Storage refused access to {NAME}: 403; check the credentials."),
        (
            OSError(errno.ENOSPC, "full"),
            StorageError,
            f"The disk is full at {NAME}; free space and run the same command.",
        ),
        (
            OSError(errno.EFBIG, "too large"),
            StorageError,
            f"The file {NAME} is larger than its file system or the limit of this process (ulimit -f) allows; raise it and "
            "run the same command.",
        ),
        (
            OSError(errno.EDQUOT, "quota"),
            StorageError,
            f"The quota of the disk is used up at {NAME}; free space and run the same command.",
        ),
        (
            TimeoutError(),
            StorageError,
            f"Storage did not answer at {NAME} for minutes; the same command goes on from here.",
        ),
        (OSError("reset"), StorageError, f"Storage failed at {NAME}: reset."),
        (ValueError("odd protocol"), InputError, f"{NAME} cannot be opened: odd protocol."),
        (ImportError("no gcsfs"), InputError, f"{NAME} cannot be opened: no gcsfs."),
        (ClientError("slow"), StorageError, f"Storage failed at {NAME}: slow; check credentials and endpoint."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_clients_error_is_one_sentence(raised: Exception, kind: type[RayclusterError], sentence: str) -> None:
    with pytest.raises(RayclusterError) as caught, clear_errors(NAME):
        raise raised
    assert type(caught.value) is kind
    assert str(caught.value) == sentence
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "raised", [ConfigError("Ours."), pa.ArrowInvalid("no Parquet"), KeyError("ours"), KeyboardInterrupt()]
)
def test_what_is_no_clients_error_passes_through(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as caught, clear_errors(NAME):
        raise raised
    assert caught.value is raised


def test_a_reason_is_one_line_and_never_empty() -> None:
    assert reason_of(OSError(" a\n  b. ")) == "a b"
    assert reason_of(TimeoutError()) == "TimeoutError"
