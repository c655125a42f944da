"""What a run lets go of.

Copies go with their last reader, and a cluster with its last workers.
"""

import contextlib
from collections.abc import Sequence

from raycluster.config.execution import Execution
from raycluster.executors.sizing import joins_cluster, uses_ray
from raycluster.pipeline.outlook import has_workers, read_by_tasks, read_by_workers, read_later, size_of
from raycluster.stages.stage import Stage
from raycluster.storage import node_cache
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Tables


def free_unread(tables: Tables, stage: Stage, left: Sequence[Stage]) -> None:
    """Free the driver's copies that no task of a stage reads, nor a later stage.

    Parameters
    ----------
    tables
        Of the run.
    stage, left
        The stage whose facts are there, and those after it.
    """
    if tables.has_facts("embeddings"):
        tables.release(read_by_tasks(size_of(tables), tables.config, stage, left))


def free_read(tables: Tables, left: Sequence[Stage], execution: Execution) -> None:
    """Free the copies on all nodes that no later stage reads.

    Parameters
    ----------
    tables
        Of the run.
    left
        Stages that are left.
    execution
        Where tasks run.
    """
    if not tables.has_facts("embeddings"):
        return  # vectors are not numbered yet, and no copy was made
    size, config = size_of(tables), tables.config
    kept = read_later(size, config, left)
    tables.release(kept)
    if isinstance(tables, StoredTables) and uses_ray(tables.folder.plan.shards, execution):
        from raycluster.executors.node_copies import free_copies

        others = read_by_workers(size, config, left)
        free_copies(node_cache.name_of(tables.folder), tables.names_of(others), tables.names_of(kept))


def free_all(folder: RunFolder, execution: Execution) -> None:
    """Free the copies of a run on all nodes."""
    if joins_cluster(execution):
        from raycluster.executors.node_copies import free_copies

        free_copies(node_cache.name_of(folder))
    node_cache.remove(folder)


def leave_cluster(tables: Tables, left: Sequence[Stage], execution: Execution) -> None:
    """Let go of a cluster that no later stage has workers on.

    The driver then ends, whatever becomes of the head.

    Parameters
    ----------
    tables
        Of the run.
    left
        Stages that are left.
    execution
        Where tasks run.
    """
    if not joins_cluster(execution) or not isinstance(tables, StoredTables) or not tables.has_facts("embeddings"):
        return
    if not uses_ray(tables.folder.plan.shards, execution) or not has_workers(size_of(tables), tables.config, left):
        from raycluster.executors.connection import leave

        leave()


def watched(folder: RunFolder, execution: Execution) -> contextlib.AbstractContextManager[None]:
    """Return what watches a cluster's head while the driver computes by itself."""
    if not joins_cluster(execution):
        return contextlib.nullcontext()
    from raycluster.executors.connection import head_address
    from raycluster.executors.head import watched_head

    return watched_head(head_address, lambda: node_cache.remove(folder))
