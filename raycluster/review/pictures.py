"""Bytes of the user's pictures: from a column, a path below one folder, or a URL.

A path or s3 URL never leaves its root, links included. What is no plain file is never opened. http and https are opened
where the user allows it. Whatever fails is a reason to show, never an error that ends a report.
"""

import os
import posixpath
import stat
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

from raycluster.errors import RayclusterError
from raycluster.storage.object_store import Store
from raycluster.storage.places import is_inside, plain_url

MOST_BYTES = 32 * 2**20
"""Bytes of one picture, 32 MiB: far above a camera's JPEG. More memory per picture where it is raised."""
SECONDS = 10.0
"""Seconds without a byte after which an http server counts as dead. More wait longer for slow ones."""
WEB = ("http", "https")


class Unshown(Exception):
    """Why a picture is not shown, in a few words."""


class Pictures:
    """Reads pictures below `root`, a folder on disk or s3://.

    http and https are opened only where `fetch` allows them.
    """

    def __init__(self, root: str, *, fetch: bool = False) -> None:
        self.root, self.fetch = plain_url(root), fetch
        self._store: Store | None = None

    def read(self, picture: bytes | str | None) -> bytes:
        """Return a picture's bytes. Raises Unshown with the reason."""
        if picture is None:
            raise Unshown("no picture")
        if isinstance(picture, bytes):
            return _bounded(picture)
        if "\0" in picture:
            raise Unshown("no valid path")
        scheme = urllib.parse.urlsplit(picture).scheme.lower() if "://" in picture else ""
        if scheme in WEB:
            return self._fetched(picture)
        if scheme not in ("", "s3", "s3a", "file"):
            raise Unshown(f"{scheme}:// is not opened")
        try:
            return self._below(picture)
        except (RayclusterError, OSError, ValueError) as error:
            raise Unshown("cannot be read") from error

    def _below(self, picture: str) -> bytes:
        """Return the bytes of a path or s3 URL below the root."""
        if ".." in picture.replace("\\", "/").split("/"):
            raise Unshown("outside of the image root")
        place = picture if "://" in picture or os.path.isabs(picture) else f"{self.root}/{picture}"
        if "://" not in self.root:
            return self._file(os.path.realpath(plain_url(place)))
        place = plain_url(place)
        path = place.removeprefix(f"{self.root}/")
        if path == place or posixpath.normpath(path) != path:
            raise Unshown("outside of the image root")
        self._store = self._store or Store(self.root)
        if self._store.size(path) > MOST_BYTES:
            raise Unshown("too large")
        data = self._store.get(path)
        if data is None:
            raise Unshown("not there")
        return data

    def _file(self, path: str) -> bytes:
        """Return the bytes of a plain file below the root."""
        if not is_inside(path, self.root):
            raise Unshown("outside of the image root")
        try:
            # without O_NONBLOCK a named pipe would never open; without O_NOFOLLOW a link made since then would be followed
            number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError as error:
            raise Unshown("not there") from error
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise Unshown("no plain file")
            return _bounded(file.read(MOST_BYTES + 1))

    def _fetched(self, url: str) -> bytes:
        """Return what an http or https URL holds; a redirect stays on these."""
        if not self.fetch:
            raise Unshown("on the web; --fetch opens it")
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler,
            urllib.request.HTTPSHandler,
            urllib.request.HTTPRedirectHandler,
            urllib.request.HTTPErrorProcessor,
            urllib.request.HTTPDefaultErrorHandler,
        ):
            opener.add_handler(handler())
        try:
            with opener.open(url, timeout=SECONDS) as answer:
                return _bounded(answer.read(MOST_BYTES + 1))
        except urllib.error.HTTPError as error:
            raise Unshown(f"the server answers {error.code}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise Unshown("the server does not answer") from error


def _bounded(data: bytes) -> bytes:
    """Return bytes that are few enough to decode."""
    if len(data) > MOST_BYTES:
        raise Unshown("too large")
    if not data:
        raise Unshown("empty")
    return data
