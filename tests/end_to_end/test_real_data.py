"""Numbers of an independent implementation on real faces and products; skipped where the sets are absent."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.config.execution import Execution
from raycluster.config.load import load_config
from raycluster.evaluation.evaluate import evaluate
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.limits.cohesion import Lists
from raycluster.limits.far_ranks import pick_threshold
from raycluster.limits.random_pairs import sample_pairs
from raycluster.pipeline import run as pipeline
from raycluster.stages import edges
from raycluster.storage.schemas import to_matrix
from support.partitions import bcubed_f

pytestmark = pytest.mark.data
SETS = ["lfw_test", "celeba_mid_train", "pricerunner_minilm_test"]


def _lfw(real_data: Path, output: Path, recipe: str, overrides: dict[str, Any]) -> tuple[int, float, dict[str, Any]]:
    source = str(real_data / "lfw_test.parquet")
    config = load_config(recipe, overrides, "test")
    pipeline.cluster(source, str(output), config, Execution(executor="local"))
    kept = edges.edges_in_force(pipeline.open_run(str(output)))
    return len(kept["source"]), float(kept["weight"].sum(dtype=np.float64)), evaluate(str(output), source)


@pytest.mark.parametrize(
    ("recipe", "overrides", "count", "weight"),
    [
        ("fc-es", {}, 184_464, 103_306),
        ("fc-es-sigmoid", {}, 268_410, 199_889),
        ("cosine", {"edges": {"threshold": 0.525}}, 42_832, 31_828),
    ],
)
def test_edges_and_scores_on_real_faces_are_those_of_an_independent_implementation(
    real_data: Path, tmp_path: Path, recipe: str, overrides: dict[str, Any], count: int, weight: float
) -> None:
    found, total, scores = _lfw(real_data, tmp_path / "run", recipe, overrides)
    assert found == pytest.approx(count, rel=0.001)
    assert total == pytest.approx(weight, rel=0.001)
    if recipe == "fc-es":
        assert scores["pairwise"]["f"] == pytest.approx(0.553, abs=0.022)
        assert scores["bcubed"]["f"] == pytest.approx(0.421, abs=0.009)
    if recipe == "cosine":
        assert scores["pairwise"]["f"] >= 0.993
        assert scores["bcubed"]["f"] >= 0.986


@pytest.mark.parametrize("name", SETS)
def test_the_picked_threshold_loses_at_most_five_points_on_real_sets(real_data: Path, name: str) -> None:
    table = pq.read_table(real_data / f"{name}.parquet")
    vectors, truth = to_matrix(table["embedding"]), table["label"].to_numpy()
    neighbor, similarity = exact_top_k(vectors, np.arange(len(vectors), dtype=np.int32), vectors, 80, 2)
    threshold, facts = pick_threshold(similarity, sample_pairs(vectors), Lists(neighbor, vectors))
    best = max(bcubed_f(truth, neighbor, similarity, at) for at in np.arange(0.3, 1.0, 0.05))
    assert best - bcubed_f(truth, neighbor, similarity, threshold) <= 0.05, facts
