"""A layer holds what changed and no more; damage is named."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.errors import StorageError
from raycluster.identities import layers
from raycluster.identities.layers import loaded, saved
from raycluster.storage.object_store import Store
from support.living import BASE, base, updated


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A layer over the base state, which stands for a run folder of its own."""
    found = updated(base(), range(BASE, BASE + 10), removed=[3])
    num_bytes = saved(Store(str(tmp_path)), "base", base(), found)
    whole = layers.loaded
    monkeypatch.setattr(layers, "previous_of", lambda url: "base")
    monkeypatch.setattr(layers, "loaded", lambda url: base() if url == "base" else whole(url))
    return tmp_path, found, num_bytes


def test_a_layer_holds_the_rows_that_changed(stored):
    folder, found, num_bytes = stored
    assert pq.read_table(folder / "state/rows.parquet")["id"].to_pylist() == list(range(BASE, BASE + 10))
    rows = pq.read_table(folder / "state/lists.parquet")["row"].to_numpy()
    np.testing.assert_array_equal(rows, np.flatnonzero(found.is_relisted))
    assert len(rows) < BASE / 2
    assert num_bytes == sum(path.stat().st_size for path in (folder / "state").iterdir())


def test_a_state_comes_back(stored):
    folder, found, _ = stored
    state = loaded(str(folder))
    np.testing.assert_array_equal(state.row_id, found.state.row_id)
    np.testing.assert_array_equal(state.edges.key(), found.state.edges.key())
    np.testing.assert_array_equal(state.is_alive, found.state.is_alive)
    np.testing.assert_array_equal(state.vectors, found.state.vectors)
    alive = found.state.is_alive
    listed = np.where(alive[state.lists.neighbor], state.lists.neighbor, -1)
    np.testing.assert_array_equal(listed, found.state.lists.neighbor)


def test_damage_is_named(stored):
    folder, _, _ = stored
    (folder / "state/edges.parquet").write_bytes(b"nothing")
    with pytest.raises(StorageError, match=r"state/edges\.parquet was changed or damaged"):
        loaded(str(folder))
    (folder / "state.json").write_text("[]")
    with pytest.raises(StorageError, match=r"state\.json was changed or damaged"):
        loaded(str(folder))
