"""A kNN table made elsewhere, imported, gives the labels of a search."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.pipeline import run as pipeline
from raycluster.storage.feature_import import import_features
from support.data import identities
from support.runs import labels

ROWS, K = 300, 12


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    vectors, _ = identities(30, ROWS // 30, 24)
    neighbor, similarity = exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, K)
    vectors.tofile(folder / "x.bin")
    np.savez(folder / "knn.npz", data=np.stack([neighbor, 1 - similarity], axis=1))
    import_features(str(folder / "x.bin"), str(folder / "out"), 24, knn=str(folder / "knn.npz"))
    return folder / "out"


def _config(source: Path | None, k: int = K) -> Config:
    where = {"source": str(source)} if source else {}
    return load_config("cosine", {"knn": {"k": k, **where}, "edges": {"threshold": 0.6}}, "test")


@pytest.mark.parametrize("shards", [1, 4])
def test_an_imported_table_gives_the_labels_of_a_search(imported: Path, tmp_path: Path, shards: int) -> None:
    execution = Execution(executor="local", shards=shards)
    pipeline.cluster(str(imported / "embeddings"), str(tmp_path / "a"), _config(imported / "knn"), execution)
    pipeline.cluster(str(imported / "embeddings"), str(tmp_path / "b"), _config(None), execution)
    assert labels(tmp_path / "a").equals(labels(tmp_path / "b"))


def test_a_table_of_other_rows_or_shorter_lists_is_refused(imported: Path, tmp_path: Path) -> None:
    execution = Execution(executor="local")
    with pytest.raises(InputError, match=r"lists 12 neighbors a row, but knn\.k is 20; pass --knn\.k 12"):
        pipeline.cluster(str(imported / "embeddings"), str(tmp_path / "a"), _config(imported / "knn", 20), execution)
    part = pq.read_table(imported / "embeddings").slice(0, 100)
    pq.write_table(part, tmp_path / "part.parquet")
    with pytest.raises(InputError, match="lists neighbors of 300 rows, but 100 rows take part"):
        pipeline.cluster(str(tmp_path / "part.parquet"), str(tmp_path / "b"), _config(imported / "knn"), execution)
