"""The tables of a finished run's stages, as its readers open them."""

import contextlib
from collections.abc import Iterator

from raycluster.errors import DamagedError, InputError
from raycluster.pipeline.run import open_run
from raycluster.storage import node_cache
from raycluster.storage.object_store import Store
from raycluster.storage.stored_tables import StoredTables


@contextlib.contextmanager
def stages_of(url: str) -> Iterator[StoredTables]:
    """The tables of the run folder at `url`.

    This node's copies go afterwards, unless another process reads them. Memory maps stay readable.

    Raises InputError where there are no tables: the folder is an update, or its stages were cleaned away.
    """
    if Store(url).get("plan.json") is None:
        raise InputError(f"{url} has no stages of its own: it is an update, or its folder was moved.")
    tables = open_run(url)
    folder = tables.folder
    try:
        yield tables
    except DamagedError as error:
        if any(folder.finished(stage) for stage in folder.folders):
            raise
        raise InputError(
            f"{url} has no neighbors and vectors any more: its stages were cleaned away; cluster its input again into "
            "another folder."
        ) from error
    finally:
        node_cache.leave(folder)
