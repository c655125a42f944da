import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import ROWS
from raycluster import pipeline
from raycluster.config import load_config
from raycluster.errors import ConfigError, InputError
from raycluster.pipeline import STAGES, Execution
from raycluster.run import Run
from raycluster.stages import edges
from raycluster.stages.topk import rounded
from runs import labels


@pytest.mark.parametrize("k", [1, 8, 10, 75, 80, 256])
def test_lengths_are_the_next_ten_but_no_more_than_k(k):
    topk = np.arange(1, k + 1)
    expected = [min(k, 10 * math.ceil(count / 10)) for count in topk.tolist()]
    assert rounded(topk, k).tolist() == expected


def test_lengths_are_int64_from_any_integer_type_and_never_below_the_count():
    for dtype in (np.int16, np.uint8, np.int64):
        found = rounded(np.array([1, 10, 11, 79, 80], dtype), 80)
        assert found.dtype == np.int64
        assert found.tolist() == [10, 10, 20, 80, 80]


def _run(source: str, output: Path, counts: pa.Table | None, shards: int = 1) -> Run:
    where = {}
    if counts is not None:
        path = output.with_suffix(".counts.parquet")
        pq.write_table(counts, path)
        where = {"topk": {"source": str(path)}}
    config = load_config("fc-es", {"knn": {"k": 30}, **where}, "test")
    pipeline.cluster(source, str(output), config, Execution(executor="local", shards=shards))
    return Run(str(output), STAGES)


def _counts(k: list[int], ids: list[int] | None = None) -> pa.Table:
    return pa.table({"id": pa.array(ids or list(range(len(k))), pa.int64()), "k": pa.array(k, pa.int32())})


def test_trusting_every_neighbor_is_the_same_as_no_counts(identities: str, tmp_path: Path) -> None:
    _run(identities, tmp_path / "without", None)
    _run(identities, tmp_path / "with", _counts([30] * ROWS))
    assert labels(tmp_path / "with").equals(labels(tmp_path / "without"))


def test_counts_are_found_by_id_and_truncate_the_walk_whatever_the_shards(identities: str, tmp_path: Path) -> None:
    k = np.random.default_rng(0).integers(1, 31, ROWS)
    order = np.random.default_rng(1).permutation(ROWS)
    straight = _run(identities, tmp_path / "straight", _counts(k.tolist()))
    shuffled = _run(identities, tmp_path / "shuffled", _counts(k[order].tolist(), order.tolist()), shards=4)
    assert labels(tmp_path / "straight").equals(labels(tmp_path / "shuffled"))
    out = np.bincount(edges.load(straight)["source"], minlength=ROWS)
    assert (out < rounded(k, 30)).all()
    everything = np.bincount(edges.load(_run(identities, tmp_path / "all", None))["source"], minlength=ROWS)
    assert (everything >= rounded(k, 30)).any()
    assert shuffled.table("topk", 3)["row"].to_numpy()[-1] == ROWS - 1


def test_counts_that_are_missing_or_below_one_are_refused(identities: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no count for 1 ids of the run, the first is 2499"):
        _run(identities, tmp_path / "short", _counts([5] * (ROWS - 1)))
    with pytest.raises(InputError, match="column 'k', row 7: a count is at least 1"):
        _run(identities, tmp_path / "low", _counts([5] * 7 + [0] * (ROWS - 7)))
    with pytest.raises(ConfigError, match=r"topk\.source has no use without edges\.rule early-stop"):
        load_config("cosine", {"topk": {"source": "counts.parquet"}}, "test")
