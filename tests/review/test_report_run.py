"""Health, change and cost of a run, as sections."""

import pytest

from raycluster.errors import RayclusterError
from raycluster.pipeline.diff import diff
from raycluster.review.opened_run import OpenedRun
from raycluster.review.report_run import MEASURES, change_section, cost_section, health_section
from support.charts import drawn
from support.runs import here


def test_the_health_check_is_shown_with_its_bounds(cosine_run):
    run = OpenedRun.of(cosine_run)
    section = health_section(run)
    found = run.summary["confidence"]
    assert len(section.rows) == len(MEASURES)
    assert f"Confidence is {found['level']}: {found['why']}." in section.notes
    shares = {line["name"]: line["value"] for line in drawn(section.chart)[0]}
    assert all(shares[MEASURES[key][0]] == found[key] for key in MEASURES if found[key] is not None)


def test_a_bad_measure_is_not_fine(cosine_run):
    run = OpenedRun.of(cosine_run)
    run.results.manifest["summary"]["confidence"]["largest"] = 0.9
    rows = {row[0]: row[3] for row in health_section(run).rows}
    assert (rows["rows in the largest cluster"], rows["rows that share a cluster"]) == (False, True)


def test_what_changed_is_what_diff_counts(cosine_run, identities, tmp_path):
    other = str(tmp_path / "other")
    assert here(identities, other, "--edges.threshold", "0.75", "--no-report").code == 0
    section = change_section(OpenedRun.of(cosine_run), other)
    assert dict(section.rows) == diff(other, cosine_run).clusters
    assert section.chart is not None
    assert "--previous" in change_section(OpenedRun.of(cosine_run), None).missing
    with pytest.raises(RayclusterError):
        change_section(OpenedRun.of(cosine_run), str(tmp_path / "nowhere"))


def test_cost_counts_seconds_bytes_and_shards(cosine_run):
    run = OpenedRun.of(cosine_run)
    section = cost_section(run, 3600.0)
    by_stage = {row[0]: row for row in section.rows}
    assert by_stage["knn"][1] == run.summary["seconds"]["knn"]
    assert (by_stage["knn"][4], by_stage["knn"][5]) == (4, 0)
    assert by_stage["edges"][3].endswith(("KiB", "MiB"))
    total = sum(run.summary["seconds"].values())
    assert f"it cost {total:.2g} US dollars" in " ".join(section.notes)
    assert any(note.startswith("Slowest shards: ") for note in section.notes)
    assert by_stage["knn"][6].endswith(("MiB", "GiB"))
    assert any(note.startswith("The largest process held ") for note in section.notes)
    cleaned = cost_section(OpenedRun(run.results, None, "gone"), None)
    assert any(note.startswith("Slowest shards: ") for note in cleaned.notes)
    assert "Shards by node: driver" in " ".join(cleaned.notes)


def test_an_update_has_seconds_of_one_kind(cosine_run):
    run = OpenedRun.of(cosine_run)
    run.results.manifest["summary"]["seconds"] = 2.5
    section = cost_section(OpenedRun(run.results, None, "gone"), None)
    assert section.rows[0][:2] == ("update", 2.5)
