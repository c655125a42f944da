"""Another limit on the edges that a run stores: the partition of a run made at that limit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.systems.sizes import made
from raycluster.config.load import load_config
from raycluster.errors import InputError
from raycluster.executors.progress import Silence
from raycluster.models.requirements import with_model
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.pipeline.sweep import communities_at
from raycluster.stages.communities import identities_of
from raycluster.stages.edges import limits_of
from support import tiny

RUNS: dict[str, dict[str, Any]] = {
    "cosine": {"edges": {"threshold": 0.5, "reserve": 0.2}},
    "fc-es": {"edges": {"theta": 0.3, "reserve": 0.2}},
    "sdt-row": {"edges": {"eta": 0.5, "reserve": 0.2}, "topk": {"predict": False}},
}
LIMITS = {"cosine": "threshold", "fc-es": "theta", "sdt-row": "eta"}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RUNS)
def test_a_sweep_gives_the_partition_of_a_run_at_that_limit(tmp_path: Path, recipe: str) -> None:
    keys = dict(RUNS[recipe])
    if recipe == "sdt-row":
        tiny.model(tmp_path / "model", "row", "none")
        keys["model"] = str(tmp_path / "model")
    run = tiny.run(tmp_path, recipe, 3, **keys)
    name, counts = LIMITS[recipe], []
    for limit in (keys["edges"][name] - 0.15, keys["edges"][name], keys["edges"][name] + 0.1):
        community, num_edges = communities_at(run, limit)
        moved = {**keys, "edges": {**keys["edges"], name: limit}}
        other = tiny.run(tmp_path, recipe, name=f"at-{limit:.2f}", **moved)
        np.testing.assert_array_equal(community, identities_of(other))
        assert num_edges == other.task_facts("communities")[0]["links"]
        counts.append(num_edges)
    assert counts[0] > counts[1] > counts[2] > 0


def test_limits_below_the_stored_edges_and_rules_without_a_limit_are_refused(tmp_path: Path) -> None:
    run = tiny.run(tmp_path, "cosine", edges={"threshold": 0.5, "reserve": 0.1})
    with pytest.raises(InputError, match=r"cannot be swept at 0\.3: edges are stored from 0\.4000 up"):
        communities_at(run, 0.3)
    gap = tiny.run(tmp_path, "facemap", name="gap")
    with pytest.raises(InputError, match="the gap rule has no threshold"):
        communities_at(gap, 0.5)


def test_a_threshold_that_overrules_scores_is_swept_as_that_of_cosine() -> None:
    vectors, _ = made("faces", 3, 120)
    runs = {}
    for recipe in ("auto", "cosine"):
        config = load_config(recipe, {"edges": {"reserve": 0.1}}, "X")
        runs[recipe] = in_memory(vectors, with_model(config), 1)
        run_stages(runs[recipe], LOCAL, Silence())
    limits = [limits_of(run) for run in runs.values()]
    assert limits[0].facts["disagreement"] > 0
    assert limits[0].threshold == limits[1].threshold
    at = limits[0].swept_value + 0.15
    (first, num_first), (second, num_second) = (communities_at(run, at) for run in runs.values())
    np.testing.assert_array_equal(first, second)
    assert num_first == num_second
