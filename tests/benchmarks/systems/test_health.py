"""Sets that the health check is tried on: what they promise holds."""

import numpy as np
import pytest

from benchmarks.systems.health import Args, families, line_of, strangers, topics


def test_families_are_nearer_than_families_apart() -> None:
    rows, truth = families(480, 1)
    cosine = rows @ rows.T
    same_family = (truth[:, None] // 6) == (truth // 6)
    assert cosine[same_family].min() > cosine[~same_family].max()
    assert (np.bincount(truth) == 4).all()


def test_topics_have_several_places_and_strangers_are_alone() -> None:
    rows, truth = topics(400, 1)
    assert np.bincount(truth).min() > 1
    assert len(np.unique(truth)) < 10
    rows, truth = strangers(50, 1)
    assert len(np.unique(truth)) == len(rows)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_line_has_what_was_reported_and_the_truth(shift: float) -> None:
    made = np.repeat(np.eye(8), 5, axis=0) + 0.01, np.arange(40) // (5 if shift == 0 else 10)
    line = line_of("set", made, Args(recipe="cosine", threads=1))
    assert line["confidence"] in ("low", "high")
    assert line["BCubed p"] == 1.0
    assert line["BCubed F"] == (1.0 if shift == 0 else pytest.approx(2 / 3, abs=1e-3))


def test_families_of_near_copies_have_low_confidence_and_their_models_alone_do_not() -> None:
    rows, truth = families(960, 1)
    args = Args(recipe="cosine", threads=1)
    line = line_of("families", (rows, truth), args)
    assert line["confidence"] == "low"
    assert "tight groups" in str(line["why"])
    assert line["BCubed p"] == pytest.approx(1 / 6, abs=0.01)
    # one variant of every family, without the others
    alone = truth % 6 == 0
    line = line_of("models", (rows[alone], truth[alone]), args)
    assert "tight groups" not in str(line["why"])
    assert line["BCubed p"] == 1.0


def test_the_error_of_strength_is_of_rows_that_share_a_cluster() -> None:
    made = np.repeat(np.eye(8), 5, axis=0) + 0.01, np.arange(40) // 5
    line = line_of("set", made, Args(recipe="cosine", threads=1))
    assert (line["right rows"], line["mean strength"], line["strength error"]) == (1.0, 1.0, 0.0)
