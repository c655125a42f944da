"""The difference to the row above and the claims, against values by hand."""

from benchmarks.papers.table3 import BEST, claims, summary


def test_the_difference_to_the_row_above_is_per_seed() -> None:
    point = {"F_P": 1.0, "NMI": 1.0, "pair AP": 1.0, "seconds": 2.0, "parameters": 5}
    above = {seed: {**point, "F_B": float(seed)} for seed in (1, 2, 9)}
    points = {seed: {**point, "F_B": seed + 0.5} for seed in (1, 2)}
    row = summary(points, above)
    assert row["F_B less the row above"] == "+0.50 ± 0.00"
    assert row["F_B"].startswith("2.00 ± ")
    assert "F_B less the row above" not in summary(points, None)


def test_claims_are_differences_per_seed() -> None:
    methods = ("FC-ESER", "Vanilla", "Vanilla + Top-K", "Diff", "SDT, mask by score", "SDT", "MoE-SDT")
    points = {
        ("row", method): {seed: {"F_P": 1.0, "F_B": float(10 * seed + place), "pair AP": 2.0} for seed in (1, 2)}
        for place, method in enumerate(methods)
    }
    rows = claims(
        points,
        "row",
        [{"method": "FC-ES", "F_P": 0.0, "F_B": 15.0}, {"method": BEST, "F_P": 0.0, "F_B": 99.0}],
    )
    assert {row["claim"]: row["by F_B it"] for row in rows} == {
        "a Top-K mask improves Vanilla": "holds",
        "differential attention improves Vanilla": "holds",
        "a Top-K mask improves Diff (SDT)": "holds",
        "the mask by score improves Diff": "holds",
        "the mixture improves SDT": "holds",
        "MoE-SDT is above Vanilla": "holds",
        "MoE-SDT is above FC-ESER": "holds",
        "MoE-SDT is above FC-ES": "open",
        "MoE-SDT is above FC-ES at the best theta of the test labels": "does not hold",
    }
    assert rows[-3]["F_B"] == "+6.00 ± 0.00"
    assert "pair AP" not in rows[-1], "the walk alone scores no pair"
