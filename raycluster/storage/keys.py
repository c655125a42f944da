"""Keys of an object store, which are no paths.

A key may hold // or .., and an empty object may stand for a folder. A URL may end in ?versionId= and name one version.
"""

from collections.abc import Mapping
from typing import Any

from raycluster.errors import InputError

VERSION = "?versionId="
"""What separates an object's name from the id of a version, as AWS writes it."""


def key_of(root: str, path: str) -> str:
    """Return the path below a root, or the root itself.

    Raises InputError where a client would cut the key: it holds the mark of a version, and is not one object's URL.
    """
    if path and VERSION in f"{root}{path}":
        raise InputError(
            f"{root}/{path} holds {VERSION}; it names one version of an object that is read, never a folder or an output."
        )
    return f"{root}/{path}" if path else root


def keys_below(filesystem: Any, root: str, prefix: str) -> list[str]:
    """Return the keys below a prefix, sorted and as they are, relative to the root.

    Parameters
    ----------
    filesystem
        Of fsspec.
    root
        What the keys are relative to.
    prefix
        The root, or a key below it.
    """
    try:
        listed = filesystem.find(prefix, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    start = f"{filesystem._strip_protocol(root)}/"
    below = {name.removeprefix(start): info for name, info in listed.items() if name.startswith(start)}
    return sorted(key for key, info in below.items() if key and not _marks_folder(key, info))


def _marks_folder(key: str, info: Mapping[str, Any]) -> bool:
    """Whether an object stands for a folder, as consoles of object stores make them."""
    return info.get("type") == "directory" or (key.endswith("/") and not info.get("size"))
