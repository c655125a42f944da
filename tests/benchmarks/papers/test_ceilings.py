"""Both readings of eq. 8 beside plain sets, and what a share of Top-K is."""

from pathlib import Path

import numpy as np

from benchmarks.measuring.sets import small
from benchmarks.papers import ceilings


def test_readings_differ_past_topk_alone_and_the_printed_one_keeps_those_pairs(tmp_path: Path) -> None:
    args = ceilings.Args((small(str(tmp_path), rows=300),), f"{tmp_path}/work", 24, shares=(0.25,), infomap_seeds=(1,))
    ((title, rows),) = ceilings.tables(args)
    assert title.endswith("K 24, theta 0.22")
    by = {(row["eq. 8"], row["predictor"]): row for row in rows}
    assert by["", "perfect edges"]["F_B"] >= max(row["F_B"] for row in rows)
    assert by["as printed", "perfect"]["F_B"] > by["without pairs past Top-K", "perfect"]["F_B"]
    at = ceilings.Ready.open(f"{tmp_path}/work/small-0-24")
    whole, quarter = ceilings.true_topk(at), ceilings.true_topk(at, 0.25)
    np.testing.assert_array_equal(quarter, np.maximum(1, np.rint(whole / 4)))
    printed, cut = ceilings.readings(at, quarter).values()
    truncated = np.minimum(24, 10 * -(-quarter // 10))
    past = np.arange(24) >= truncated[:, None]
    assert (cut[past] == 0).all()
    assert (printed[past] > 0).any()
    np.testing.assert_array_equal(printed[~past], cut[~past])
