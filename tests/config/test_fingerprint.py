"""Fingerprints: the same for the same parts, another for any other, whatever the order of keys."""

from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raycluster.config.fingerprint import DIGITS, fingerprint
from raycluster.config.load import load_config
from raycluster.config.stages import Config

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_the_fingerprint_is_the_same_exactly_when_the_json_is(first: Any, second: Any) -> None:
    assert (fingerprint(first) == fingerprint(second)) == (sorted_repr(first) == sorted_repr(second))


def sorted_repr(value: Any) -> str:
    """Text of a value that tells 1 from 1.0 and True, but not the order of keys."""
    if isinstance(value, dict):
        return f"mapping {sorted((key, sorted_repr(inner)) for key, inner in value.items())}"
    if isinstance(value, list):
        return repr([sorted_repr(inner) for inner in value])
    return repr(value)


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2, max_size=6), st.randoms())
def test_the_fingerprint_does_not_see_the_order_of_keys(values: dict[str, int], random: Any) -> None:
    shuffled = list(values.items())
    random.shuffle(shuffled)
    assert fingerprint(dict(shuffled)) == fingerprint(values)


def test_the_fingerprint_changes_with_every_single_key_of_the_configuration() -> None:
    values = asdict(load_config("cosine"))
    prints = [fingerprint(values)]
    for name, value in values.items():
        if isinstance(value, dict):
            prints += [fingerprint({**values, name: {**value, key: "other"}}) for key in value]
        else:
            prints.append(fingerprint({**values, name: "other"}))
    assert len(prints) > 35
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_of_a_dataclass_is_that_of_its_mapping_and_parts_do_not_run_together() -> None:
    assert fingerprint(Config()) == fingerprint(asdict(Config()))
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_a_fingerprint_is_short_and_hexadecimal() -> None:
    assert len(fingerprint("a")) == DIGITS
    int(fingerprint("a"), 16)
