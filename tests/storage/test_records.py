"""Records of a run folder: what is written reads back as it was, and nothing else is taken for one."""

from dataclasses import replace
from typing import Any

import pytest

from raycluster.errors import StorageError
from raycluster.storage.records import LAYOUT, InputFile, Marker, Piece, Plan, PlannedInput, decode, encode

PLAN = Plan(
    layout=LAYOUT,
    version="0.1.0",
    config={"knn": {"k": 80}, "model": None},
    input=PlannedInput(
        "s3://bucket/in", [InputFile("a.parquet", 10, "etag"), InputFile("b.parquet", 7, "2")], "int64", 48, 9
    ),
    pieces=[Piece(0, [0, 1], 0, 5), Piece(1, [0], 0, 4, offset=5)],
    shards=2,
)
MARKER = Marker("part-00001.parquet", 3, "00ff", {"dropped": [[b"\x00\xff", 3, "only zeros"], ["hex", 4, "a null"]]})


@pytest.mark.parametrize("record", [PLAN, MARKER, Marker("part", 0, "")])
def test_a_record_reads_back_as_it_was(record: Any) -> None:
    assert decode(encode(record), type(record), "RUN/record.json") == record


def test_binary_ids_survive_json() -> None:
    assert encode({"id": b"\x00\xff"}) == b'{"id": {"hex": "00ff"}}'
    assert decode(encode(MARKER), Marker, "marker").facts["dropped"][0][0] == b"\x00\xff"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Expecting value"),
        (encode(PLAN)[:-9], ""),
        (encode({"key": "part", "rows": 3}), "missing required field `sha256`"),
        (encode({"key": "part", "rows": "3", "sha256": ""}), "Expected `int`, got `str`"),
        (encode([1, 2]), "Expected `object`"),
        (encode({"key": {"hex": "0g"}, "rows": 3, "sha256": ""}), "non-hexadecimal"),
    ],
    ids=["empty", "cut off", "a key is missing", "a number as text", "a list", "no hex"],
)
def test_what_is_no_record_is_refused_in_one_sentence_that_names_the_object(data: bytes, reason: str) -> None:
    with pytest.raises(StorageError) as caught:
        decode(data, Marker, "s3://bucket/run/done/00001.json")
    sentence = str(caught.value)
    assert sentence.startswith("s3://bucket/run/done/00001.json was changed or damaged: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert reason in sentence


def test_the_identity_of_an_input_is_its_files_wherever_they_lie() -> None:
    moved = replace(PLAN.input, url="/elsewhere")
    assert moved.identity == PLAN.input.identity
    grown = replace(PLAN.input, files=[replace(PLAN.input.files[0], size=11), PLAN.input.files[1]])
    assert grown.identity != PLAN.input.identity
