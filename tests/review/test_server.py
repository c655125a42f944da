"""The local page: who gets an answer, and what the answers are."""

import http.client
import json
import threading

import pytest

from raycluster.review.server import ReviewServer
from raycluster.review.session import Session
from support import tiny


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("server")
    tiny.run(path, "cosine")
    with ReviewServer(Session(str(path / "run"), most=5), str(path / "next")) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, values=None, **headers):
    """Status, headers and body of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    skip = "Host" in headers
    connection.putrequest(method, path, skip_host=skip)
    body = b"" if values is None else json.dumps(values).encode() if not isinstance(values, bytes) else values
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def call(server, path, values=None, **headers):
    """Status and JSON of a call with the token."""
    status, _, body = ask(server, "POST", f"/api/{path}", values, **{"X-Token": server.token, **headers})
    return status, json.loads(body)


def test_the_page_comes_with_a_policy_and_nothing_of_another_host(server):
    status, headers, body = ask(server, "GET", f"/?token={server.token}")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">'.encode() in body
    assert b"http://" not in body
    assert b"https://" not in body
    assert server.token.encode() not in body


def test_a_second_tab_without_the_token_is_refused(server):
    before = server.session.progress()
    for path in ("/", "/?token=", "/?token=guess"):
        assert ask(server, "GET", path)[0] == 403
    for token in ({}, {"X-Token": ""}, {"X-Token": "guess"}, {"X-Token": "\u00fc"}):
        status, _, body = ask(server, "POST", "/api/answer", {"kind": "merge", "item": 0, "answer": "same"}, **token)
        assert status == 403
        assert b"token" in body
    assert server.session.progress() == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1"])
def test_another_name_of_the_host_is_refused(server, host):
    assert call(server, "progress", Host=host)[0] == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_page_of_another_origin_is_refused(server, origin):
    assert call(server, "progress", Origin=origin)[0] == 403


def test_its_own_origin_is_served(server):
    assert call(server, "progress", Origin=f"http://127.0.0.1:{server.server_port}")[0] == 200


def test_answers_are_saved_and_undone(server):
    assert call(server, "next", {"kind": "merge"}) == (200, {"kind": "merge", "item": 0})
    status, shown = call(server, "item", {"kind": "merge", "item": 0})
    assert status == 200
    assert len(shown["groups"]) == 2
    status, progress = call(server, "answer", {"kind": "merge", "item": 0, "answer": "different"})
    assert (status, progress["queues"]["merge"]["answered"]) == (200, 1)
    assert call(server, "next", {"kind": "merge"})[1]["item"] == 1
    assert call(server, "undo")[1] == {"kind": "merge", "item": 0}
    assert call(server, "undo")[1] == {"kind": None, "item": None}


@pytest.mark.parametrize(
    ("path", "values", "status"),
    [
        ("nothing", {}, 404),
        ("item", {"kind": "other", "item": 0}, 400),
        ("item", {"kind": "merge", "item": "x"}, 400),
        ("item", {"kind": "merge", "item": 99}, 409),
        ("answer", {"kind": "merge", "item": 0, "answer": "<script>"}, 409),
        ("progress", b"no json", 400),
        ("progress", b"[1]", 400),
        ("progress", b" " * 5000, 413),
        ("apply", {}, 409),
    ],
)
def test_what_cannot_be_done_is_one_sentence(server, path, values, status):
    found, body = call(server, path, values)
    assert found == status
    assert body["error"].endswith(".")


def test_the_token_is_in_the_printed_address_and_only_on_this_host(server):
    assert server.address.startswith("http://127.0.0.1:")
    assert server.address.endswith(server.token)
    assert len(server.token) >= 32
    assert server.server_address[0] == "127.0.0.1"
