"""Scores in words: a table of precision, recall and F, sweeps, and a warning about a label for unknown."""

from typing import Any

from raycluster.evaluation.words import describe_scores

SCORES: dict[str, Any] = {
    "rows": 1_000,
    "identities": 120,
    "clusters": 130,
    "pairwise": {"precision": 0.5, "recall": 0.25, "f": 1 / 3},
    "bcubed": {"precision": 1.0, "recall": 0.9, "f": 0.947},
}


def test_scores_stand_in_columns_with_their_terms_spelled_out() -> None:
    first, blank, head, pairwise, bcubed = describe_scores(SCORES).splitlines()
    assert first == "1,000 labelled rows of 120 identities, in 130 clusters"
    assert blank == ""
    assert head.split() == ["precision", "recall", "F"]
    assert pairwise.split()[-3:] == ["50.0%", "25.0%", "33.3%"]
    assert bcubed.split()[-3:] == ["100.0%", "90.0%", "94.7%"]
    assert len({len(line) for line in (head, pairwise, bcubed)}) == 1
    assert "are two rows together?" in pairwise


def test_points_of_a_sweep_have_a_line_each() -> None:
    point = {"threshold": 0.55, "clusters": 99, "pairwise": {"f": 0.5}, "bcubed": {"f": 0.75}}
    lines = describe_scores({**SCORES, "sweep": [point, point]}).splitlines()
    assert lines[-2:] == ["at 0.5500   pairwise F 50.0%, BCubed F 75.0%, 99 clusters"] * 2


def test_a_label_of_most_rows_is_pointed_out() -> None:
    assert "is it a name for unknown?" in describe_scores({**SCORES, "largest_identity": 501})
    assert "unknown" not in describe_scores({**SCORES, "largest_identity": 500})
