"""Object stores that answer slowly or not at all: when a request is given up.

A busy store deserves patience. An address where nothing listens is reported at once, and a hung connection within two minutes.
"""

import functools
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import fsspec

from raycluster.errors import StorageError
from raycluster.storage.keys import VERSION

SERVER_ERROR = 500
"""Status of HTTP from which on the server is at fault."""
SECONDS = 5.0
"""How long a first connection may take, per try. An answer takes milliseconds; raising it delays the report of a closed port."""
SILENCE_SECONDS = 12.0
"""Seconds without a byte after which a request is tried again. Stores begin to answer within one; raising it waits longer for
those that do not."""
TRIES_BELOW, TRIES_ABOVE = 4, 2
"""Tries of botocore for one request, with pauses of 1, 2 and 4 seconds at most, and how often s3fs begins anew. So a hung
connection ends after 2 x (4 x 12 + 7) = 110 seconds. Where 20 % of all requests fail by chance, 3 in a million fail."""
TRIES = 2
"""A server that has just been started gets a second chance."""


def patient_s3(url: str) -> tuple[Any, str]:
    """Return the file system of an S3 URL, and the path in it."""
    import s3fs

    require_endpoint()
    retries = {"total_max_attempts": TRIES_BELOW, "mode": "standard"}
    limits = {"retries": retries, "connect_timeout": SILENCE_SECONDS, "read_timeout": SILENCE_SECONDS}
    # Not by url_to_fs: it takes a :: in a key for a chain of file systems.
    versions = {"version_aware": True} if VERSION in url else {}
    files = fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=limits, **versions)
    files.retries = TRIES_ABOVE
    s3fs.core.set_custom_error_handler(is_busy)
    return files, files._strip_protocol(url)


def is_busy(error: Exception) -> bool:
    """Whether an object store failed for a reason of its own, which passes."""
    answer = getattr(error, "response", None)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(answer, dict) else 0
    return int(status) >= SERVER_ERROR


def require_endpoint() -> None:
    """Raise StorageError where the S3 endpoint of the environment does not answer.

    A process connects once.
    """
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if address and not os.environ.get("HTTP_PROXY") and not os.environ.get("HTTPS_PROXY"):
        _require(address)


@functools.cache
def _require(address: str) -> None:
    parts = urlsplit(address)
    try:
        place = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:  # it quotes the address
        raise StorageError(f"The address of the object store, {address}, has no port that is a number.") from None
    for attempt in range(TRIES):
        try:
            socket.create_connection(place, SECONDS).close()
            return
        except OSError as error:
            if attempt == TRIES - 1:
                reason = error.strerror or str(error)
                raise StorageError(f"The object store at {address} does not answer: {reason}.") from error
