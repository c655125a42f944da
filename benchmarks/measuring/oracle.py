"""Reviews answered by true identities, and what an update makes of them.

Shapes: N rows.
"""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float64, Int64
from raycluster.evaluation import metrics
from raycluster.identities.decisions import schema
from raycluster.identities.grown import Change
from raycluster.identities.update import Updated, update
from raycluster.review.opened import Opened
from raycluster.review.queue_tables import Answer, QueueItem, decisions_of

AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""When all answers are dated; the order of answers has no influence."""


def answer_to(item: QueueItem, identity: dict[Any, int]) -> Answer:
    """Return what a person sees: whether most rows of both sides show one identity."""
    one, other = (np.bincount([identity[key] for key in ids]).argmax() for ids in (item.ids_a, item.ids_b))
    return "same" if one == other else "different"


def updated_with(opened: Opened, items: Sequence[QueueItem], identity: dict[Any, int]) -> Updated:
    """Return the run after the answers to items.

    Parameters
    ----------
    opened : Opened
        The run.
    items : sequence of QueueItem
        Answered items.
    identity : dict
        True identity by id.
    """
    state = opened.state
    rows = [row for item in items for row in decisions_of(item, answer_to(item, identity), "oracle", AT)]
    table = pa.Table.from_pylist(rows, schema(state.ids.type))
    none = np.empty((0, state.vectors.shape[1]), state.vectors.dtype)
    change = Change(state.ids.slice(0, 0), none, np.empty(0, np.int32), table, on_conflict="drop", yes=True)
    return update(state, change, "oracle")


def bcubed(truth: Int64, cluster: Int64) -> float:
    """Return F of BCubed in percent."""
    return 100 * metrics.bcubed(metrics.Contingency.of(truth, cluster)).f


def num_right(truth: Int64, cluster: Int64) -> int:
    """Return the rows that lie where most of their identity lies and most of their cluster is of it."""
    table = metrics.Contingency.of(truth, cluster)
    best = [np.zeros(len(sizes), np.int64) for sizes in (table.identity_sizes, table.cluster_sizes)]
    np.maximum.at(best[0], table.identity, table.counts)
    np.maximum.at(best[1], table.cluster, table.counts)
    is_main = (table.counts == best[0][table.identity]) & (table.counts == best[1][table.cluster])
    return int(table.counts[is_main].sum())


def area(counts: Sequence[int], score: Sequence[float]) -> float:
    """Return the mean gain over the first score, per answer of the longest review."""
    gain: Float64 = np.array(score) - score[0]
    return float(np.trapezoid(gain, counts)) / counts[-1]
