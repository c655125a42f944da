"""Ids are ordered by value whatever their kind; the lowest id that occurs twice is found with its first two positions."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.kernels.sorted_ids import cut, first_twice, joined, large_type, ordered

KINDS: list[tuple[pa.DataType, Any]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.string(), st.text(st.characters(codec="utf-8"), max_size=4)),
    (pa.binary(), st.binary(max_size=3)),
]


def chunked(values: list[Any], kind: pa.DataType, at: int) -> list[pa.ChunkedArray]:
    """The values in two columns."""
    return [pa.chunked_array([pa.array(part, kind)]) for part in (values[:at], values[at:])]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=lambda one: str(one) if isinstance(one, pa.DataType) else "")
@given(data=st.data())
def test_order_and_bounds_are_those_of_python(kind: pa.DataType, values: Any, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(values, max_size=20))
    ids, positions = ordered(joined(chunked(drawn, kind, len(drawn) // 2), kind), np.arange(len(drawn)))
    expected = sorted(drawn, key=lambda one: one.encode() if isinstance(one, str) else one)
    assert ids.to_pylist() == expected
    assert [drawn[place] for place in positions] == expected
    assert ids.type == large_type(kind)
    low, high = sorted(data.draw(st.tuples(values, values)))
    begin, end = cut(ids, low, high)
    assert expected[begin:end] == [one for one in expected if low <= one < high]
    assert cut(ids, None, None) == (0, len(drawn))


@given(st.lists(st.integers(0, 12), max_size=20))
def test_the_lowest_id_that_occurs_twice_has_its_first_two_positions(drawn: list[int]) -> None:
    ids, positions = ordered(pa.array(drawn, pa.int64()), np.arange(len(drawn)))
    twice = sorted(one for one in set(drawn) if drawn.count(one) > 1)
    found = first_twice(ids, positions)
    if not twice:
        assert found is None
    else:
        assert found == (twice[0], *[place for place, one in enumerate(drawn) if one == twice[0]][:2])
