"""Tables 2 and 4 by K: means over seeds and paired claims, against values by hand."""

from benchmarks.papers.by_k import PLAIN, SIGMOID, WALK, Args, Points, claims, means, name_of


def points() -> Points:
    """Return scores of two seeds whose differences do not depend on the seed."""
    methods = (PLAIN, "FC-ES + eq. 6, delta 5", SIGMOID, "FC-ES + eq. 6, delta 10", WALK)
    methods += tuple(name_of("row", eta) for eta in (0.5, 0.9))
    return {
        (k, method): {seed: dict.fromkeys(("F_P", "F_B", "NMI"), 10.0 * seed + place - k / 100) for seed in (0, 1)}
        for k in (80, 40)
        for place, method in enumerate(methods)
    }


def test_means_are_by_k_and_count_the_sets() -> None:
    rows = means(points())
    assert [row["K"] for row in rows] == [40] * 7 + [80] * 7
    assert {row["sets"] for row in rows} == {2}
    assert rows[0]["F_B"].startswith("4.60 ± ")


def test_claims_are_paired_by_seed() -> None:
    rows = claims(points(), Args(folder="work", ks=(40, 80)))
    found = {row["claim"]: (row["F_B"], row["by F_B it"]) for row in rows}
    assert found["eq. 6 with delta 7.5 improves eq. 4 at K 40"] == ("+2.00 ± 0.00", "holds")
    assert found["delta 7.5 is above 10 at K 80"] == ("-1.00 ± 0.00", "does not hold")
    assert found["Top-K improves eq. 6 at K 80"] == ("+2.00 ± 0.00", "holds")
    assert found["eta 0.9 is above 0.5 at K 40"] == ("+1.00 ± 0.00", "holds")
    assert found["MoE-SDT is better with K 80 than with 40"] == ("-0.40 ± 0.00", "does not hold")
    assert not [sentence for sentence in found if sentence.endswith("than with 80")]
