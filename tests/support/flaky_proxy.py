"""An HTTP proxy before a test's object store that loses, delays and refuses some requests."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("slow_down", "reset", "lost_reply", "delay")
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass
class FlakyProxy:
    """A running proxy: ``rates`` may be changed while it serves, ``counts`` holds what became of the requests."""

    endpoint_url: str
    rates: dict[str, float]
    counts: Counter[str] = field(default_factory=Counter)


@contextmanager
def flaky_proxy(
    target_endpoint: str,
    *,
    seed: int = 0,
    slow_down: float = 0.0,
    reset: float = 0.0,
    lost_reply: float = 0.0,
    delay: float = 0.0,
    delay_s: float = 0.2,
) -> Iterator[FlakyProxy]:
    """An HTTP proxy that hurts a seeded share of requests and forwards the rest with all headers unchanged.

    ``slow_down`` answers 503; ``reset`` drops the connection before forwarding; ``lost_reply`` forwards and then drops
    it, so a write happened that the client cannot see; ``delay`` waits ``delay_s`` and forwards.
    """
    target = urlsplit(target_endpoint).netloc
    rng, lock = random.Random(seed), threading.Lock()
    proxy = FlakyProxy("", dict(zip(FAULTS, (slow_down, reset, lost_reply, delay), strict=True)))

    def draw() -> str:
        with lock:
            weights = [proxy.rates[fault] for fault in FAULTS]
            fault = rng.choices((*FAULTS, "forwarded"), (*weights, max(0.0, 1.0 - sum(weights))))[0]
            proxy.counts[fault] += 1
            return fault

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = draw()
            if fault == "slow_down":
                self.answer(503, [("Content-Type", "application/xml")], SLOW_DOWN)
                return
            if fault == "reset":
                self.drop()
                return
            if fault == "delay":
                time.sleep(delay_s)
            upstream = http.client.HTTPConnection(target, timeout=60)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body or None)
                response = upstream.getresponse()
                content = response.read()
            finally:
                upstream.close()
            if fault == "lost_reply":
                self.drop()
            else:
                self.answer(response.status, response.getheaders(), content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

        def answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            kept = {k: v for k, v in headers if k.lower() not in {"transfer-encoding", "connection"}}
            if self.command != "HEAD":
                kept["Content-Length"] = str(len(content))
            self.send_response_only(status)
            for name, value in kept.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        def drop(self) -> None:
            """Close with a TCP reset instead of an orderly end."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep test output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A dropped connection is expected here."""

    with Server(("127.0.0.1", 0), Handler) as httpd:
        proxy.endpoint_url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            httpd.shutdown()
            thread.join()
