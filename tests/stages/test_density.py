"""The density stage in runs: what it is made from, that shards and order change nothing, and what edges make of it."""

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.config.stages import CommunitiesConfig, Config, DensityConfig, EdgesConfig
from raycluster.evaluation.evaluate import evaluate
from raycluster.kernels.edge_rules import connectivity, least_connectivity
from raycluster.kernels.neighborhoods import diffusion as kernel
from raycluster.kernels.neighborhoods.nep import exponential_probability
from raycluster.kernels.neighborhoods.tpdi import closeness
from raycluster.pipeline import run as pipeline
from raycluster.stages import density
from raycluster.stages.density import DENSITY
from raycluster.storage import schemas
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Task
from support import tiny
from support.labelled import written

PEAKS: dict[str, Any] = {"edges": {"rule": "density-peaks"}, "communities": {"engine": "components"}}
KEYS: dict[str, dict[str, Any]] = {
    "cosine": PEAKS,
    "probability": {**PEAKS, "density": {"similarity": "probability"}},
    "one step": {**PEAKS, "density": {"steps": 1, "nearest": 5}},
    "as printed": {**PEAKS, "edges": {"rule": "density-peaks", "sigma": None}, "density": {"sigma": None}},
    "standard": {"density": {"kind": "volume", "nearest": 5}, "communities": PEAKS["communities"],
                 "edges": {"rule": "density-peaks", "distance": "cosine"}},
    "damped": {**PEAKS, "density": {"damping": 0.1}},
    "ball": {"density": {"kind": "ball", "radius": 0.4}, "communities": PEAKS["communities"],
             "edges": {"rule": "density-peaks", "distance": "cosine"}},
    "lcepce": {"edges": {"closeness": 0.3}},
    "sdt-row": PEAKS,
    "hard-clusters": {},
}  # fmt: skip
"""What is laid over the recipe of that name, or over cosine."""
SCORED = ("sdt-row", "hard-clusters", "lcepce")
"""Those with a model."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., StoredTables]]:
    """A function that clusters 150 rows by one of KEYS and returns the run."""
    root = tmp_path_factory.mktemp("density")
    tiny.model(root / "sdt-row")
    for recipe in ("hard-clusters", "lcepce"):
        tiny.model(root / recipe, mask="none", recipe=recipe)

    @functools.cache
    def finish(name: str, shards: int = 1) -> StoredTables:
        known: dict[str, Any] = {"model": str(root / name)} if (root / name).exists() else {}
        return tiny.run(root, name if known else "cosine", shards, name=f"{name}-{shards}", **KEYS[name], **known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYCLUSTER_SCRATCH", str(tmp_path_factory.mktemp("scratch")))
        yield finish


def given(run: StoredTables, name: str) -> Any:
    """Similarities in 0..1 (N, K) as the documentation of DensityConfig says, NaN where there is no neighbor."""
    similarity = tiny.column(run, "knn", "similarity")
    if name == "probability":
        return exponential_probability(similarity, 0.5)
    return tiny.column(run, "relations", "score") if name in SCORED else similarity.clip(0)


def connected(run: StoredTables) -> Any:
    """Connectivity of all rows with their neighbors (N, K)."""
    columns = [tiny.column(run, "knn", "neighbor"), tiny.column(run, "knn", "similarity")]
    return connectivity(0, tiny.ROWS, *columns, tiny.column(run, "relations", "score"))


def sharpness(name: str, sigma: float | None) -> float | None:
    """Edge probabilities are not sharpened."""
    return None if name == "probability" else sigma


@pytest.mark.parametrize("name", KEYS)
def test_the_density_of_a_run_is_that_of_its_similarities(finished: Callable[..., StoredTables], name: str) -> None:
    run = finished(name, 3)
    table = run.folder.table("density", 0)
    assert table.schema == schemas.DENSITY
    assert table["row"].to_pylist() == list(range(tiny.ROWS))
    neighbor, s, config = tiny.column(run, "knn", "neighbor"), given(run, name), run.config.density
    if name == "standard":
        expected, facts = 1 + s[:, 1:5].sum(axis=1), {}
    elif name == "ball":
        expected, facts = 1 + (s[:, 1:] >= np.float32(0.6)).sum(axis=1), {}
    elif name == "lcepce":
        expected, facts = connected(run).sum(axis=1), {}
    else:
        matrix = kernel.transition(s[:, : config.nearest], sharpness(name, config.sigma), own=name != "damped")
        found = kernel.diffuse(neighbor, matrix, config.steps, 0.05, 0.1 * (name == "damped"))
        expected, facts = found.density, {"steps": found.steps, "change": found.change}
    np.testing.assert_allclose(table["density"].to_numpy(), expected, rtol=1e-6)
    assert facts.items() <= run.folder.marker("density", 0).facts.items()


@pytest.mark.parametrize("name", KEYS)
def test_shards_change_neither_density_nor_edges_nor_labels(finished: Callable[..., StoredTables], name: str) -> None:
    once, thrice = finished(name), finished(name, 3)
    assert (len(once.bounds), len(thrice.bounds)) == (2, 4)
    assert once.folder.table("density", 0).equals(thrice.folder.table("density", 0))
    for stage, column in (("edges", "source"), ("edges", "target"), ("edges", "weight"), ("labels", "cluster_id")):
        np.testing.assert_array_equal(tiny.column(once, stage, column), tiny.column(thrice, stage, column))


@pytest.mark.parametrize("name", KEYS)
def test_edges_lead_uphill_by_the_distance_configured(finished: Callable[..., StoredTables], name: str) -> None:
    run = finished(name, 3)
    neighbor, similarity = (tiny.column(run, "knn", each) for each in ("neighbor", "similarity"))
    source, target, weight = (tiny.column(run, "edges", each) for each in ("source", "target", "weight"))
    height = run.folder.table("density", 0)["density"].to_numpy()
    assert len(source) > tiny.ROWS // 6
    assert ((height[target] > height[source]) | ((height[target] == height[source]) & (target < source))).all()
    close = similarity.clip(0)
    if name == "lcepce":
        close = connected(run)
    elif name not in ("standard", "ball"):
        close = closeness(
            neighbor, np.sqrt(kernel.transition(given(run, name), sharpness(name, run.config.edges.sigma)))
        )
    rank = (neighbor[source] == target[:, None]).argmax(axis=1)
    np.testing.assert_allclose(weight, close[source, rank], rtol=1e-6)
    assert (weight > np.float32(0.3) - 0.1).all()
    denser = (height[neighbor] > height[:, None]) & (neighbor >= 0)
    is_best = weight >= np.where(denser, close, 0).max(axis=1)[source] * (1 - 1e-6)
    is_certain = weight >= (least_connectivity(similarity) if name == "lcepce" else np.inf)
    assert (is_best | is_certain).all()
    uphill, known = density.peaks_of(run, Task(0, 40, 90))
    np.testing.assert_allclose(known[uphill], close[40:90][uphill], rtol=1e-6)
    assert (uphill | ~denser[40:90]).all()


def test_a_run_can_be_swept_by_closeness(finished: Callable[..., StoredTables], tmp_path: Path) -> None:
    run = finished("cosine", 3)
    truth = str(tmp_path / "truth.parquet")
    table = pq.read_table(run.name)
    pq.write_table(table.append_column("label", [[row // 6 for row in range(tiny.ROWS)]]), truth)
    swept = evaluate(run.folder.store.url, truth, sweep=(0.2, 0.3, 0.6))
    assert swept["sweep"][1]["clusters"] == swept["clusters"]
    assert swept["sweep"][0]["clusters"] <= swept["sweep"][1]["clusters"] <= swept["sweep"][2]["clusters"]


def test_the_summary_names_the_limit(finished: Callable[..., StoredTables]) -> None:
    summary = json.loads(finished("hard-clusters").folder.store.get("MANIFEST.json") or b"")["summary"]
    assert summary["closeness"] == 0.3


def test_the_order_of_the_input_changes_no_label(tmp_path: Path) -> None:
    found = []
    for name, order in (("a", None), ("b", np.random.default_rng(0).permutation(120))):
        (tmp_path / name).mkdir()
        source = written(tmp_path / name, order=order, noise=0.9)
        config = load_config("cosine", {**PEAKS, "knn": {"k": 10}}, "test")
        pipeline.cluster(source, str(tmp_path / name / "run"), config, Execution("local", shards=2))
        found.append(pq.read_table(tmp_path / name / "run" / "labels").sort_by("id"))
    assert found[0].equals(found[1])
    assert 1 < len(found[0]["cluster_id"].unique()) < 120


@pytest.mark.parametrize(
    ("steps", "said"), [(100, "density settled after"), (1, "density had not settled below 0.05 after 1 ")]
)
def test_a_run_says_how_far_diffusion_came(tmp_path: Path, capsys: Any, steps: int, said: str) -> None:
    tiny.run(tmp_path, "cosine", **PEAKS, density={"steps": steps})
    assert said in capsys.readouterr().err


def test_only_density_peaks_want_the_stage_and_settings_are_what_decides_it() -> None:
    config = Config(edges=EdgesConfig(rule="density-peaks"), communities=CommunitiesConfig(engine="components"))
    assert not DENSITY.is_wanted(Config())
    assert DENSITY.is_wanted(config)
    before = DENSITY.settings(config)
    for other in (DensityConfig(sigma=None), DensityConfig(kind="volume"), DensityConfig(similarity="probability")):
        assert DENSITY.settings(replace(config, density=other)) != before
    for key, value in {"closeness": 0.5, "sigma": 0.5, "distance": "cosine", "tau": 2.0}.items():
        assert DENSITY.settings(replace(config, edges=replace(config.edges, **{key: value}))) == before, key
    probability = replace(config, density=DensityConfig(similarity="probability"))
    warmer = replace(probability, edges=replace(config.edges, tau=2.0))
    assert DENSITY.settings(warmer) != DENSITY.settings(probability)
