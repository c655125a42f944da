import socket
import time

import pytest

from raycluster.errors import StorageError
from raycluster.storage.endpoint import require_endpoint
from raycluster.storage.object_store import Store


def test_a_closed_port_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    began = time.monotonic()
    with pytest.raises(StorageError, match=f"The object store at {address} does not answer: Connection refused."):
        Store("s3://bucket/run")
    assert time.monotonic() - began < 10


def test_an_open_port_and_no_address_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    require_endpoint()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.getsockname()[1]}")
        require_endpoint()
