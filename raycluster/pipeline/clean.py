"""Remove what a run folder holds and no longer needs.

Only objects with names that stages give are ever removed.
"""

import contextlib
from dataclasses import dataclass
from typing import Literal

from raycluster.errors import DamagedError, InputError
from raycluster.pipeline.own_objects import OWN_OF_STAGE
from raycluster.pipeline.plan import stage_folders
from raycluster.pipeline.results import Results
from raycluster.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Removed:
    """What was removed: objects and their bytes."""

    objects: int
    size: int


def clean(url: str, keep: Literal["results", "resume"], *, dry_run: bool = False) -> Removed:
    """Remove stage objects of a run folder.

    Parameters
    ----------
    url
        Run folder.
    keep
        `resume` keeps what the present plan would read again; `results` keeps only what readers of a finished run see.
    dry_run
        Count, and remove nothing.

    Raises
    ------
    InputError
        Where `results` are to be kept of a run that is not finished. DamagedError where they are damaged.
    """
    folder = RunFolder(url, stage_folders)
    store = folder.store
    if keep == "results":
        if store.get("MANIFEST.json") is None:
            raise InputError(f"{url} holds no finished run: there are no results to keep.")
        Results.of(url).verify()  # the stages could publish damaged results again
    needed = _needed(folder) if keep == "resume" else set()
    names = [name for name in store.files("stages") if OWN_OF_STAGE.fullmatch(name) and name not in needed]
    size = sum(store.size(name) for name in names)
    if not dry_run:
        for name in names:
            store.delete(name)
        store.remove_empty_folders("stages")
    return Removed(len(names), size)


def _needed(folder: RunFolder) -> set[str]:
    """Return the objects that the present plan reads.

    These are markers, what they name, facts and arrays.
    """
    current = tuple(f"{path}/" for path in folder.folders.values())
    names = [name for name in folder.store.files("stages") if name.startswith(current)]
    parts = set()
    for stage in folder.folders:
        for task in folder.finished(stage):
            with contextlib.suppress(DamagedError):  # the task is computed again when the run goes on
                parts.add(folder.marker(stage, task).key)
    return {name for name in names if ("/part-" not in name or name in parts) and "/attempts/" not in name}
