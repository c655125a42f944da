"""Small living clusterings in tests."""

import functools

import numpy as np
import pyarrow as pa

from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.identities.grown import Change
from raycluster.identities.state import from_tables
from raycluster.identities.update import update
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from support.data import identities

ROWS, BASE = 300, 240
OVERRIDES = {"knn": {"k": 12}, "edges": {"threshold": 0.55}}


@functools.cache
def rows():
    """Unit rows (300, 32) of 50 identities of six, and their identity."""
    return identities(50, 6, spread=0.6, seed=3)


def config_of(recipe="cosine", **overrides):
    return load_config(recipe, OVERRIDES | overrides, "test")


def tables_of(vectors, ids=None, recipe="cosine", **overrides):
    """Finished tables of rows, with ids 0.. by default."""
    ids = pa.array(np.arange(len(vectors))) if ids is None else ids
    tables = in_memory(vectors, config_of(recipe, **overrides), 1, ids=ids)
    run_stages(tables, LOCAL, Silence())
    return tables


@functools.cache
def base():
    """The state of the first 240 rows."""
    return from_tables(tables_of(rows()[0][:BASE]))


def change(state, new=(), removed=(), **options):
    """Rows `new` of `rows()` come under their numbers as ids, rows `removed` of the state go."""
    new = np.array(new, np.int64)
    vectors = rows()[0][new] if len(new) else np.empty((0, state.vectors.shape[1]), np.float32)
    return Change(pa.array(new), vectors, np.array(removed, np.int32), **options)


def updated(state, new=(), removed=(), mode="local", **options):
    return update(state, change(state, new, removed, **options), "run", mode)


def by_id(state, cluster):
    """{id: set of ids in its cluster} of the rows that are there."""
    alive = np.flatnonzero(state.is_alive)
    ids = np.array(state.ids.to_pylist())
    return {int(ids[row]): frozenset(ids[alive[cluster[alive] == cluster[row]]].tolist()) for row in alive}


def names(state):
    """{row id: cluster id} of the rows that are there."""
    alive = np.flatnonzero(state.is_alive)
    return dict(zip(np.array(state.ids.to_pylist())[alive].tolist(), state.row_id[alive].tolist(), strict=True))
