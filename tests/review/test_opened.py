"""A finished run opened for review, and an update of it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.identities.job import Order, update_run
from raycluster.review.opened import Opened, clusters_of
from support import tiny
from support.living import base
from support.runs import labels


def test_clusters_and_ids_are_those_that_were_published(tmp_path):
    tiny.run(tmp_path, "cosine")
    run = str(tmp_path / "run")
    opened, table = Opened.of(run), labels(run)
    assert opened.state.ids.to_pylist() == table["id"].to_pylist()
    assert opened.cluster_id[opened.cluster].tolist() == table["cluster_id"].to_pylist()
    assert opened.size[opened.cluster].tolist() == table["cluster_size"].to_pylist()
    assert np.isnan(opened.strength).tolist() == table["strength"].is_null().to_pylist()


def test_an_update_is_opened_without_the_rows_that_are_gone(tmp_path):
    tiny.run(tmp_path, "cosine")
    pq.write_table(pa.table({"id": [3, 4]}), tmp_path / "gone.parquet")
    update_run(str(tmp_path / "run"), str(tmp_path / "next"), Order(delete=str(tmp_path / "gone.parquet"), threads=1))
    opened = Opened.of(str(tmp_path / "next"))
    assert set(range(tiny.ROWS)) - set(opened.rows.tolist()) == {3, 4}
    assert opened.size.sum() == tiny.ROWS - 2
    there = opened.cluster[opened.rows]
    table = labels(tmp_path / "next")
    assert (
        np.where(opened.cluster_id[there] < 0, None, opened.cluster_id[there]).tolist()
        == table["cluster_id"].to_pylist()
    )


def test_rows_without_a_published_id_are_alone():
    state = base()
    published = np.full(state.num_rows, -1)
    published[:2] = 7
    cluster = clusters_of(state, published)
    assert cluster[0] == cluster[1]
    assert len(np.unique(cluster)) == state.num_rows - 1
