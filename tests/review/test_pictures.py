"""Bytes of pictures: nothing outside of the root, nothing but plain files, the web only where it is allowed."""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from raycluster.review import pictures
from raycluster.review.pictures import Pictures, Unshown
from raycluster.storage.object_store import Store


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "deep").mkdir(parents=True)
    (tmp_path / "root" / "deep" / "a b#%.png").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "root"


def test_paths_below_the_root(root):
    reader = Pictures(str(root))
    for path in ("deep/a b#%.png", str(root / "deep" / "a b#%.png"), "./deep//a b#%.png"):
        assert reader.read(path) == b"inside"
    assert reader.read(b"bytes") == b"bytes"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "deep/../../secret",
        "/etc/passwd",
        "deep\\..\\..\\secret",
        "file:///etc/passwd",
        "link",
        "folder/secret",
    ],
)
def test_nothing_outside_of_the_root_is_read(root, path):
    (root / "link").symlink_to(root.parent / "secret")
    (root / "folder").symlink_to(root.parent)
    with pytest.raises(Unshown, match="outside of the image root"):
        Pictures(str(root)).read(path)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (None, "no picture"),
        (b"", "empty"),
        ("gone.png", "not there"),
        ("deep", "cannot be read|no plain file"),
        ("a\0b", "no valid path"),
        ("ftp://host/a.png", "ftp:// is not opened"),
        ("javascript://host/a", "javascript:// is not opened"),
        ("http://127.0.0.1/a.png", "--fetch opens it"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_what_is_not_shown_has_a_reason(root, picture, reason):
    with pytest.raises(Unshown, match=reason):
        Pictures(str(root)).read(picture)


def test_pictures_in_an_object_store():
    Store("memory://bucket/pictures").put("deep/a.png", b"inside")
    Store("memory://bucket").put("secret", b"secret")
    reader = Pictures("memory://bucket/pictures")
    assert reader.read("deep/a.png") == b"inside"
    for path in ("../secret", "s3://bucket/secret", "/secret", "deep//../a.png"):
        with pytest.raises(Unshown, match="outside of the image root"):
            reader.read(path)
    with pytest.raises(Unshown, match="cannot be read"):
        reader.read("gone.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_named_pipe_is_not_waited_for(root):
    os.mkfifo(root / "pipe")
    with pytest.raises(Unshown, match="no plain file"):
        Pictures(str(root)).read("pipe")


def test_large_pictures_are_refused(root, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_BYTES", 5)
    for picture in ("deep/a b#%.png", b"123456"):
        with pytest.raises(Unshown, match="too large"):
            Pictures(str(root)).read(picture)


class _Answers(BaseHTTPRequestHandler):
    """/picture has one, /away sends to a file, /gone is missing."""

    def do_GET(self):
        status = {"/picture": 200, "/away": 302}.get(self.path, 404)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "file:///etc/passwd")
        self.end_headers()
        if status == 200:
            self.wfile.write(b"picture")

    def log_message(self, *_):
        pass


def test_the_web_is_opened_where_it_is_allowed(root):
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        reader, base = Pictures(str(root), fetch=True), f"http://127.0.0.1:{server.server_port}"
        assert reader.read(f"{base}/picture") == b"picture"
        with pytest.raises(Unshown, match="answers 404"):
            reader.read(f"{base}/gone")
        with pytest.raises(Unshown, match="answers 302"):
            reader.read(f"{base}/away")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(Unshown, match="does not answer"):
        reader.read(f"{base}/picture")
