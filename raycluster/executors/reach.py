"""Whether the head of the cluster is gone.

Every call to Ray would then block until Ray ends the process, without a word. So what runs on the way out makes none.
"""

import contextlib
from collections.abc import Iterator

_is_lost = False
_is_watched = False


def give_up() -> None:
    """Let go of a cluster whose head is gone."""
    global _is_lost
    _is_lost = True


def is_lost() -> bool:
    """Whether this process has let go of its cluster."""
    return _is_lost


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """The block watches the head itself, as a stage on workers does."""
    global _is_watched
    _is_watched = True
    try:
        yield
    finally:
        _is_watched = False


def is_watched() -> bool:
    """Whether a stage on workers watches the head."""
    return _is_watched
