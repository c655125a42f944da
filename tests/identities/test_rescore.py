"""Scores of changed rows are those of a run over all rows."""

import numpy as np
import pytest

from raycluster.identities.rescore import floor_of, rescored
from raycluster.identities.state import from_tables
from raycluster.limits.in_force import EdgeLimits
from raycluster.models.requirements import with_model
from support.living import config_of, rows


@pytest.fixture(scope="module")
def scored():
    """The state of a run of the recipe auto with the shipped model on 300 rows."""
    from raycluster.executors.progress import Silence
    from raycluster.pipeline.run import LOCAL, in_memory, run_stages

    config = with_model(config_of("auto", knn={"k": 40}, edges={}))
    tables = in_memory(rows()[0], config, 1)
    run_stages(tables, LOCAL, Silence())
    return from_tables(tables)


def test_changed_rows_get_the_scores_of_a_full_run(scored):
    is_changed = np.zeros(300, bool)
    is_changed[[3, 40, 41, 250]] = True
    before = scored.lists.score.copy()
    before[is_changed] = 7
    lists = scored.lists
    found = rescored(
        scored.config, scored.set_facts, scored.vectors, lists.neighbor, lists.similarity, before, is_changed, 1
    )
    np.testing.assert_allclose(found, lists.score, atol=1e-5)
    np.testing.assert_array_equal(found[~is_changed], lists.score[~is_changed])


def test_strangers_do_not_matter(scored):
    floor = floor_of(scored.set_facts, scored.limits)
    assert -1 < floor < 1
    similarity = scored.lists.similarity[scored.lists.score >= scored.limits.eta]
    assert (similarity >= floor).mean() > 0.95
    assert floor_of({}, EdgeLimits(threshold=0.4)) == floor_of(scored.set_facts, EdgeLimits(threshold=0.4)) == 0.4
