"""The door to Ray: a failed connection is one sentence, and authentication is left as the cluster has it."""

from __future__ import annotations  # Ray is imported when a test runs: the fast tests do without it

import os
import subprocess
import sys
from typing import Any

import pytest

from raycluster.errors import RayclusterError

MODE = "import os, raycluster.executors.connection; print(os.environ.get('RAY_AUTH_MODE'))"


def failed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> str:
    """The sentence of a connection that Ray refuses with an error."""
    import ray

    from raycluster.executors.connection import connect

    def refuse(**options: Any) -> None:
        assert "num_cpus" not in options, "a cluster of its own is asked for"
        raise error

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(RayclusterError) as caught:
        connect()
    return str(caught.value)


def test_a_cluster_that_cannot_be_reached_is_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ConnectionError("no such\nhost Traceback (most recent call last): ...")
    assert failed(monkeypatch, error) == "The Ray cluster at 10.0.0.1:6379: no such host"


def test_a_refused_token_is_named_even_where_it_hides_behind_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    error = ConnectionError("Failed to connect")
    error.__cause__ = ray.exceptions.AuthenticationError("RPC error: InvalidAuthToken")
    sentence = failed(monkeypatch, error)
    assert sentence.startswith("The Ray cluster at 10.0.0.1:6379 refused this job's token: set")
    assert sentence.endswith("~/.ray/auth_token, as on the cluster.")


@pytest.mark.parametrize(
    ("given", "mode"),
    [({}, "token"), ({"RAY_ADDRESS": "10.0.0.1:6379"}, "None"), ({"RAY_AUTH_MODE": "disabled"}, "disabled")],
    ids=["a cluster of this process", "a cluster that is there", "the user's own setting"],
)
def test_only_a_cluster_that_this_process_starts_gets_a_token(given: dict[str, str], mode: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    run = subprocess.run([sys.executable, "-c", MODE], env=kept | given, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == mode
