"""Columns by what they hold: ids and labels in every spelling of Arrow, and types that may run code refused."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raycluster.errors import InputError
from raycluster.storage.column_types import (
    common_id_type,
    id_type_of,
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


@pytest.mark.parametrize("kind", [pa.float64(), pa.list_(pa.int64()), pa.bool_(), pa.timestamp("s")], ids=str)
def test_ids_of_other_types_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(InputError, match=r"^here is .*; ids are integers, strings or binary\.$"):
        id_type_of(kind, "here")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.uint16(), pa.uint16()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int8(), None),
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
        ([None, None], pa.chunked_array([pa.array([None, None], pa.int64())])),
    ],
)
def test_labels_with_gaps_are_whole_numbers_again(values: list[Any], expected: pa.ChunkedArray | None) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    found = whole_numbers(column)
    assert found.equals(column if expected is None else expected)
    assert whole_numbers(pa.chunked_array([["a"]])).type == pa.string()
    assert np.issubdtype(found.to_numpy().dtype, np.number)
