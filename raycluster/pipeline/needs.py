"""What a worker of a stage needs, from the cost that the stage declares."""

from collections.abc import Callable
from dataclasses import replace

from raycluster.stages.edges import edges_at_most
from raycluster.stages.stage import ProblemSize, Stage
from raycluster.storage.stored_tables import StoredTables

PROCESS_BYTES = 0.5 * 2**30
"""Memory of a worker process before it has done anything: torch, numba and faiss take 0.4 to 0.5 GiB. Raising it lets fewer
workers share a machine."""


def worker_bytes(stage: Stage, tables: StoredTables) -> Callable[[int], float]:
    """Return the memory of a worker of a stage as a function of its threads."""
    plan, config = tables.folder.plan, tables.config
    rows = tables.rows if tables.has_facts("embeddings") else plan.input.rows
    _, most = edges_at_most(config, rows)
    size = ProblemSize(rows, plan.input.width, len(plan.pieces), plan.shards, most, most)
    return lambda threads: PROCESS_BYTES + stage.cost(replace(size, threads=threads), config).worker_bytes
