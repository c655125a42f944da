"""Whether an object store answers at the address of the environment.

The client repeats a request for minutes, which is right for a busy store and wrong for an address where nothing listens.
"""

import functools
import os
import socket
from urllib.parse import urlsplit

from raycluster.errors import StorageError

SECONDS = 5.0
"""How long a first connection may take, per try. An answer takes milliseconds; raising it delays the report of a closed port."""
TRIES = 2
"""A server that has just been started gets a second chance."""


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
    place = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    for attempt in range(TRIES):
        try:
            socket.create_connection(place, SECONDS).close()
            return
        except OSError as error:
            if attempt == TRIES - 1:
                reason = error.strerror or str(error)
                raise StorageError(f"The object store at {address} does not answer: {reason}.") from error
