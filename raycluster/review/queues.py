"""The four queues of a run, made from its folder and written into it."""

from collections.abc import Callable

from raycluster.identities.corrections import stored
from raycluster.pipeline.results import Results
from raycluster.review.decided import Decided
from raycluster.review.duplicate_queue import duplicate_items
from raycluster.review.merge_queue import merge_items
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import KINDS, Kind, QueueItem, table_of, write_queue
from raycluster.review.row_queue import row_items
from raycluster.review.split_queue import split_items
from raycluster.storage.object_store import Store

MOST_ITEMS = 2000
"""Items per queue: a day of answers. More take longer to write."""
Maker = Callable[[Opened, Decided, int], list[QueueItem]]
MAKERS: dict[Kind, Maker] = {
    "merge": merge_items,
    "split": split_items,
    "row": row_items,
    "duplicate": duplicate_items,
}


def make_queues(run: str, most: int = MOST_ITEMS) -> dict[Kind, list[QueueItem]]:
    """Write the queues of a run to `RUN/review/KIND.parquet`, and return them.

    The same run has the same queues, whatever its shards, workers and threads.

    Parameters
    ----------
    run : str
        Folder of a finished run, or of an update of one.
    most : int
        Items per queue at most.

    Raises
    ------
    InputError
        The run is not finished.
    """
    opened = Opened.of(run)
    decided = Decided.of(opened, stored(Results.of(run)))
    store = Store(run)
    queues = {}
    for kind in KINDS:
        queues[kind] = MAKERS[kind](opened, decided, most)
        write_queue(store, kind, table_of(queues[kind], opened.state.ids.type))
    return queues
