"""Runs as the report reads them."""

import shutil

import numpy as np
import pytest

from raycluster.errors import InputError
from raycluster.pipeline.clean import clean
from raycluster.review.opened_run import OpenedRun


def test_clusters_are_numbered_by_their_ids(cosine_run):
    run = OpenedRun.of(cosine_run)
    published = run.labels["cluster_id"].to_numpy()
    assert np.array_equal(run.names[run.cluster], published)
    assert np.array_equal(run.size, np.bincount(published))
    clusters = run.results.table("clusters.parquet")
    assert run.exit_weight == pytest.approx(clusters["outer_weight"].to_numpy().sum())


def test_without_a_run_or_its_stages(cosine_run, tmp_path):
    with pytest.raises(InputError, match=r"no MANIFEST\.json"):
        OpenedRun.of(str(tmp_path))
    copy = str(tmp_path / "copy")
    shutil.copytree(cosine_run, copy)
    clean(copy, "results")
    cleaned = OpenedRun.of(copy)
    assert cleaned.tables is None
    assert "gone" in cleaned.without or "cleaned" in cleaned.without
    assert cleaned.labels.num_rows == 2500
