"""Runs with doubtful cases, for tests of queues: identities whose clusters were taken apart or joined by hand."""

import functools
from dataclasses import replace

import numpy as np

from raycluster.identities.decisions import schema
from raycluster.review.decided import Decided
from raycluster.review.opened import Opened
from support.living import base


def opened(cluster=None):
    """A state of 240 rows of 40 identities, opened under clusters (N,)."""
    state = base()
    own = np.unique(state.whole[state.piece], return_inverse=True)[1] if cluster is None else np.asarray(cluster)
    count = int(own.max()) + 1
    random = np.random.default_rng(0)
    strength, margin = random.random(len(own)), random.random(len(own))
    return Opened(state, own.astype(np.int32), np.arange(count), strength, margin)


@functools.cache
def identities():
    """The identity of each of the 240 rows."""
    from support.living import BASE, rows

    return np.unique(rows()[1][:BASE], return_inverse=True)[1].astype(np.int32)


def decisions(run, *pairs):
    """Decisions (id, id, same)."""
    import datetime

    import pyarrow as pa

    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    rows = [{"id_a": a, "id_b": b, "same": same, "by": None, "at": at, "note": None} for a, b, same in pairs]
    return Decided.of(run, pa.Table.from_pylist(rows, schema(run.state.ids.type)))


def with_rows(run, **changes):
    """The same run with other columns."""
    return replace(run, **changes)
