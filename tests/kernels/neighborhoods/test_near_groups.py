"""Tight groups within clusters: against plain loops, on planted families, and whatever the order of rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.kernels.neighborhoods.near_groups import FEWEST, GAP, LEAST_MUTUAL, NEAREST_DISTANCE, in_groups
from raycluster.kernels.search.self_join import self_top_k
from raycluster.stages.engines import numbered_by_first_row


def lists(vectors: Any, k: int) -> tuple[Any, Any]:
    """Exact neighbors and similarities of unit rows."""
    return self_top_k(np.ascontiguousarray(vectors, np.float32), k, 1)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(groups: int, rng: Any, apart: float) -> Any:
    """Five families of tight groups of four rows; `apart` is how far groups lie from their family, in lengths of noise."""
    families = unit(rng.standard_normal((5, 32))).repeat(groups, axis=0)
    models = families + apart * 0.05 * rng.standard_normal(families.shape)
    return unit(models.repeat(4, axis=0) + 0.05 * rng.standard_normal((len(models) * 4, 32)))


@pytest.mark.parametrize(("apart", "low", "high"), [(0.0, 0.0, 0.45), (1.5, 0.9, 1.0)])
def test_families_of_near_copies_stand_out_and_plain_identities_do_not(apart: float, low: float, high: float) -> None:
    vectors = planted(6, np.random.default_rng(0), apart)
    cluster = np.arange(5).repeat(24).astype(np.int32)
    share = in_groups(np.arange(120), *lists(vectors, 60), cluster).mean()
    assert low <= share <= high


def test_a_cluster_that_is_one_group_has_none_within() -> None:
    vectors = planted(6, np.random.default_rng(1), 1.5)
    cluster = np.arange(30).repeat(4).astype(np.int32)
    assert not in_groups(np.arange(120), *lists(vectors, 60), cluster).any()


def brute_force(neighbor: Any, similarity: Any, cluster: Any) -> list[bool]:
    """Every row's group by plain loops."""

    def group(row: int) -> list[int]:
        own = [(int(j), s) for j, s in zip(neighbor[row, 1:], similarity[row, 1:], strict=True)
               if j >= 0 and cluster[j] == cluster[row]]  # fmt: skip
        distance = [max(1.0 - float(s), NEAREST_DISTANCE) for _, s in own]
        gaps = {n: distance[n] / distance[n - 1] for n in range(FEWEST, len(own)) if 2 * (n + 1) <= len(own) + 1}
        best = max(gaps, key=lambda n: (gaps[n], -n), default=0)
        return [j for j, _ in own[:best]] if best and gaps[best] > GAP else []

    groups = [group(row) for row in range(len(cluster))]
    return [
        bool(mine) and sum(row in groups[j] for j in mine) >= LEAST_MUTUAL * len(mine)
        for row, mine in enumerate(groups)
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(2, 12))
def test_groups_are_those_of_plain_loops_in_any_order_of_rows(seed: int, rows: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((rows, 3)).astype(np.float32) + 1)
    neighbor, similarity = lists(vectors, min(k, rows))
    neighbor[rng.random(neighbor.shape) < 0.05] = -1
    neighbor[:, 0] = np.arange(rows)
    cluster = numbered_by_first_row(rng.integers(0, 3, rows))
    inside = in_groups(np.arange(rows), neighbor, similarity, cluster)
    np.testing.assert_array_equal(inside, brute_force(neighbor, similarity, cluster))
    order = rng.permutation(rows)
    number = np.append(np.argsort(order), -1).astype(np.int32)  # -1 stays
    moved = in_groups(np.arange(rows), number[neighbor[order]], similarity[order], cluster[order])
    np.testing.assert_array_equal(moved, inside[order])
    some = rng.permutation(rows)[: rows // 2]
    np.testing.assert_array_equal(in_groups(some, neighbor, similarity, cluster), inside[some])
