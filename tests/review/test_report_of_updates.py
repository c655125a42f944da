"""Reports of folders without stages of their own: updates, and results alone."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.pipeline.results import Results
from raycluster.review.report import ReportOptions, report
from support.command_line import call
from support.published import publish_labels


def page(run: str) -> str:
    """The report of a run as text."""
    with open(report(run, ReportOptions())["report"]) as file:
        return file.read()


def test_an_update_is_compared_with_the_run_before_it(cosine_run, tmp_path):
    ids = Results.of(cosine_run).labels(["id"])["id"]
    pq.write_table(pa.table({"id": ids.slice(0, 40)}), tmp_path / "gone.parquet")
    outcome = call("update", cosine_run, "--delete", str(tmp_path / "gone.parquet"), "-o", str(tmp_path / "next"))
    assert outcome.code == 0, outcome.stderr
    text = page(str(tmp_path / "next"))
    assert "40 are gone" in text
    assert "Events of lineage.parquet: " in text
    assert "No two rows share a cluster." not in text


def test_results_alone_have_their_sizes_and_strengths(tmp_path):
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(2000), np.minimum(rng.zipf(2.2, 2000), 500))
    strength = np.where(np.bincount(cluster)[cluster] > 1, rng.beta(9, 1, len(cluster)), np.nan)
    publish_labels(str(tmp_path / "run"), cluster, strength)
    text = page(str(tmp_path / "run"))
    charts = json.loads(text.split('id="charts">')[1].split("</script>")[0])
    assert charts.keys() == {"sizes", "strength", "cost"}
    assert "This folder holds results alone" in text
    assert f"{len(cluster):,} rows became" in text
