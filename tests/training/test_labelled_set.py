"""What training may see: pairs of one identity, pairs that may be learned from, and a split by identity."""

from pathlib import Path

import numpy as np
import pytest

from raycluster.errors import InputError
from raycluster.evaluation.truth import UNKNOWN
from raycluster.training.labelled_set import LabelledSet
from support.labelled import ROWS, K, labels, opened


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> LabelledSet:
    return opened(tmp_path_factory.mktemp("set"))


def test_identities_are_numbered_sized_and_unknown_where_the_label_is_null(labelled: LabelledSet) -> None:
    told = labels()
    for i in range(ROWS):
        assert (labelled.identity[i] == UNKNOWN) == (told[i] is None)
        assert labelled.size[i] == (0 if told[i] is None else told.count(told[i]))
        for j in range(i):
            if told[i] is not None and told[j] is not None:
                assert (labelled.identity[i] == labelled.identity[j]) == (told[i] == told[j])


def test_pairs_are_those_of_the_labels_one_by_one(labelled: LabelledSet) -> None:
    told = labels()
    rows = np.flatnonzero(labelled.identity != UNKNOWN)
    same, usable, judged = (
        labelled.same(rows),
        labelled.usable(rows, held_out=False),
        labelled.usable(rows, held_out=True),
    )
    for at, i in enumerate(rows):
        for rank in range(K):
            j = labelled.neighbor[i, rank]
            assert same[at, rank] == (told[i] == told[j])
            assert judged[at, rank] == (rank > 0 and told[j] is not None)
            assert usable[at, rank] == (judged[at, rank] and not labelled.held_out[j])


def test_a_split_parts_identities_not_rows(labelled: LabelledSet) -> None:
    training, held_out = labelled.anchors(held_out=False), labelled.anchors(held_out=True)
    with_label = np.flatnonzero(labelled.identity != UNKNOWN)
    np.testing.assert_array_equal(np.sort(np.concatenate([training, held_out])), with_label)
    assert set(labelled.identity[training]).isdisjoint(labelled.identity[held_out])
    assert len(training) > len(held_out) > 0


def test_the_split_follows_the_seed_and_not_the_order_of_rows(labelled: LabelledSet, tmp_path: Path) -> None:
    shuffled = opened(tmp_path / "shuffled", order=np.random.default_rng(0).permutation(ROWS))
    np.testing.assert_array_equal(shuffled.held_out, labelled.held_out)
    np.testing.assert_array_equal(shuffled.identity, labelled.identity)
    other = opened(tmp_path / "other", seed=1)
    assert not np.array_equal(other.held_out, labelled.held_out)


@pytest.mark.slow
def test_neither_side_of_two_identities_is_empty(tmp_path: Path) -> None:
    for seed in range(3):
        found = opened(tmp_path / str(seed), seed=seed, folds=2, label=[row % 2 for row in range(ROWS)])
        assert len(found.anchors(held_out=True)) == len(found.anchors(held_out=False)) == ROWS // 2


def test_fewer_identities_than_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gives only 2 identities; training holds out one of 3 parts"):
        opened(tmp_path, label=[row % 2 for row in range(ROWS)])


def test_chunks_are_all_rows_in_order(labelled: LabelledSet) -> None:
    chunks = list(labelled.chunks(np.arange(ROWS), size=50))
    assert [len(chunk) for chunk in chunks] == [50, 50, 20]
    np.testing.assert_array_equal(np.concatenate(chunks), np.arange(ROWS))
