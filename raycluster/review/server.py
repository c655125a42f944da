"""The local page of a review: a small server on 127.0.0.1 for one person.

Whoever wants an answer needs the token, which is drawn anew at each start and stands in the address that is printed. A request
must come to this host, and a page of another origin must not send it: so no other page in the same browser can decide anything.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from raycluster.errors import RayclusterError
from raycluster.review.queue_tables import KINDS
from raycluster.review.session import Session

HOST = "127.0.0.1"
MOST_BODY = 4096
"""Bytes of a request's body at most; an answer has fifty."""
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Refused(Exception):
    """A request that gets no answer, with its status and a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves one session.

    Parameters
    ----------
    session : Session
        The review.
    output : str
        Folder of the update, once the decisions are put in force.
    port : int
        Port; 0 lets the system choose one.
    """

    daemon_threads = True

    def __init__(self, session: Session, output: str, port: int = 0) -> None:
        super().__init__((HOST, port), _Handler)
        self.session, self.output, self.num_applied = session, output, 0
        self.token = secrets.token_urlsafe(32)
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        """The address of the page, its token included."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    def answer(self, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request, JSON-ready.

        Raises Refused for a path that there is not, and RayclusterError for what cannot be done.
        """
        session = self.session
        with self.lock:
            if path == "/api/progress":
                return session.progress()
            if path == "/api/next":
                kind = _kind(values)
                number = session.next_of(kind, _number(values.get("after", -1)))
                return {"kind": kind, "item": number}
            if path == "/api/item":
                return session.item(_kind(values), _number(values.get("item")))
            if path == "/api/answer":
                session.answer(_kind(values), _number(values.get("item")), values.get("answer"))  # type: ignore[arg-type]
                return session.progress()
            if path == "/api/undo":
                place = session.undo()
                return {"kind": place[0] if place else None, "item": place[1] if place else None}
            if path == "/api/apply":
                suffix = f"-{self.num_applied + 1}" if self.num_applied else ""
                summary = session.apply(f"{self.output}{suffix}")
                self.num_applied += 1
                return {"run": session.run, "summary": summary}
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")


def _kind(values: Mapping[str, Any]) -> Any:
    if values.get("kind") not in KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The queues are {', '.join(KINDS)}.")
    return values["kind"]


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Refused(HTTPStatus.BAD_REQUEST, "An item is a whole number.") from None


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: ReviewServer
    server_version = "raycluster"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page."""
        try:
            self._require_own_host()
            url = urlsplit(self.path)
            self._require_token(parse_qs(url.query).get("token", [""])[0])
            if url.path != "/":
                raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
            self._send_page()
        except Refused as error:
            self._send(error.status, {"error": str(error)})

    def do_POST(self) -> None:
        """Answer a call of the page."""
        try:
            self._require_own_host()
            self._require_token(self.headers.get("X-Token", ""))
            self._send(HTTPStatus.OK, self.server.answer(urlsplit(self.path).path, self._body()))
        except Refused as error:
            self._send(error.status, {"error": str(error)})
        except RayclusterError as error:
            self._send(HTTPStatus.CONFLICT, {"error": str(error)})

    def _require_own_host(self) -> None:
        """Refuse another name of the host, and another origin.

        A page that rebinds its own name to this host sends its own name.
        """
        own = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        if self.headers.get("Host") not in own:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "This page is for its own host alone.")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in own}:
            raise Refused(HTTPStatus.FORBIDDEN, "This page is for its own origin alone.")

    def _require_token(self, token: str) -> None:
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "The token is missing or wrong; open the address that was printed.")

    def _body(self) -> Mapping[str, Any]:
        """Return the JSON object of a request."""
        length = _number(self.headers.get("Content-Length", 0))
        if not 0 <= length <= MOST_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large.")
        try:
            values = json.loads(self.rfile.read(length) or b"{}")
        except (ValueError, UnicodeDecodeError):
            raise Refused(HTTPStatus.BAD_REQUEST, "The request is no JSON.") from None
        if not isinstance(values, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "The request is no JSON object.")
        return values

    def _send_page(self) -> None:
        """Send the page; scripts and styles that it does not hold itself never run."""
        nonce = secrets.token_urlsafe(16)
        page = resources.files("raycluster.review").joinpath("templates/review.html").read_text("utf-8")
        data = page.replace("{{nonce}}", nonce).encode()
        self._send_bytes(HTTPStatus.OK, data, "text/html; charset=utf-8", POLICY.format(nonce=nonce))

    def _send(self, status: HTTPStatus, values: Mapping[str, Any]) -> None:
        data = json.dumps(values, default=str).encode()
        self._send_bytes(status, data, "application/json", POLICY.format(nonce="none"))

    def _send_bytes(self, status: HTTPStatus, data: bytes, kind: str, policy: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a request's line would show the token."""
