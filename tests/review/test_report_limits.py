"""Scores and limits of a run, as sections."""

import numpy as np
import pytest

from raycluster.pipeline.sweep import communities_at
from raycluster.review import report_limits
from raycluster.review.opened_run import OpenedRun
from raycluster.review.report_limits import score_section, sweep_section, swept
from raycluster.stages.edges import limits_of
from raycluster.storage import node_cache
from support.charts import drawn


@pytest.fixture
def opened(cosine_run):
    run = OpenedRun.of(cosine_run)
    yield run
    node_cache.remove(run.tables.folder)


def test_every_pair_of_neighbors_is_in_the_histogram(opened):
    section = score_section(opened)
    similarity = opened.tables.column("knn", "similarity")[:, 1:]
    neighbor = opened.tables.column("knn", "neighbor")[:, 1:]
    assert sum(row[2] for row in section.rows) == np.count_nonzero(neighbor >= 0)
    low, high, count = section.rows[-1]
    values = similarity[neighbor >= 0]
    assert count == np.count_nonzero((values >= low) & (values <= high))
    assert section.notes == ("The limit in force is 0.6000 (threshold).",)


def test_learned_scores_show_valley_and_limit(auto_run):
    run = OpenedRun.of(auto_run[0])
    section = score_section(run)
    limits = limits_of(run.tables)
    lines = drawn(section.chart)[1]
    assert section.columns[0] == "score from"
    assert lines[0]["value"] == pytest.approx(limits.swept_value)
    assert len(lines) == (2 if limits.valley else 1)


def test_large_sets_are_read_by_some_shards(opened, monkeypatch):
    monkeypatch.setattr(report_limits, "MOST_SCORES", 1)
    assert 0 < sum(row[2] for row in score_section(opened).rows) <= 2500 * 19 / 2


def test_the_sweep_is_what_communities_at_gives(opened):
    lines = swept(opened)
    limits = limits_of(opened.tables)
    assert [line.limit for line in lines] == sorted(line.limit for line in lines)
    for line in lines[:: len(lines) - 1]:
        community, _ = communities_at(opened.tables, line.limit)
        size = np.bincount(community)
        assert (line.clusters, line.alone, line.largest) == (len(size), (size == 1).sum(), size.max())
    now = next(line for line in lines if line.limit == limits.swept_value)
    assert now.clusters == opened.summary["clusters"]
    assert now.exit_weight == pytest.approx(opened.exit_weight, rel=1e-6)


def test_the_limit_in_force_is_marked(opened):
    section = sweep_section(opened)
    assert [row[0] for row in section.rows if row[-1]] == ["0.6000"]
    assert len(drawn(section.chart)[0]) == 4 * len(section.rows)


def test_two_limits_are_tried_however_long_they_take(opened, monkeypatch):
    monkeypatch.setattr(report_limits, "SWEEP_SECONDS", 0.0)
    assert len(swept(opened)) == 2


def test_what_cannot_be_swept_has_a_reason(opened, monkeypatch):
    monkeypatch.setattr(report_limits, "MOST_VALUES", 10)
    assert "too large" in sweep_section(opened).missing
    gone = OpenedRun(opened.results, None, "The tables of stages are gone.")
    assert sweep_section(gone).missing == score_section(gone).missing == "The tables of stages are gone."
    assert sweep_section(gone).rows[0][1:] == (
        opened.summary["clusters"], opened.summary["singletons"], opened.summary["largest"], opened.exit_weight, True,
    )  # fmt: skip
