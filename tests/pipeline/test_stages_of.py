"""The stages of a finished run as its readers open them."""

from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.pipeline.clean import clean
from raycluster.pipeline.run import cluster
from raycluster.pipeline.stages_of import stages_of
from raycluster.stages.ingest import vectors_of
from support import labelled

CONFIG = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.6}}, "test")


def test_tables_are_read_and_copies_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path / "scratch"))
    run = str(tmp_path / "run")
    cluster(labelled.written(tmp_path), run, CONFIG, Execution("local"))
    with stages_of(run) as tables:
        vectors = vectors_of(tables)
        assert list((tmp_path / "scratch").iterdir())
    assert vectors.shape == (labelled.ROWS, 16)
    assert list((tmp_path / "scratch").iterdir()) == []
    clean(run, "results")
    with pytest.raises(InputError, match="its stages were cleaned away"), stages_of(run) as tables:
        vectors_of(tables)
    with pytest.raises(InputError, match="has no stages of its own"), stages_of(str(tmp_path)):
        pass
