"""Reasons to cluster everything again, at once or soon.

Model, limits, mu and inverted lists are those of the last full run. Each reason measures how far the set has moved from it.
"""

import math

import numpy as np

from raycluster.config.stages import Config
from raycluster.identities.limit_now import share_with_holes, threshold_of
from raycluster.identities.state import State, why_not_local
from raycluster.kernels.map_equation.local import LocalSolution
from raycluster.kernels.search import recall
from raycluster.limits import valley
from raycluster.limits.background import GRID_STEP
from raycluster.limits.far_ranks import MAX_ROWS
from raycluster.models.requirements import has_other_model

OTHER_MODEL = "its model is another one than that of the last full run"
"""Why scores of new rows would not fit those that are there."""
MOST_NEW = 0.2
"""New rows, as a share of those of the last full run, above which the summary advises another one. Limits and lists of the
search were chosen for the rows that were there."""
MOST_AT_ONCE = 0.5
"""New rows of one update, as a share of the rows that are there, above which it clusters everything again by itself. The pairwise
F of an update and a full run is 0.80, 0.997 and 0.989 on product titles at shares of 1, 0.5 and 0.25; two seeds agree at 0.985.
Raising it keeps limits that were picked for few rows."""
NEXT_PICK = 0.005
"""Rows that came and went, as a share of those of the last full run, after which the limit is picked once more. Raising it keeps
old limits for longer. Lowering it takes about a second more often, for the 50,000 rows at most that are read."""
NEXT_PICK_ANEW = 0.05
"""The same where a tenth of the lists that are read have to be searched anew, which takes much longer."""
MOST_ANEW = 0.1
"""Share of the lists read that are searched anew at every pick. Not tuned."""
FOLLOWED_AT_ONCE = MAX_ROWS
"""Rows up to which an update clusters everything again by itself as soon as they pick another limit. Above, a full run takes
minutes or hours, and a set between two limits would have one with every batch."""
FOLLOWED = 0.05
"""Rows that came and went, as a share of those of the last full run, from which larger sets follow another limit as well. 18,000
of 20,000 rows of close strangers pick 0.4125 and all of them 0.425, which is worth 2 points of BCubed F. Lowering it takes more
full runs of sets whose limit wavers; raising it keeps old limits for longer."""
SAME_LIMIT = GRID_STEP / 2
"""Difference up to which two limits are the same. Limits of the far ranks differ by steps of 0.0125. Others move a little with
every row."""
MOST_DRIFT = 0.25
"""Change of the exit weight, in powers of two, above which the summary advises a full run: mu is off by as many bits."""
MOST_LOST = 0.01
"""Fall of the recall of new rows' neighbors, as a share of them, above which the summary advises a full run: new rows lie where
the inverted lists were not made for them. Five standard errors of the sample at a recall of 0.98 and K = 80."""
MOST_MOVED = 0.05
"""Move of the valley of scores above which the summary advises a full run; a valley is exact to about 0.01."""
SAMPLE = 64
"""New rows whose neighbors are searched exactly. More rows measure the recall better and take longer, with N."""


def why_at_once(state: State, num_new: int, configured: Config, num_gone: int = 0) -> str | None:
    """Return why an update should cluster everything again, or none where it need not.

    Parameters
    ----------
    state : State
        Before the update.
    num_new : int
        Rows that come, those that replace others included.
    configured : Config
        Of a full run, before it is fitted to the number of rows.
    num_gone : int
        Rows that go, those that are replaced included.
    """
    if why := why_not_local(state.config):
        return why
    if has_other_model(state.config):
        return OTHER_MODEL
    there = int(state.is_alive.sum()) - num_gone
    if num_new > MOST_AT_ONCE * there:
        return (
            f"{num_new:,} new rows come to {there:,} that stay, and the limits of a smaller set may not fit all of them"
        )
    most = min(configured.knn.k, int(state.is_searched.sum()) + num_new - 1)
    if state.config.knn.k < most:
        return f"its neighbor lists can have {most:,} ranks, and those of the last full run have {state.config.knn.k:,}"
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
    changed = _changed(after, base)
    if after.is_alive.sum() > FOLLOWED_AT_ONCE and changed < FOLLOWED * base:
        return None
    step = base * (NEXT_PICK if share_with_holes(after) <= MOST_ANEW else NEXT_PICK_ANEW)
    if _changed(before, base) // step == changed // step:
        return None
    now, in_force = threshold_of(after, threads), after.limits.threshold
    if now is None or in_force is None or abs(now - in_force) < SAME_LIMIT:
        return None
    return (
        f"its {int(after.is_alive.sum()):,} rows pick a limit of {now:.4f}, and the limit of the last full run, "
        f"of {base:,} rows, is {in_force:.4f}"
    )


def _changed(state: State, base: int) -> int:
    """Rows that came and went since a full run of `base` rows."""
    return (state.num_rows - base) + (state.num_rows - int(state.is_alive.sum()))


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
