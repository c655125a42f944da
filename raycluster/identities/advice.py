"""Reasons to cluster everything again, at once or soon.

Model, limits, mu and inverted lists are those of the last full run. Each reason measures how far the set has moved from it.
"""

import math

import numpy as np

from raycluster.identities.neighbors import hits_of
from raycluster.identities.state import State, why_not_local
from raycluster.kernels.map_equation.local import LocalSolution
from raycluster.kernels.search import recall
from raycluster.limits import valley
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import MAX_ROWS, pick_threshold
from raycluster.limits.random_pairs import sample_pairs

MOST_NEW = 0.2
"""New rows, as a share of those of the last full run, above which the summary advises another one. Limits and lists of the
search were chosen for the rows that were there."""
MOST_AT_ONCE = 0.5
"""New rows of one update, as a share of the rows that are there, above which it clusters everything again by itself. The pairwise
F of an update and a full run is 0.80, 0.997 and 0.989 on product titles at shares of 1, 0.5 and 0.25; two seeds agree at 0.985.
Raising it keeps limits that were picked for few rows."""
NEXT_LOOK = 0.05
"""Rows that came and went, as a share of those of the last full run, after which the limit is picked once more. Where it is
another one, an update clusters everything again by itself. 18,000 of 20,000 rows of close strangers pick 0.4125 and all of
them 0.425, which is worth 2 points of BCubed F. Each time takes a search of at most 50,000 rows. Lowering it takes more of
these, and more full runs of sets whose limit wavers; raising it keeps old limits for longer."""
MOST_DRIFT = 0.25
"""Change of the exit weight, in powers of two, above which the summary advises a full run: mu is off by as many bits."""
MOST_LOST = 0.01
"""Fall of the recall of new rows' neighbors, as a share of them, above which the summary advises a full run: new rows lie where
the inverted lists were not made for them. Five standard errors of the sample at a recall of 0.98 and K = 80."""
MOST_MOVED = 0.05
"""Move of the valley of scores above which the summary advises a full run; a valley is exact to about 0.01."""
SAMPLE = 64
"""New rows whose neighbors are searched exactly. More rows measure the recall better and take longer, with N."""


def why_at_once(state: State, num_new: int) -> str | None:
    """Return why an update should cluster everything again, or none where it need not.

    Parameters
    ----------
    state : State
        Before the update.
    num_new : int
        Rows that come, those that replace others included.
    """
    if why := why_not_local(state.config):
        return why
    there = int(state.is_alive.sum())
    if num_new > MOST_AT_ONCE * there:
        return f"{num_new:,} new rows come to {there:,}, and the limits of a smaller set may not fit all of them"
    return None


def why_again(before: State, after: State, threads: int) -> str | None:
    """Return why a full run should replace an update, or none if it stands.

    Parameters
    ----------
    before, after : State
        The clustering without the update, and with it.
    threads : int
        Threads. They change no result.
    """
    base = after.base.rows
    step = NEXT_LOOK * base
    if _changed(before, base) // step == _changed(after, base) // step:
        return None
    now, in_force = threshold_of(after, threads), after.limits.threshold
    if now is None or now == in_force:
        return None
    return (
        f"its {int(after.is_alive.sum()):,} rows pick a limit of {now:.4f}, and the limit of the last full run, "
        f"of {base:,} rows, is {in_force:.4f}"
    )


def _changed(state: State, base: int) -> int:
    """Rows that came and went since a full run of `base` rows."""
    return (state.num_rows - base) + (state.num_rows - int(state.is_alive.sum()))


def threshold_of(state: State, threads: int) -> float | None:
    """Return the threshold that a full run of the rows would pick.

    It is None where the threshold is configured, or scores decide. Rows are searched anew: updates leave out strangers at the
    end of lists, which are what a threshold is picked from.

    Parameters
    ----------
    state : State
        The clustering now.
    threads : int
        Threads. They change no result.
    """
    if state.config.edges.rule != "threshold" or not state.limits.picked:
        return None
    live = np.flatnonzero(state.is_searched).astype(np.int32)
    k = state.lists.neighbor.shape[1]
    queries = live[:: -(-len(live) // MAX_ROWS)]
    neighbor, similarity = hits_of(state.vectors, queries, state.is_searched, min(k, len(live)), state.reading, threads)
    pairs = sample_pairs(state.vectors[live])
    return pick_threshold(similarity, pairs, Lists(neighbor, state.vectors), len(live))[0]


def advice(state: State, num_old: int, solution: LocalSolution, threads: int) -> list[str]:
    """Return reasons to run everything again; empty where nothing speaks for it.

    Parameters
    ----------
    state : State
        After the update.
    num_old : int
        Rows before it; the others are new.
    solution : LocalSolution
        The solve.
    threads : int
        Threads. They change no result.
    """
    reasons, base = [], state.base
    new = (state.num_rows - base.rows) / base.rows
    if new > MOST_NEW:
        reasons.append(f"{new:.0%} of the rows are new since the last full run")
    exits = float(solution.flows.enter.sum())
    if exits > 0 and base.exits > 0 and abs(math.log2(exits / base.exits)) > MOST_DRIFT:
        reasons.append(f"the weight between clusters is {exits / base.exits:.2f} times that of the last full run")
    now = recall_of_new(state, num_old, threads)
    if now is not None and base.recall is not None and now < base.recall - MOST_LOST:
        reasons.append(f"the recall of new rows' neighbors is {now:.3f}, and was {base.recall:.3f}")
    floor = valley_of(state)
    if floor is not None and state.limits.eta is not None and abs(floor - state.limits.eta) > MOST_MOVED:
        reasons.append(f"the valley of the scores is at {floor:.2f}, and the limit at {state.limits.eta:.2f}")
    return reasons


def recall_of_new(state: State, num_old: int, threads: int) -> float | None:
    """Return the measured recall of new rows' neighbors.

    It is None where all rows are compared, and without new rows.

    Parameters
    ----------
    state : State
        After the update.
    num_old : int
        Rows before it.
    threads : int
        Threads. They change no result.
    """
    new = num_old + np.flatnonzero(state.is_searched[num_old:]).astype(np.int32)
    if state.reading is None or state.reading.facts["exact"] or len(new) == 0:
        return None
    rows = new[np.unique(np.linspace(0, len(new) - 1, SAMPLE).astype(np.int64))]
    neighbor, similarity = state.lists.neighbor[rows], state.lists.similarity[rows]
    vectors = state.vectors
    if not state.is_searched.all():
        live = np.flatnonzero(state.is_searched)
        vectors, rows = vectors[live], np.searchsorted(live, rows).astype(np.int32)
        neighbor = np.where(neighbor >= 0, np.searchsorted(live, neighbor), -1).astype(np.int32)
    return recall.measure(rows, neighbor, similarity, vectors, threads).mean


def valley_of(state: State) -> float | None:
    """Return the limit that the scores show now.

    It is None where limits do not come from scores, or show none.
    """
    if not state.limits.valley or state.lists.score is None or state.limits.eta is None:
        return None
    return valley.eta_of(state.lists.neighbor, state.lists.score, state.config.edges.combine, state.limits.eta)
