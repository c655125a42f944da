"""An update of a living clustering, as a pure function.

Rows come and go, decisions are made and withdrawn.

    lists of new rows and of rows near them
    -> their scores
    -> edges that changed

    -> the communities that these touch, solved again
    -> pieces of one identity stay together
    -> ids and lineage

Nothing else is searched, scored or moved. Everything that decides, model and limits, is that of the last full run.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raycluster.arrays import Bool, Int32, Int64
from raycluster.errors import InputError
from raycluster.identities import lineage
from raycluster.identities.advice import advice
from raycluster.identities.confirmed import Suggestions, kept_apart
from raycluster.identities.contraction import broken_rules, out_of_place
from raycluster.identities.copied import with_parted
from raycluster.identities.deciding import extended, in_codes
from raycluster.identities.decisions import differing, in_rows
from raycluster.identities.enforced import obeyed
from raycluster.identities.grown import Change, Mode, with_rows
from raycluster.identities.homes import homes, with_rejoined
from raycluster.identities.inheritance import NO_ID, Before, Former, Inheritance, inherit
from raycluster.identities.placed import joined, placed
from raycluster.identities.rules import compiled
from raycluster.identities.state import Edges, Records, State, why_not_local


@dataclass(frozen=True)
class Counts:
    """Work of an update, and what came of it."""

    new: int
    removed: int
    searched: int
    dirty: int
    """Old rows whose lists changed."""
    scored: int
    touched: int
    """Rows at ends of edges that changed, or under new or withdrawn decisions."""
    solved: int
    """Rows placed again, in all rounds: new ones, those that moved, and those of communities solved whole."""
    moved: int
    """Rows with another id than before, new ones in clusters included."""
    rounds: int
    is_complete: bool
    """Whether nothing further away would have gained."""
    violations: int
    """Broken rules after the solve: 0."""


@dataclass(frozen=True)
class Updated:
    """A state after an update, and what happened."""

    state: State
    cluster: Int32
    """(N,) clusters in the order of their lowest row; removed rows are alone."""
    inheritance: Inheritance
    counts: Counts
    events: pa.Table
    summary: lineage.Summary
    churn: lineage.Churn
    suggestions: Suggestions
    left_out: Int64
    """Decisions that a conflict left out, or whose rows are not there."""
    is_relisted: Bool
    """(N,) rows whose lists or scores are others than before."""
    gone: Edges
    came: Edges
    advice: list[str]
    """Why everything should run again; empty where nothing speaks for it."""
    links: Edges
    """Edges in force, and those of copies that decisions part."""


@dataclass(frozen=True)
class Past:
    """Ids that the rows of a state had before it was clustered."""

    before: Before
    former: Former


def update(
    state: State, change: Change, run: str, mode: Mode = "local", threads: int = 1, past: Past | None = None
) -> Updated:
    """Return the state after a change.

    Parameters
    ----------
    state : State
        The clustering so far.
    change : Change
        Rows and decisions.
    run : str
        Name of the run, for lineage.
    mode : "local" or "attach"
        `local` solves touched communities again. `attach` only places new rows: no old row moves.
    threads : int
        Threads. They change no result.
    past : Past
        Ids that the state takes over; none means its own.

    Raises
    ------
    InputError
        The recipe can only be updated in full, no row would be left, or decisions contradict each other.
    """
    if past is None and (reason := why_not_local(state.config)):
        raise InputError(f"This run cannot be updated locally, because {reason}; --mode full runs everything again.")
    if len(np.unique(change.removed)) == state.is_alive.sum() and len(change.ids) == 0:
        raise InputError("The update removes all rows; nothing is left to cluster.")
    rows = with_rows(state, change, mode, threads)
    grown, edges = replace(rows.state, edges=rows.edges.edges), rows.edges
    decisions = state.records.decisions if change.decisions is None else change.decisions
    named = pc.if_else(pa.array(grown.is_alive), grown.ids, pa.scalar(None, grown.ids.type))
    deciding = change.deciding
    if deciding is None:
        deciding = extended(state.records.deciding, {}, len(change.ids))
    columns = replace(in_codes(deciding, grown.is_alive), copies=grown.copy_codes)
    rules, left_out = compiled(decisions, named, columns, change.on_conflict, change.yes)
    decided = _decided_anew(state.records.decisions, decisions, named)
    if deciding:
        decided = np.union1d(decided, out_of_place(grown.piece, rules))
    links, parted, firsts = with_parted(grown.edges, grown.original, grown.is_alive, rules.ties)
    linked = replace(grown, edges=links)
    touched = np.union1d(edges.touched, decided)
    touched = np.union1d(touched, parted[np.isin(firsts, touched)])
    reached = np.union1d(edges.reached, np.arange(state.num_rows, grown.num_rows))
    if past is None or rules.apart.value.shape[1]:
        piece, solution = placed(linked, touched, reached, edges.lost, rules, mode, state.num_rows)
    else:
        # A full run: nothing but rules is new, and few communities break them.
        own = None if len(parted) else grown.own
        solution = obeyed(*links.columns(), grown.piece.copy(), rules, own)
        piece = solution.communities
    whole = with_rejoined(grown, piece, *homes(state, piece), threads)
    cluster = joined(piece, whole, rules, grown.is_alive)
    before, former = _before(state, grown) if past is None else (past.before, past.former)
    cluster, suggestions = kept_apart(before, cluster, rules.ties)
    is_there = grown.is_alive[former.row]
    after = inherit(before, cluster, Former(former.row[is_there], former.id[is_there]))
    greedy = inherit(replace(before, confirmed=before.confirmed[:0]), cluster)
    events = lineage.events(before, cluster, after, run)
    counts = Counts(
        new=len(change.ids),
        removed=len(change.removed),
        searched=rows.num_searched,
        dirty=int((rows.is_changed[: state.num_rows] & grown.is_alive[: state.num_rows]).sum()),
        scored=int((rows.is_changed & grown.is_alive).sum()) if state.lists.score is not None else 0,
        touched=len(np.union1d(np.union1d(touched, reached), edges.lost)),
        solved=solution.solved,
        moved=int((grown.is_alive & (after.of_rows(cluster) != before.row_id)).sum()),
        rounds=solution.rounds,
        is_complete=solution.is_complete,
        violations=broken_rules(cluster, rules),
    )
    assert counts.violations == 0, "a rule is broken after the solve"
    records = Records(
        decisions,
        lineage.aliases(state.records.aliases, after, run),
        pa.concat_tables([state.records.lineage, events]).combine_chunks(),
        _former(former, state, after),
        deciding,
    )
    updated = replace(
        grown,
        piece=piece,
        whole=whole,
        row_id=after.of_rows(cluster),
        next_id=after.next_id,
        confirmed=np.intersect1d(state.confirmed, after.ids),
        records=records,
        own=None,
    )
    return Updated(
        updated,
        cluster,
        after,
        counts,
        events,
        lineage.summary(_alive_only(before, grown.is_alive), cluster),
        lineage.churn(before, cluster, after, greedy),
        suggestions,
        left_out,
        rows.is_changed,
        edges.gone,
        edges.came,
        advice(updated, state.num_rows, solution, threads),
        links,
    )


def _decided_anew(before: pa.Table, after: pa.Table, ids: pa.Array) -> Int32:
    """Rows of decisions that are in one of two tables and not in the other."""
    if before.equals(after):
        return np.empty(0, np.int32)
    found = in_rows(differing(before, after), ids)
    return np.unique(np.concatenate([found.one, found.other]))


def _before(state: State, grown: State) -> tuple[Before, Former]:
    """The clustering before, and rows of retired ids.

    A row that comes again under its old id is the old row.
    """
    ids, sizes = np.unique(state.row_id[state.is_alive & (state.row_id != NO_ID)], return_counts=True)
    again = np.full(state.num_rows, -1, np.int32)
    gone = np.flatnonzero(~grown.is_alive[: state.num_rows])
    new = grown.ids.slice(state.num_rows)
    place = pc.index_in(grown.ids.take(pa.array(gone)), value_set=new)
    has = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
    again[gone[has]] = state.num_rows + place.take(pa.array(has)).to_numpy()
    is_new = np.arange(grown.num_rows) >= state.num_rows
    is_new[again[again >= 0]] = False
    old = state.records.former
    row = np.where(grown.is_alive[old.row], old.row, again[np.minimum(old.row, state.num_rows - 1)]).astype(np.int32)
    former = Former(np.where(row >= 0, row, old.row).astype(np.int32), old.id)
    return Before(grown.row_id, is_new, ids, sizes, state.next_id, state.confirmed), former


def _alive_only(before: Before, is_alive: Bool) -> Before:
    """The same with removed rows counted as new, so that no summary counts them."""
    return replace(before, is_new=before.is_new | ~is_alive)


def _former(former: Former, state: State, after: Inheritance) -> Former:
    """Rows of retired ids: of this update, removed ones included, and of earlier ones."""
    rows = np.flatnonzero(np.isin(state.row_id, after.retired)).astype(np.int32)
    kept = ~np.isin(former.id, np.concatenate([after.restored, after.retired]))
    return Former(np.concatenate([former.row[kept], rows]), np.concatenate([former.id[kept], state.row_id[rows]]))


def facts_of(updated: Updated) -> dict[str, Any]:
    """Return the numbers of an update, JSON-ready."""
    return {
        **asdict(updated.counts),
        "clusters": int((updated.inheritance.ids != NO_ID).sum()),
        "lineage": asdict(updated.summary),
        "changed_ids": updated.churn.changed,
        "avoidable_changes": updated.churn.avoidable,
        "suggestions": len(updated.suggestions.into),
        "decisions_left_out": len(updated.left_out),
        "rebase": updated.advice,
    }
