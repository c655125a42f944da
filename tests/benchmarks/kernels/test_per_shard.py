"""The benchmark of one shard: its table, its slopes, and every kernel measured at two sizes."""

import numpy as np

from benchmarks.kernels import per_shard


def test_rows_list_themselves_first_and_stay_within_their_window() -> None:
    table = per_shard.lists(1000, 20, 400)
    own = np.arange(1000)
    assert (table.neighbor[:, 0] == own).all()
    assert (table.neighbor // 400 == own[:, None] // 400).all()
    assert (np.diff(table.similarity, axis=1) <= 0).all()
    anywhere = per_shard.lists(1000, 20)
    assert (anywhere.neighbor // 400 != own[:, None] // 400).mean() > 0.2
    assert ((anywhere.neighbor >= 0) & (anywhere.neighbor < 1000)).all()


def test_slopes_of_what_grows_and_of_what_does_not() -> None:
    assert per_shard.slope((10, 20, 40), [1.0, 2.0, 4.0]) == 1
    assert per_shard.slope((10, 20, 40), [3.0, 3.0, 3.0]) == 0
    assert per_shard.slope((10,), [3.0]) is None


def test_every_kernel_is_measured_at_every_size() -> None:
    args = per_shard.Args(rows=(600, 1200), shard=100, k=12, shards=2, window=600)
    (_, sets), (_, kernels) = per_shard.tables(args)
    assert [row["rows"] for row in sets] == [600, 1200]
    assert [row["kernel"] for row in kernels] == list(per_shard.works(per_shard.lists(200, 5)))
    assert all(row["ms at 600"] >= 0 and len(row["MiB"]) == 2 for row in kernels)
