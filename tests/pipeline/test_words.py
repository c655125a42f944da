"""The end of a run in words: counts, confidence, where the labels are, and the next step."""

from pathlib import Path

import pytest

from raycluster.pipeline.words import describe_run

SUMMARY = {
    "run": "s3://bucket/run",
    "rows": 12_000,
    "clusters": 900,
    "singletons": 150,
    "seconds": {"knn": 61.0, "edges": 2.6},
}


def test_a_run_ends_with_counts_places_and_a_next_step() -> None:
    assert describe_run(SUMMARY).splitlines() == [
        "12,000 rows became 750 identities of two rows or more; 150 rows stand alone.",
        "It took 64 s. Labels are in s3://bucket/run/labels, clusters in s3://bucket/run/clusters.parquet.",
        "Next: raycluster export s3://bucket/run --input YOUR.parquet -o labelled.parquet",
    ]


def test_dropped_rows_low_confidence_and_the_largest_identity_are_not_hidden() -> None:
    confidence = {"level": "low", "why": "scores have no valley", "what_to_do": "look at a few clusters"}
    text = describe_run({**SUMMARY, "dropped": 7, "largest": 1_234, "confidence": confidence})
    assert "7 rows were left out: s3://bucket/run/dropped.parquet has the reasons." in text
    assert "The largest identity has 1,234 rows." in text
    assert "Confidence is low: scores have no valley." in text
    assert "What to do: look at a few clusters." in text


def test_places_below_the_working_folder_are_short_and_quoted_in_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    *_, took, following = describe_run({**SUMMARY, "run": f"{tmp_path}/my run"}).splitlines()
    assert "Labels are in my run/labels, clusters in my run/clusters.parquet" in took
    assert following == "Next: raycluster export 'my run' --input YOUR.parquet -o labelled.parquet"
    assert f" {tmp_path}-2/labels" in describe_run({**SUMMARY, "run": f"{tmp_path}-2"})
