"""Cleaning a run folder keeps what is needed and touches nothing that raycluster did not write."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.errors import DamagedError, InputError
from raycluster.executors.progress import Silence
from raycluster.pipeline.clean import clean
from raycluster.pipeline.run import cluster, opened, run_stages
from support import labelled

LOCAL = Execution("local", shards=2)
CONFIG = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.6}}, "test")
OTHER = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.7}}, "test")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return labelled.written(tmp_path)


def objects(run: Path) -> dict[str, int]:
    """Files of a run folder and when they were written."""
    return {str(path.relative_to(run)): path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}


def test_results_stay_readable_without_the_stages(source: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cluster(source, str(run), CONFIG, LOCAL)
    before, labels = objects(run), pq.read_table(run / "labels")
    planned = clean(str(run), "results", dry_run=True)
    assert objects(run) == before
    removed = clean(str(run), "results")
    assert removed == planned
    assert removed.objects == len(before) - len(objects(run)) > 0
    assert not any(name.startswith("stages/") for name in objects(run))
    assert pq.read_table(run / "labels").equals(labels)


def test_resuming_keeps_what_the_present_plan_reads_and_drops_what_another_wrote(source: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cluster(source, str(run), OTHER, LOCAL)
    searched = {
        name: when for name, when in objects(run).items() if name.startswith("stages/knn/") and "/part-" in name
    }
    cluster(source, str(run), CONFIG, Execution("local", shards=2, replan=True))
    edges = {name.split("/")[2] for name in objects(run) if name.startswith("stages/edges/")}
    assert len(edges) == 2
    assert clean(str(run), "resume").objects > 0
    assert len({name.split("/")[2] for name in objects(run) if name.startswith("stages/edges/")}) == 1
    assert searched.items() <= objects(run).items()
    assert clean(str(run), "resume").objects == 0


@pytest.mark.parametrize("name", ["MANIFEST.json", "labels/part-00000.parquet", "clusters.parquet"])
@pytest.mark.parametrize("is_there", [True, False])
def test_stages_stay_where_results_are_damaged(source: str, tmp_path: Path, name: str, is_there: bool) -> None:
    run = tmp_path / "run"
    cluster(source, str(run), CONFIG, LOCAL)
    labels = pq.read_table(run / "labels")
    (run / name).write_bytes((run / name).read_bytes()[:40])
    if not is_there:
        (run / name).unlink()
    before = objects(run)
    with pytest.raises((DamagedError, InputError), match=name if is_there or name != "MANIFEST.json" else "no results"):
        clean(str(run), "results")
    assert objects(run) == before
    cluster(source, str(run), CONFIG, LOCAL)
    assert pq.read_table(run / "labels").equals(labels)


def test_a_damaged_marker_keeps_a_complete_run_from_nothing(source: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cluster(source, str(run), CONFIG, LOCAL)
    for marker in [*run.glob("stages/knn/*/done/00000.json"), *run.glob("stages/knn/*/markers.json")]:
        marker.write_bytes(b"")
    clean(str(run), "resume")
    assert cluster(source, str(run), CONFIG, LOCAL)["rows"] == pq.read_table(run / "labels").num_rows


def test_files_of_others_stay(source: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cluster(source, str(run), CONFIG, LOCAL)
    (run / "stages" / "notes.txt").write_text("mine")
    (run / "stages" / "knn" / "figure.png").write_bytes(b"mine")
    clean(str(run), "results")
    assert {name for name in objects(run) if name.startswith("stages/")} == {
        "stages/notes.txt",
        "stages/knn/figure.png",
    }


def test_results_of_a_run_that_is_not_finished_cannot_be_kept(source: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with opened(source, str(run), CONFIG, LOCAL, Silence()) as tables:
        run_stages(tables, LOCAL, Silence(), until="knn")
    before = objects(run)
    with pytest.raises(InputError, match="holds no finished run: there are no results to keep"):
        clean(str(run), "results")
    assert objects(run) == before
