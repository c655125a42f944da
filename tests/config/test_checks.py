"""Checks of single values: what fits an annotated type, and what is written of a value that does not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from raycluster.config.checks import Count, Section, Share, UnfitValueError, converted, expected, kinds, nearest
from raycluster.errors import ConfigError

Kind = Literal["exact", "ivf"]


@dataclass(frozen=True)
class Inner(Section):
    prefix: ClassVar[str] = "inner."
    count: Count = 3
    share: Share | None = None


@dataclass(frozen=True)
class Outer(Section):
    kind: Kind = "exact"
    widths: tuple[Count, ...] = ()
    inner: Inner = field(default_factory=Inner)

    def conflicts(self) -> Iterator[str]:
        if self.kind == "ivf" and self.inner.share:
            yield "inner.share has no use with kind ivf."


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (1, Share | None, 1.0),
        (None, Share | None, None),
        ("none", Share | None, None),
        ("None", str | None, None),
        ("none", str, "none"),
        ([1, 2], tuple[Count, ...], (1, 2)),
        ((1, 2), tuple[Count, ...], (1, 2)),
        (np.int64(3), Count, 3),
        (np.int32(3), float, 3.0),
        (np.float32(0.5), Share, 0.5),
        (np.float64(0.1), Share, 0.1),
        (np.bool_(True), bool, True),
        (np.str_("ivf"), Kind, "ivf"),
        ("text", str, "text"),
    ],
)
def test_what_fits_is_converted(value: Any, kind: Any, result: Any) -> None:
    found = converted(value, kind)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        ("3", int, "it takes a whole number."),
        (3.0, int, "it takes a whole number."),
        (True, int, "it takes a whole number."),
        (np.bool_(True), float, "it takes a finite number."),
        (np.float64(3.0), int, "it takes a whole number."),
        (1, bool, "it takes true or false."),
        (None, str, "it takes text."),
        ("none", int, "it takes a whole number."),
        (np.zeros(2), Share | None, "it takes a number from 0 to 1, or None."),
        (math.nan, float, "it takes a finite number."),
        (math.inf, float, "it takes a finite number."),
        (math.nan, Share, "it takes a number from 0 to 1."),
        (math.inf, Annotated[float, Meta(ge=0)], "it takes a number of at least 0."),
        (1.5, Share | None, "it takes a number from 0 to 1, or None."),
        (1, Annotated[float, Meta(gt=0, lt=1)], "it takes a number above 0 and below 1."),
        (1, Annotated[float, Meta(ge=0, lt=1)], "it takes a number of at least 0 and below 1."),
        (2**31, Annotated[int, Meta(ge=1, le=2**31 - 1)], "it takes a whole number from 1 to 2147483647."),
        ("exactly", Kind, "it takes one of exact, ivf; did you mean 'exact'."),
        ("hnsw", Kind, "it takes one of exact, ivf."),
        (3, Kind | None, "it takes one of exact, ivf, or None."),
        ([], Kind, "it takes one of exact, ivf."),
        ([1, 0], tuple[Count, ...], "it takes a list, each item a whole number of at least 1."),
        ("12", tuple[Count, ...], "it takes a list, each item a whole number of at least 1."),
    ],
)
def test_what_does_not_fit_is_refused_in_words(value: Any, kind: Any, sentence: str) -> None:
    with pytest.raises(UnfitValueError) as caught:
        converted(value, kind)
    assert str(caught.value) == sentence
    assert expected(kind) in sentence


@given(st.one_of(st.floats(), st.integers(-(2**70), 2**70)))
def test_a_share_is_a_number_from_0_to_1_and_nothing_else(value: float) -> None:
    try:
        found = converted(value, Share)
    except UnfitValueError:
        assert not 0 <= value <= 1
    else:
        assert 0 <= found == value <= 1


def test_the_nearest_name_is_suggested_else_all_are_listed() -> None:
    assert nearest("kk", ["k", "index"], "knn.") == "; did you mean 'knn.k'"
    assert nearest("zzz", ["k", "index"], "knn.") == "; there are k, index"


def test_kinds_are_those_of_the_fields_alone() -> None:
    assert list(kinds(Outer)) == ["kind", "widths", "inner"]
    assert kinds(Inner) == {"count": Count, "share": Share | None}


def test_no_section_holds_a_value_that_does_not_fit() -> None:
    with pytest.raises(ConfigError) as caught:
        Inner(count=0)
    assert str(caught.value) == "inner.count is 0: it takes a whole number of at least 1."
    with pytest.raises(ConfigError, match=r"^kind is hnsw: it takes one of exact, ivf\.$"):
        replace(Outer(), kind="hnsw")  # type: ignore[arg-type]


def test_a_section_holds_plain_numbers() -> None:
    inner = Inner(count=np.int64(4), share=1)  # type: ignore[arg-type]
    assert (type(inner.count), type(inner.share)) == (int, float)
    assert inner == Inner(4, 1.0)


def test_a_conflict_of_values_that_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^inner\.share has no use with kind ivf\.$"):
        Outer(kind="ivf", inner=Inner(share=0.5))
    Outer(kind="ivf")
