"""Updates against full runs, and their promises: ids stay, nothing changes without reason, decisions hold."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import InputError
from raycluster.identities.decisions import added, undone
from raycluster.identities.grown import Change
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.state import from_tables
from raycluster.identities.update import facts_of, update
from raycluster.stages.communities import identities_of
from support.decided import decided
from support.living import BASE, ROWS, base, by_id, names, rows, tables_of, updated


def agreement(one, other):
    """Share of pairs that are together in either partition which are together in both."""
    a, b = one[:, None] == one[None], other[:, None] == other[None]
    upper = np.triu(np.ones(a.shape, bool), 1)
    return (a & b & upper).sum() / max(((a | b) & upper).sum(), 1)


@pytest.mark.parametrize("batches", [1, 3, 10])
def test_batches_end_where_a_full_run_ends(batches):
    state = base()
    bounds = np.linspace(BASE, ROWS, batches + 1).astype(int)
    for begin, end in itertools.pairwise(bounds):
        found = updated(state, range(begin, end))
        assert found.churn.avoidable == 0
        state = found.state
    full = identities_of(tables_of(rows()[0]))
    assert agreement(full, found.cluster) > 0.97


def test_ids_stay_and_lineage_tells_what_changed():
    before = names(base())
    found = updated(base(), range(BASE, ROWS))
    after = names(found.state)
    stayed = [row for row in before if before[row] != NO_ID]
    assert np.mean([after[row] == before[row] for row in stayed]) > 0.95
    assert (sum(after[row] != before[row] for row in stayed)) == found.churn.changed
    assert found.counts.new == ROWS - BASE
    assert found.counts.searched == ROWS - BASE
    assert "grown" in found.events["event"].to_pylist()
    assert facts_of(found)["violations"] == 0


def test_nothing_to_do_changes_nothing():
    found = updated(base())
    assert found.events.num_rows == 0
    assert found.counts.solved == 0
    np.testing.assert_array_equal(found.state.row_id, base().row_id)
    np.testing.assert_array_equal(found.state.piece, base().piece)
    assert found.summary.unchanged == len(np.unique(base().piece))


def test_deleted_and_added_again_is_the_same():
    gone = sorted({*range(0, BASE, 7), *range(30, 36)})
    without = updated(base(), removed=gone)
    assert without.state.is_alive.sum() == BASE - len(gone)
    assert (without.state.row_id[gone] == NO_ID).all()
    again = updated(without.state, new=gone)
    assert names(again.state) == names(base())
    assert by_id(again.state, again.cluster) == by_id(base(), base().piece)


def test_a_deletion_takes_the_row_out_of_lists_and_edges():
    found = updated(base(), removed=[5, 17])
    state = found.state
    assert not np.isin(state.lists.neighbor, [5, 17]).any()
    assert not np.isin(state.edges.source, [5, 17]).any()
    assert not np.isin(state.edges.target, [5, 17]).any()
    kept = np.setdiff1d(np.arange(BASE), [5, 17])
    full = from_tables(tables_of(rows()[0][kept], pa.array(kept)))
    back = {row: at for at, row in enumerate(kept.tolist())}
    own = {(back[a], back[b]) for a, b in zip(state.edges.source.tolist(), state.edges.target.tolist(), strict=True)}
    assert own == set(zip(full.edges.source.tolist(), full.edges.target.tolist(), strict=True))


def test_attach_moves_no_old_row():
    found = updated(base(), range(BASE, ROWS), mode="attach")
    old = base().piece
    np.testing.assert_array_equal(found.state.piece[:BASE][:, None] == found.state.piece[:BASE], old[:, None] == old)
    truth = rows()[1]
    homes = [truth[:BASE][found.cluster[:BASE] == found.cluster[row]] for row in range(BASE, ROWS)]
    right = [
        bool(len(home)) and np.bincount(home).argmax() == truth[row]
        for row, home in zip(range(BASE, ROWS), homes, strict=True)
    ]
    assert np.mean(right) > 0.8


def test_decisions_hold_and_undoing_gives_the_start():
    truth, start = rows()[1][:BASE], base()
    cluster = start.piece
    apart = np.flatnonzero(cluster == np.bincount(cluster).argmax())[:2]
    strangers = [int(np.flatnonzero(truth == 1)[0]), int(np.flatnonzero(truth == 2)[0])]
    table = decided([(*apart.tolist(), False, 1), (*strangers, True, 2)])
    found = updated(start, decisions=added(start.records.decisions, table))
    assert found.cluster[apart[0]] != found.cluster[apart[1]]
    assert found.cluster[strangers[0]] == found.cluster[strangers[1]]
    assert found.counts.violations == 0
    later = updated(found.state, range(BASE, ROWS))
    assert later.cluster[apart[0]] != later.cluster[apart[1]]
    assert later.cluster[strangers[0]] == later.cluster[strangers[1]]
    empty = undone(found.state.records.decisions, [tuple(apart.tolist()), tuple(strangers)])
    back = updated(found.state, decisions=empty)
    assert names(back.state) == names(start)
    assert by_id(back.state, back.cluster) == by_id(start, start.piece)


def test_contradictions_stop():
    table = decided([(0, 1, True, 0), (1, 2, True, 0), (0, 2, False, 0)])
    with pytest.raises(InputError, match=r"0 = 1 .*1 = 2 .*but 0 ≠ 2"):
        updated(base(), decisions=table)
    found = updated(base(), decisions=table, on_conflict="drop")
    assert len(found.left_out) == 3


def test_many_new_rows_advise_a_full_run():
    assert updated(base(), range(BASE, ROWS)).advice[0].startswith("25% of the rows are new")


def test_recipes_that_cannot_be_updated_locally_are_refused():
    state = from_tables(tables_of(rows()[0][:BASE], recipe="components"))
    with pytest.raises(InputError, match="cannot be updated locally, because connected components"):
        updated(state, [BASE])


def test_a_row_without_an_edge_comes_and_goes():
    """Nothing is searched again when it goes."""
    vectors = rows()[0]
    far = -vectors.mean(axis=0, keepdims=True)
    far /= np.linalg.norm(far)
    came = update(base(), Change(pa.array([1000]), far, np.empty(0, np.int32)), "run").state
    assert came.row_id[BASE] == NO_ID
    gone = update(came, Change(pa.array([], pa.int64()), far[:0], np.array([BASE], np.int32)), "run")
    assert (gone.counts.searched, gone.counts.solved) == (0, 0)
    assert names(gone.state) == names(base())


def test_all_rows_may_not_go():
    with pytest.raises(InputError, match="removes all rows"):
        updated(base(), removed=range(BASE))


@pytest.mark.parametrize("size", [1, 2, 3, 14])
def test_sets_of_any_size_go_on(size):
    state = from_tables(tables_of(rows()[0][:size]))
    found = updated(state, range(size, size + 40))
    assert found.state.num_rows == size + 40
    assert found.counts.violations == 0
    replaced = updated(state, range(size, size + 5), removed=range(size))
    assert replaced.state.is_alive.sum() == 5
