"""Scores in words, with every term spelled out."""

from typing import Any

LARGEST_PART = 0.5
"""Share of all labelled rows from which one label counts as "unknown" and not as an identity."""


def describe_scores(scores: dict[str, Any]) -> str:
    """Return a table of scores for a terminal."""
    lines = [
        f"{scores['rows']:,} labelled rows of {scores['identities']:,} identities, in {scores['clusters']:,} clusters",
        "",
        f"{'':<38}{'precision':>10}{'recall':>9}{'F':>8}",
    ]
    names = {
        "pairwise": "pairwise (are two rows together?)",
        "bcubed": "BCubed (is a row among its own?)",
    }
    for key, words in names.items():
        value = scores[key]
        lines.append(f"{words:<38}{value['precision']:>10.1%}{value['recall']:>9.1%}{value['f']:>8.1%}")
    lines += [
        f"at {point['threshold']:<8.4f} pairwise F {point['pairwise']['f']:.1%}, BCubed F {point['bcubed']['f']:.1%}, "
        f"{point['clusters']:,} clusters"
        for point in scores.get("sweep", [])
    ]
    if scores.get("largest_identity", 0) > LARGEST_PART * scores["rows"]:
        lines.append("One label holds more than half of all rows: is it a name for unknown? Make it null.")
    return "\n".join(lines)
