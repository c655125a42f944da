"""A driver that computes by itself while its head is gone: one sentence, and an end."""

import socket
import time

import pytest

from raycluster.errors import RayclusterError
from raycluster.executors import head, reach


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "HEAD_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(head, "HEAD_SECONDS", 0.2)


def test_a_head_answers_while_it_takes_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert head.answers(address)
    assert not head.answers(address)


def test_a_head_that_is_gone_ends_the_driver_with_a_sentence() -> None:
    done: list[object] = []
    with head.watched_head(lambda: "127.0.0.1:9", lambda: done.append("cleaned"), done.append):
        until = time.monotonic() + 10
        while len(done) < 2 and time.monotonic() < until:
            time.sleep(0.02)
    assert done[0] == "cleaned"
    assert isinstance(done[1], RayclusterError)
    assert str(done[1]).startswith(
        "The head of the Ray cluster at 127.0.0.1:9 is gone: no answer for 0 s while the driver"
    )
    assert str(done[1]).endswith("Run the same command again: what is done is kept.")


@pytest.mark.parametrize("state", ["left", "watched"])
def test_nothing_ends_without_a_cluster_or_while_a_stage_watches(state: str) -> None:
    done: list[object] = []
    address = "" if state == "left" else "127.0.0.1:9"
    with head.watched_head(lambda: address, lambda: done.append("cleaned"), done.append):
        if state == "watched":
            with reach.watching():
                assert reach.is_watched()
                time.sleep(0.6)
                assert done == []  # before the driver computes by itself again
        else:
            time.sleep(0.6)
            assert done == []
    assert not reach.is_watched()
