"""What a worker needs: its process, and what its stage declares."""

from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.executors.progress import Silence
from raycluster.pipeline.needs import PROCESS_BYTES, worker_bytes
from raycluster.pipeline.run import opened, run_stages
from raycluster.stages import stage_named, wanted_stages
from support import labelled

CONFIG = load_config("cosine", {"knn": {"k": 5}}, "test")


@pytest.mark.parametrize("until", [None, "embeddings"])
def test_every_stage_has_a_need_before_and_after_the_rows_are_counted(tmp_path: Path, until: str | None) -> None:
    execution = Execution("local", shards=4)
    with opened(labelled.written(tmp_path), str(tmp_path / "run"), CONFIG, execution, Silence()) as tables:
        if until is not None:
            run_stages(tables, execution, Silence(), until=until)
        for stage in wanted_stages(CONFIG):
            assert PROCESS_BYTES <= worker_bytes(stage, tables)(1) < 2 * PROCESS_BYTES
        more = worker_bytes(stage_named("knn"), tables)
        assert more(8) >= more(1)
