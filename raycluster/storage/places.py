"""Places in one spelling.

So guards compare where things are and not how they are written.
"""

import os
import re
import urllib.parse

from raycluster.errors import InputError
from raycluster.secrecy import SIGNED, USER

ONE_SLASH = re.compile(r"(s3[an]?|gs|gcs|abfss?|az|adl|hdfs|https?):/([^/].*)", re.IGNORECASE | re.DOTALL)
"""A URL of an object store that lost a slash: as a local path it would make a folder of that name."""
S3_SCHEMES = ("s3", "s3a", "s3n")
"""Schemes of S3; the last two as Hadoop writes them."""


def plain_url(url: str) -> str:
    """Return a place as an absolute local path or a URL of an object store.

    `file://` URLs are decoded, `s3a://` and `s3n://` are `s3://`, and a local path may hold any character.
    """
    if not url.strip():
        raise InputError("A path or URL is empty.")
    if "\0" in url:
        raise InputError(f"The path {url} holds a null character, which no file system takes.")
    scheme, separator, rest = url.partition("://")
    if separator and (USER.search(url) or SIGNED.search(url)):
        raise InputError(
            f"The URL {url} holds keys, which would be stored with the run; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or a file of credentials, and name the place without them."
        )
    if not separator and (match := ONE_SLASH.match(url)):
        raise InputError(f"The path {url} reads as a URL with one slash; write {match[1]}://{match[2]}.")
    if not separator and url.lower().startswith(("file:/", "local:/")):  # as Java and Spark spell file:///
        return os.path.abspath(urllib.parse.unquote(url.partition(":")[2]))
    if not separator:
        return os.path.abspath(os.path.expanduser(url))
    if scheme.lower() in ("file", "local"):
        return os.path.abspath(urllib.parse.unquote(rest.removeprefix("localhost")))
    if scheme.lower() not in S3_SCHEMES:
        return f"{scheme.lower()}://{rest.rstrip('/')}"
    bucket, _, key = rest.partition("/")
    return f"s3://{bucket}/{key.strip('/')}".rstrip("/") if bucket else "s3://"


def is_pattern(url: str) -> bool:
    """Whether a path or URL may be a pattern (*, ?, [...])."""
    return any(mark in url for mark in "*?[")


def is_inside(inner: str, outer: str) -> bool:
    """Whether the place `inner` is the place `outer` or lies in it.

    Spelling does not matter, and links are followed.
    """
    places = [plain_url(url) for url in (inner, outer)]
    inside, around = (place if "://" in place else os.path.realpath(place) for place in places)
    return f"{inside.rstrip('/')}/".startswith(f"{around.rstrip('/')}/")
