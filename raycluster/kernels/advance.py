"""How far a kernel is: its loops report rows, and whoever runs it listens.

Kernels run on threads of their own, so there is one listener per process. Without one, reports go nowhere.
"""

import contextlib
from collections.abc import Callable, Iterator

Listener = Callable[[float], None]
"""Takes the number of rows that were finished since the last report; a fraction where a loop is not over rows."""


def _nobody(rows: float) -> None:
    """Take a report and do nothing."""


_listeners: list[Listener] = [_nobody]


def rows_done(rows: float) -> None:
    """Report rows that a loop has finished."""
    _listeners[-1](rows)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hand all reports to a listener meanwhile, in place of the one before."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Let reports go nowhere meanwhile: of a search that only prepares another."""
    with listening(lambda rows: None):
        yield
