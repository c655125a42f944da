"""What another limit would give, from the edges that a finished run stores.

No neighbor is searched or scored again.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from raycluster.arrays import Int32
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline.run import LOCAL, fork, run_stages
from raycluster.stages.communities import identities_of
from raycluster.stages.edges import limits_of
from raycluster.stages.ingest import few_vectors
from raycluster.storage import schemas
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.tables import Tables, for_all


def communities_at(tables: Tables, limit: float) -> tuple[Int32, int]:
    """Return communities (N,) and the number of edges at another limit.

    Every row has a community, copies included.

    Raises InputError as `swept_tables` does.
    """
    swept = swept_tables(tables, limit)
    return for_all(tables, identities_of(swept)), int(swept.task_facts("communities")[0]["links"])


def swept_tables(tables: Tables, limit: float) -> ArrayTables:
    """Return the tables at another value of the swept limit, up to the re-joining.

    They are of distinct rows. Communities are found and re-joined by the stages of the run. Raises InputError where edges are
    not stored down to `limit`, or the rule has no limit.
    """
    config, limits = tables.config, limits_of(tables)
    if limits.swept_name is None:
        raise InputError(f"The run cannot be swept at {limit}: the gap rule has no threshold.")
    lowest = limits.swept_value - config.edges.reserve
    if not np.float32(limit) >= np.float32(lowest):
        raise InputError(f"The run cannot be swept at {limit}: edges are stored from {lowest:.4f} up.")
    limit_key: dict[str, Any] = {limits.swept_name: limit}
    # A threshold that overrules scores is no setting of their rule: it moves in the facts alone.
    is_overruling = limits.threshold is not None and config.edges.rule != "threshold"
    moved = config if is_overruling else replace(config, edges=replace(config.edges, **limit_key))
    blocks = list(tables.blocks("edges", schemas.EDGES.names))
    edges = {name: np.concatenate([block[name] for block in blocks]) for name in schemas.EDGES.names}
    neighbor = tables.column("knn", "neighbor")
    swept = fork(
        tables, moved, {"edges": edges, "knn": {"neighbor": neighbor}}, {"edges": limits.moved_to(limit).to_json()},
        vectors=few_vectors(tables),  # re-joining reads a sample
    )  # fmt: skip
    run_stages(swept, LOCAL, Silence(), until="rejoin")
    return swept
