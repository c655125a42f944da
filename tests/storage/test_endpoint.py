import socket
import threading
import time

import pytest

from raycluster.errors import StorageError
from raycluster.storage import endpoint
from raycluster.storage.endpoint import is_busy, require_endpoint
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


def test_a_hung_connection_ends_within_two_minutes() -> None:
    pauses = sum(2**number for number in range(endpoint.TRIES_BELOW - 1))
    assert endpoint.TRIES_ABOVE * (endpoint.TRIES_BELOW * endpoint.SILENCE_SECONDS + pauses) < 120


@pytest.mark.slow
def test_a_store_that_accepts_and_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(endpoint, "TRIES_BELOW", 2)
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a-key-of-the-test",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test",
        }.items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"Storage did not answer at s3://hung/run/plan\.json for minutes"):
            Store("s3://hung/run").get("plan.json")
        assert time.monotonic() - began < 10
        server.shutdown(socket.SHUT_RDWR)
    assert len(accepted) >= endpoint.TRIES_ABOVE
    for connection in accepted:
        connection.close()


def test_an_error_of_the_server_passes_and_one_of_the_request_does_not() -> None:
    def answered(status: int) -> Exception:
        error = Exception()
        error.response = {"ResponseMetadata": {"HTTPStatusCode": status}}  # type: ignore[attr-defined]
        return error

    assert [is_busy(answered(status)) for status in (500, 503, 404, 403)] == [True, True, False, False]
    assert not is_busy(ValueError())
