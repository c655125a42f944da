"""Signals that end a job, raised where they arrive and again where that failed.

Python drops what is raised in a finalizer or in a callback of a library. So a signal is kept, and work that goes on stops at
its next check.
"""

_is_kept = False


def end(*_: object) -> None:
    """Raise KeyboardInterrupt, and keep that a signal came: a handler of signals."""
    global _is_kept
    _is_kept = True
    raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt where a signal came."""
    if _is_kept:
        raise KeyboardInterrupt


def forget() -> None:
    """Forget a signal that was answered."""
    global _is_kept
    _is_kept = False
