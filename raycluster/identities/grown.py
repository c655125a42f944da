"""Rows come and go: the first half of an update, up to the edges that changed."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from raycluster.arrays import Bool, Int32, Vectors
from raycluster.identities.changed_edges import EdgeChange, changed_edges
from raycluster.identities.deciding import Deciding
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.neighbors import after_change
from raycluster.identities.rescore import floor_of, rescored
from raycluster.identities.state import Edges, Lists, Reading, State
from raycluster.kernels.search.inverted_file import assign_lists

Mode = Literal["attach", "compare", "local"]
"""How new rows come in: `attach` moves no old row, and `compare` leaves out the other new rows, too."""


@dataclass(frozen=True)
class Change:
    """Rows that come and go, and decisions from now on."""

    ids: pa.Array
    """(M,) ids of new rows, none of them in use."""
    vectors: Vectors
    """(M, D) of unit length."""
    removed: Int32
    """(R,) rows that go."""
    decisions: pa.Table | None = None
    """All decisions in force; none means that they stay as they are."""
    deciding: Deciding | None = None
    """Columns that decide, of all rows, new ones last; none keeps those of the state, which new rows have no values of."""
    on_conflict: str = "stop"
    yes: bool = False


@dataclass(frozen=True)
class Grown:
    """A state with new rows and without removed ones, not solved again yet."""

    state: State
    is_changed: Bool
    """(N,) rows whose lists or scores changed."""
    edges: EdgeChange
    num_searched: int


def with_rows(state: State, change: Change, mode: Mode, threads: int) -> Grown:
    """Return the state with new rows and without removed ones, and what that changed.

    Parameters
    ----------
    state : State
        The clustering so far.
    change : Change
        Rows that come and go; decisions are not read.
    mode : "local", "attach" or "compare"
        `attach` leaves the lists of old rows as they are; `compare` lists old rows alone.
    threads : int
        Threads. They change no result.
    """
    num_old, num_new = state.num_rows, len(change.ids)
    is_alive = np.concatenate([state.is_alive, np.ones(num_new, bool)])
    is_alive[change.removed] = False
    if num_new == 0 and len(change.removed) == 0:
        none = Edges(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
        rows = np.empty(0, np.int32)
        return Grown(state, np.zeros(num_old, bool), EdgeChange(state.edges, rows, rows, rows, none, none), 0)
    vectors = np.concatenate([state.vectors, change.vectors.astype(state.vectors.dtype, copy=False)])
    reading = state.reading
    if reading is not None:
        lists_of_new = assign_lists(change.vectors, reading.centroids, threads)
        reading = Reading(reading.centroids, np.concatenate([reading.lists, lists_of_new]), reading.facts)
    floor = floor_of(state.set_facts, state.limits)
    original = np.concatenate([state.original, np.arange(num_old, num_old + num_new, dtype=np.int32)])
    in_play = is_alive & (original == np.arange(num_old + num_new))
    near = after_change(vectors, in_play, num_old, state.lists, reading, floor, threads, is_mutual=mode != "compare")
    is_changed = near.is_changed
    neighbor, similarity = near.neighbor, near.similarity
    if mode == "attach":
        # Old rows keep their lists; only what was removed is no longer in them.
        kept = np.flatnonzero(is_changed[:num_old] & is_alive[:num_old])
        neighbor[kept], similarity[kept] = state.lists.neighbor[kept], state.lists.similarity[kept]
        neighbor[np.isin(neighbor, change.removed)] = -1
        is_changed = is_changed.copy()
        is_changed[:num_old] = False
        is_changed[change.removed] = True
    score = None
    if state.lists.score is not None:
        score = rescored(
            state.config, state.set_facts, vectors, neighbor, similarity, state.lists.score, is_changed, threads
        )
    lists = Lists(neighbor, similarity, score)
    edges = changed_edges(state.config, state.limits, state.edges, lists, is_changed, num_old)
    grown = replace(
        state,
        ids=pa.concat_arrays([state.ids, change.ids.cast(state.ids.type)]),
        is_alive=is_alive,
        original=original,
        vectors=vectors,
        lists=lists,
        reading=reading,
        piece=np.concatenate([np.where(is_alive[:num_old], state.piece, -1), np.full(num_new, -1)]).astype(np.int32),
        row_id=np.concatenate([np.where(is_alive[:num_old], state.row_id, NO_ID), np.full(num_new, NO_ID)]),
    )
    return Grown(grown, is_changed, edges, near.num_searched)
