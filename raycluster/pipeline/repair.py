"""What is missing or damaged in a run folder is computed again, until nothing is."""

from collections.abc import Callable
from typing import TypeVar

from raycluster.errors import DamagedError, StorageError
from raycluster.storage.run_folder import RunFolder

Value = TypeVar("Value")
MOST_REPAIRS = 100
"""Objects that one command computes again. A disk that damages more is broken, and the run ends rather than going on for ever."""


def repaired(work: Callable[[], Value], folder: RunFolder, report: Callable[[str], None]) -> Value:
    """Return what `work` returns, done again for as long as it meets damaged objects.

    Parameters
    ----------
    work
        Skips what is done. The marker of a damaged object is gone by the time that it is called again.
    folder
        The run folder.
    report
        Gets a line for every repair.

    Raises
    ------
    StorageError
        Where damage does not end.
    """
    for _ in range(MOST_REPAIRS):
        try:
            return work()
        except DamagedError as error:
            report(f"{error.damage}: it is computed again")
            drop_missing(folder)
    raise StorageError(
        f"{folder.store.url} lost {MOST_REPAIRS} objects while it was written; check the disk and its memory."
    )


def drop_missing(folder: RunFolder) -> None:
    """Drop the markers of all parts that storage no longer lists.

    So they are computed again together.
    """
    for stage, path in folder.folders.items():
        there = set(folder.store.files(path))
        for task in folder.finished(stage) if there else ():
            try:
                is_lost = folder.marker(stage, task).key not in there
            except DamagedError:
                continue  # its marker is gone already
            if is_lost:
                folder.markers.drop(stage, task)
