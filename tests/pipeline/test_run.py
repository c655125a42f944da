"""The pipeline, assembled once: the same labels wherever tables lie, and what a process makes only once."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.config.load import load_config, recipe_names
from raycluster.executors.progress import Silence
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.models import opened
from raycluster.models.compiled import relative
from raycluster.models.requirements import with_model
from raycluster.pipeline import run as pipeline
from raycluster.stages import STAGES, edges
from raycluster.stages.labels import labels_of
from raycluster.storage.array_tables import ArrayTables
from support import tiny

FORMS: dict[str, Any] = {
    "auto": ("relative", "none"), "auto-tuned": ("relative", "none"), "sdt-row": ("row", "mixture"),
    "hard-clusters": ("row", "none"), "fc-eser": ("pair", "none"), "fc-es-topk": ("none", "none"),
    "diff-cluster": ("pair", "mixture"), "diff-cluster-checked": ("pair", "mixture"), "diff-cluster-gram": ("pair", "mixture"),
    "diff-cluster-vanilla": ("pair", "none"), "diff-cluster-vanilla-topk": ("pair", "topk"),
    "diff-cluster-differential": ("pair", "none"), "diff-cluster-sdt": ("pair", "topk"),
    "face-transformer": ("linkage", "none"), "face-transformer-only-re": ("distance", "none"),
    "face-transformer-only-lp": ("linkage", "none"), "lcepce": ("row", "none"), "lcepce-differential": ("row", "none"),
}  # fmt: skip
"""Form and mask of the predictor of each recipe with a network; the others have none."""
ETA = {"auto": 0.3, "auto-tuned": 0.3, "face-transformer-only-re": 0.98}
"""Limits at which random weights find neither one cluster nor none."""
CALIBRATED = {"theta": 0.45, "floor": 0.03, "eta": 0.5, "closeness": 0.3}


def model_keys(folder: Path, recipe: str) -> dict[str, Any]:
    """Keys that name a tiny model of the recipe, written to `folder`; none where it needs none."""
    if recipe not in FORMS:
        return {}
    form, mask = FORMS[recipe]
    hop2 = 0 if recipe == "face-transformer-only-lp" else 5
    tiny.model(folder / "model", form, mask, recipe=recipe, hop2=hop2, thresholds=CALIBRATED)
    limit = {"edges": {"eta": ETA[recipe]}} if recipe in ETA else {}
    return {"model": str(folder / "model"), **limit}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_gives_the_labels_of_the_job_in_memory(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relative, "CERTAIN_LOGIT", np.inf)  # random weights are certain at once
    keys = model_keys(tmp_path, recipe)
    run = tiny.run(tmp_path, recipe, 3, **keys)
    config = with_model(load_config(recipe, {**keys, "knn": {"k": tiny.K}}, "test"))
    tables = pipeline.in_memory(np.array(run.column("ingest", "embedding", "float32")), config, 2)
    pipeline.run_stages(tables, pipeline.LOCAL, Silence())
    for name in ("cluster_id", "strength", "is_outlier", "is_representative", "margin"):
        here, there = tables.block("labels", 0, [name])[name], tiny.column(run, "labels", name)
        np.testing.assert_array_equal(np.asarray(here), there, err_msg=name)
    assert 1 < len(set(tiny.column(run, "labels", "cluster_id").tolist())) < tiny.ROWS


def test_recipes_of_these_tests_are_all_that_there_are() -> None:
    assert len(recipe_names()) == 23
    assert {name for name in recipe_names() if load_config(name).needs_model} == set(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["sdt-row", "diff-cluster", "face-transformer"])
def test_models_are_loaded_lists_grouped_and_edges_gathered_once_per_process(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = model_keys(tmp_path, recipe)
    counts = {"loaded": 0, "grouped": 0, "gathered": 0}
    load, group, passes = opened.load_network, InvertedFile.group, edges.passes_limits

    def counted_load(*arguments: Any) -> Any:
        counts["loaded"] += 1
        return load(*arguments)

    def counted_group(*arguments: Any) -> Any:
        counts["grouped"] += 1
        return group(*arguments)

    def counted_passes(*arguments: Any) -> Any:
        counts["gathered"] += 1
        return passes(*arguments)

    monkeypatch.setattr(opened, "load_network", counted_load)
    monkeypatch.setattr(InvertedFile, "group", counted_group)
    monkeypatch.setattr(edges, "passes_limits", counted_passes)
    run = tiny.run(tmp_path, recipe, 5, **keys, knn={"index": "ivf", "lists": 25, "probes": 3})
    shards = len(run.bounds) - 1
    networks = {"sdt-row": 2, "diff-cluster": 2, "face-transformer": 1}[recipe]
    assert shards == 5
    assert counts == {"loaded": networks, "grouped": 1, "gathered": shards}


def test_a_fork_starts_from_given_results_and_runs_what_is_downstream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny.run(tmp_path, "cosine", 3, edges={"threshold": 0.5})
    neighbors = {name: run.column("knn", name) for name in ("neighbor", "similarity")}
    moved = load_config("cosine", {"knn": {"k": tiny.K}, "edges": {"threshold": 0.7}}, "test")
    stages_opened: list[str] = []
    for stage in STAGES:
        function = stage.open
        monkeypatch.setitem(
            vars(stage),
            "open",
            lambda tables, name=stage.name, plain=function: (stages_opened.append(name), plain(tables))[1],
        )
    tables = pipeline.fork(run, moved, {"knn": neighbors})
    pipeline.run_stages(tables, pipeline.LOCAL, Silence())
    assert stages_opened == ["edges", "communities", "labels"]
    fresh = tiny.run(tmp_path, "cosine", name="fresh", edges={"threshold": 0.7})
    np.testing.assert_array_equal(labels_of(tables).cluster_id, tiny.column(fresh, "labels", "cluster_id"))


def test_arrays_with_ids_keep_them_in_their_labels() -> None:
    config = load_config("cosine", {"knn": {"k": 5}, "edges": {"threshold": 0.5}}, "test")
    ids = pa.array([f"row {number}" for number in range(tiny.ROWS)])
    tables = pipeline.in_memory(tiny.rows().astype(np.float32), config, 1, ids=ids)
    assert isinstance(tables, ArrayTables)
    pipeline.run_stages(tables, pipeline.LOCAL, Silence())
    assert tables.block("labels", 0, ["id"])["id"].to_pylist() == ids.to_pylist()
