"""What the comparisons on one source are made of: sets of other identities, and pairs that only the limits choose."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.papers._laboratory import Laboratory, Sizes, generated, point_of, split_in_three
from support import labelled


def test_a_labelled_set_is_split_by_identity(tmp_path: Path) -> None:
    written = labelled.written(tmp_path)
    labels = [
        set(pq.read_table(path)["label"].to_pylist()) for path in split_in_three(str(tmp_path / "three"), written)
    ]
    assert all(labels)
    assert not labels[0] & labels[1] | labels[0] & labels[2] | labels[1] & labels[2]
    everyone = set(pq.read_table(written)["label"].to_pylist()) - {None}
    assert set().union(*labels) == everyone


def test_bounds_and_pairs_of_a_small_set(tmp_path: Path) -> None:
    train = generated(str(tmp_path), 300, 1, 10)
    assert generated(str(tmp_path), 300, 1, 10) == train
    at = Laboratory(str(tmp_path), train, train, train, Sizes(10, 3, 3)).ready("fc-es", "test")
    theta = at.best_theta()
    floor = at.floor(theta)
    pairs = at.pairs(theta, floor)
    assert pairs.any()
    assert (at.nep[pairs] >= floor).all()
    left = at.pairs(theta, np.float32(np.finfo(np.float32).tiny)) & at.same
    assert 0.95 <= (left & pairs).sum() / left.sum() < 1
    walk, perfect = at.clustered(theta, None, 1.0, (1,)), at.clustered(theta, at.perfect(), 0.5, (1,))
    assert perfect["F_B"] > walk["F_B"]
    score = np.where(pairs, at.same.astype(np.float32), np.float32(np.nan))
    point = point_of(at, score, theta, (0.5, 0.9), (1,))
    assert point["pair AP"] == 100
    assert point["pairs"] == pairs.sum()
    assert point["F_B"] == point["by eta"]["0.9"]["F_B"] >= walk["F_B"]
