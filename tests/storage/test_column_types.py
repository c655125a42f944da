"""Columns by what they hold: ids and labels in every spelling of Arrow, and types that may run code refused."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import InputError
from raycluster.storage.column_types import (
    common_id_type,
    id_type_of,
    ids_as,
    plain_ids,
    require_columns,
    storage_type,
    whole_numbers,
)


class Foreign(pa.ExtensionType):
    """An extension type that no library registers."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "somebody.elses")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> "Foreign":
        return cls()


def marked(name: str) -> pa.Field:
    """A column whose file names an extension type."""
    return pa.field("id", pa.int64(), metadata={"ARROW:extension:name": name})


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (pa.schema([("key", pa.int64()), ("label", pa.int64())]), "here has no column 'id'; it has key, label."),
        (pa.schema([("id", pa.int64()), ("id", pa.string())]), "here has 2 columns named 'id'."),
        (pa.schema([("id", Foreign())]), "here, column 'id' has the extension type somebody.elses, which may run code"),
        (pa.schema([("id", pa.list_(Foreign()))]), "the extension type somebody.elses"),
        (pa.schema([marked("torch.pickled")]), "the extension type torch.pickled"),
    ],
    ids=["missing", "twice", "foreign", "foreign inside", "foreign by its mark"],
)
def test_a_column_that_cannot_be_used_is_refused(schema: pa.Schema, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        require_columns(schema, ["id"], "here")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "field", [pa.field("id", pa.uuid()), marked("ray.data.arrow_tensor_v2"), pa.field("id", pa.int8())]
)
def test_canonical_extensions_and_columns_that_nobody_names_are_allowed(field: pa.Field) -> None:
    require_columns(pa.schema([field, pa.field("blob", Foreign())]), ["id"], "here")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.int16(), pa.int16()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.string_view(), pa.large_string()),
        (pa.large_string(), pa.large_string()),
        (pa.uuid(), pa.binary()),
        (pa.binary(16), pa.binary()),
        (pa.large_binary(), pa.large_binary()),
        (pa.null(), None),
    ],
    ids=str,
)
def test_ids_have_a_plain_type(kind: pa.DataType, expected: pa.DataType | None) -> None:
    assert id_type_of(kind, "here") == expected


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.bool_(), pa.timestamp("s")], ids=str)
def test_ids_of_other_types_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(InputError, match=r"^here is .*; ids are integers, strings or binary\.$"):
        id_type_of(kind, "here")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.uint16(), pa.uint16()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int8(), pa.int64()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.binary(), pa.large_binary(), pa.large_binary()),
        (pa.string(), pa.binary(), None),
        (pa.int64(), pa.string(), None),
    ],
    ids=str,
)
def test_ids_of_two_files_share_the_wider_type(first: Any, second: Any, expected: Any) -> None:
    assert common_id_type(first, second) == expected
    assert common_id_type(second, first) == expected
    assert common_id_type(first, first) == first


def test_storage_types_are_found_below_extension_and_dictionary() -> None:
    assert storage_type(pa.dictionary(pa.int8(), pa.uuid())) == pa.binary(16)
    assert storage_type(pa.float16()) == pa.float16()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", "b", "a"]).dictionary_encode(), pa.array(["a", "b", "a"])),
        (pa.array([b"ab", None], pa.binary(2)), pa.array([b"ab", None], pa.binary())),
        (pa.array(["a"], pa.string_view()), pa.array(["a"], pa.large_string())),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))), pa.array([b"0" * 16])),
        (pa.array([3, None], pa.int8()), pa.array([3, None], pa.int8())),
    ],
    ids=["dictionary", "fixed size", "view", "uuid", "integers"],
)
def test_ids_are_read_without_their_spelling(column: pa.Array, expected: pa.Array) -> None:
    plain = plain_ids(pa.chunked_array([column]))
    assert plain.equals(pa.chunked_array([expected]))
    assert plain.type == expected.type


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, None, 3.0], pa.chunked_array([[1, None, 3]])),
        ([1.0, float("nan")], pa.chunked_array([[1, None]])),
        ([1.0, 2.5], None),
        ([1.0, float("inf")], None),
        ([1.0, 1e30], None),
        ([None, None], pa.chunked_array([pa.array([None, None], pa.int64())])),
    ],
)
def test_labels_with_gaps_are_whole_numbers_again(values: list[Any], expected: pa.ChunkedArray | None) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    found = whole_numbers(column)
    assert found.equals(column if expected is None else expected)
    assert whole_numbers(pa.chunked_array([["a"]])).type == pa.string()
    assert np.issubdtype(found.to_numpy().dtype, np.number)


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        (pa.array([1, None], pa.uint8()), pa.int64(), [1, None]),
        (pa.array(["7", "8"]), pa.int64(), [7, 8]),
        (pa.array([7.0, 8.0]), pa.int64(), [7, 8]),
        (pa.array([7, 8]).cast(pa.decimal128(20, 0)), pa.int64(), [7, 8]),
        (pa.array(["a", "b"]).dictionary_encode(), pa.large_string(), ["a", "b"]),
        (pa.array([b"a", b"b"]), pa.string(), ["a", "b"]),
        (pa.array([7, 8]), pa.string(), ["7", "8"]),
        (pa.array([b"0" * 16], pa.uuid()), pa.binary(), [b"0" * 16]),
        (pa.array([None], pa.null()), pa.string(), [None]),
    ],
    ids=str,
)
def test_ids_are_read_as_those_of_the_run(written: pa.Array, kind: pa.DataType, expected: list[Any]) -> None:
    found = ids_as(written, kind, "here")
    assert (found.type, found.to_pylist()) == (kind, expected)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (pa.array(["a"]), pa.int64()),
        (pa.array([1.5]), pa.int64()),
        (pa.array([float("nan")]), pa.int64()),
        (pa.array([2**63], pa.uint64()), pa.int64()),
        (pa.array([1], pa.timestamp("us")), pa.int64()),
        (pa.array([b"1"]), pa.int64()),
        (pa.array([True]), pa.string()),
        (pa.array([1.0]), pa.string()),
        (pa.array([[1]]), pa.string()),
        (pa.array([b"\xff"]), pa.string()),
    ],
    ids=str,
)
def test_ids_that_cannot_be_those_of_the_run_are_refused(written: pa.Array, kind: pa.DataType) -> None:
    with pytest.raises(InputError, match=rf"^here is .*, but the run's ids are {kind}\.$"):
        ids_as(written, kind, "here")


def test_small_unsigned_ids_and_wide_signed_ones_meet() -> None:
    assert common_id_type(pa.uint8(), pa.int64()) == pa.int64()
    assert common_id_type(pa.int32(), pa.uint64()) == pa.int64()


def test_the_first_id_that_does_not_fit_is_named() -> None:
    ids = pa.chunked_array([pa.array([1, 2, None], pa.uint64()), pa.array([3, 2**63 + 5, 2**63], pa.uint64())])
    with pytest.raises(InputError) as caught:
        ids_as(ids, pa.int64(), "here")
    assert str(caught.value) == f"here is uint64 and holds {2**63 + 5}, but the run's ids are int64."
