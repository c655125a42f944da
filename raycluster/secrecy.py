"""What may be printed: no secret, and no character that changes a terminal."""

import os
import re
import traceback
import unicodedata

USER = re.compile(r"(?<=://)(?:[^/\s@'\"]+|[^/\s@'\":]+:(?!\d+/)[^\s@'\"]+)(?=@)")
"""What stands before the host in a URL: a name, or a key and its secret, which may hold slashes."""
SIGNED = re.compile(r"(?i)([?&](?:[\w-]*(?:signature|token|credential|secret|password|key)[\w-]*)=)[^&\s'\"]+")
"""Values of a URL's query that open what it names, as in presigned URLs."""
SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "RAY_AUTH_TOKEN",
)
"""Variables of the environment whose values are never printed."""
SHORTEST = 8
"""Characters of a secret, at least: shorter values are words that stand elsewhere too."""
HIDDEN = "***"


def redacted(text: str) -> str:
    """Return a text with three asterisks in place of every secret."""
    text = SIGNED.sub(rf"\1{HIDDEN}", USER.sub(HIDDEN, text))
    for name in SECRETS:
        value = os.environ.get(name, "")
        if len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    return text


def printable(text: str) -> str:
    """Return a text without secrets, with control characters escaped as in Python."""
    return "".join(_escaped(character) if _is_control(character) else character for character in redacted(text))


def printable_traceback() -> str:
    """Return the traceback of the exception that is handled, without secrets."""
    return redacted(traceback.format_exc())


def _is_control(character: str) -> bool:
    """Whether a character is a control, or turns the direction of text."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
