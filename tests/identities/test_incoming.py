"""New rows are read and compared with those that are there."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.identities.incoming import incoming, rows_of
from support.living import base, rows


def written(path, ids, vectors, kind=None):
    table = {"id": pa.array(ids, kind), "embedding": pa.array(list(vectors), pa.list_(pa.float32()))}
    pq.write_table(pa.table(table), path)
    return str(path)


def test_new_changed_and_equal_rows(tmp_path):
    vectors = rows()[0]
    path = written(tmp_path / "a.parquet", [300, 5, 7, 270], [vectors[290], vectors[5], vectors[299], 3 * vectors[270]])
    found = incoming(base(), [path], None)
    assert found.ids.to_pylist() == [7, 270, 300]
    assert found.removed.tolist() == [7]
    assert found.num_same == 1
    np.testing.assert_allclose(found.vectors[1], vectors[270], atol=1e-6)


def test_ids_to_delete(tmp_path):
    pq.write_table(pa.table({"id": pa.array([9, 4, 4, 1000])}), tmp_path / "gone.parquet")
    found = incoming(base(), [], str(tmp_path / "gone.parquet"))
    assert (found.removed.tolist(), found.num_unknown, len(found.ids)) == ([4, 9], 1, 0)
    pq.write_table(pa.table({"name": pa.array([9])}), tmp_path / "gone.parquet")
    with pytest.raises(InputError, match="has no column 'id'"):
        incoming(base(), [], str(tmp_path / "gone.parquet"))


def test_what_does_not_fit_is_refused(tmp_path):
    wide = written(tmp_path / "wide.parquet", [400], np.ones((1, 5), np.float32))
    with pytest.raises(InputError, match="have 5 coordinates, but those of the run have 32"):
        incoming(base(), [wide], None)
    text = written(tmp_path / "text.parquet", ["x"], rows()[0][:1], pa.string())
    with pytest.raises(InputError, match="are string, but those of the run are int64"):
        incoming(base(), [text], None)
    one = written(tmp_path / "one.parquet", [400], rows()[0][:1])
    with pytest.raises(InputError, match="An id occurs in two of the inputs"):
        incoming(base(), [one, one], None)


def test_rows_of_ids():
    assert rows_of(base(), pa.array([7, 999, 0])).tolist() == [7, -1, 0]


@pytest.mark.parametrize("vector", [4, 200])
def test_an_id_that_comes_and_goes_is_refused(tmp_path, vector):
    """Whether the row is the same or replaces the old one."""
    pq.write_table(pa.table({"id": pa.array([9, 4])}), tmp_path / "gone.parquet")
    new = written(tmp_path / "new.parquet", [4, 400], rows()[0][[vector, 201]])
    with pytest.raises(InputError, match=r"The id 4 is in an input and in .*gone.parquet; leave it out of one of them"):
        incoming(base(), [new], str(tmp_path / "gone.parquet"))
