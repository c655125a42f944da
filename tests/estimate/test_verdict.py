"""What does not fit, and what to change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raycluster.config.load import load_config
from raycluster.estimate.costs import PlannedRun, forecasts
from raycluster.estimate.rates import stored_rates
from raycluster.estimate.verdict import problems, slow_stages
from raycluster.executors.machines import Machine, named
from support.estimates import a_size, planned

LARGE = Machine("large", 2, 10_000.0, 10_000.0)


def verdict(run: PlannedRun) -> list[str]:
    return list(problems(tuple(forecasts(run, stored_rates(run.config, run.size))), run))


def a_run(
    recipe: str = "cosine", rows: int = 1_000_000, *, keys: dict[str, Any] | None = None, **changes: Any
) -> PlannedRun:
    config = load_config(recipe, keys or {}, "test")
    return planned(config, a_size(rows, changes.pop("shards", 4)), **{"driver": LARGE, "worker": LARGE} | changes)


def test_a_run_that_fits_has_no_problem() -> None:
    assert verdict(a_run()) == []


@pytest.mark.parametrize(
    ("recipe", "advice"),
    [
        ("cosine", "raise edges.threshold, lower knn.k, or take a driver with more memory (r6id.8xlarge has 256 GiB)."),
        ("fc-es", "raise edges.theta, lower knn.k, or take a driver"),
        ("facemap", "there; lower knn.k, or take a driver"),
    ],
)
def test_too_many_edges_are_answered_with_the_limit_of_the_rule(recipe: str, advice: str) -> None:
    sentences = verdict(a_run(recipe, 100_000_000, driver=replace(LARGE, memory_gib=16.0), has_ray=True, shards=64))
    assert [sentence for sentence in sentences if sentence.startswith("communities will not fit: it needs ")]
    assert any(advice in sentence for sentence in sentences if sentence.startswith("communities"))


def test_too_large_a_shard_is_answered_with_more_shards() -> None:
    run = a_run(rows=100_000_000, shards=1, driver=replace(LARGE, memory_gib=1.0))
    assert any(line.startswith("embeddings") and "use more --shards, or take" in line for line in verdict(run))
    worker = named("m6id.8xlarge")
    apart = replace(run, driver=LARGE, worker=replace(worker, memory_gib=1.0), has_ray=True)
    assert any("use more --shards, or fewer --workers" in line for line in verdict(apart))


def test_a_configured_limit_of_memory_counts() -> None:
    run = a_run(keys={"communities": {"memory_gib": 0.001}})
    (sentence,) = verdict(run)
    assert sentence.startswith("communities will not fit: it needs ")
    assert "0.0 GiB are there" in sentence


def test_rows_are_numbered_in_32_bits() -> None:
    assert "a run numbers at most 2,147,483,647; split the input." in verdict(a_run(rows=3_000_000_000))[0]


def test_a_small_disk_is_named_with_what_reads_it(tmp_path: Path) -> None:
    small = Machine("small", 2, 0.5, 0.1)
    run = replace(a_run(driver=small, worker=small), output_url=str(tmp_path / "new" / "run"))
    sentences = "\n".join(verdict(run))
    assert "edges will not fit: the copies on each node take 1.6 GiB of disk, 0.1 GiB are there" in sentences
    slow = list(slow_stages(tuple(forecasts(run, stored_rates(run.config, run.size))), run))
    assert [line for line in slow if line.startswith("knn reads 1.0 GiB of copies and 0.0 GiB of memory are left")]
    assert not list(slow_stages(tuple(forecasts(a_run(), stored_rates(run.config, run.size))), a_run()))


def test_a_full_disk_has_no_room_for_the_run_folder(tmp_path: Path) -> None:
    run = replace(a_run(rows=2_000_000_000), output_url=str(tmp_path / "new" / "run"))
    assert "The run folder will not fit" in verdict(run)[-1]
    assert not (tmp_path / "new").exists()
