"""Records of a run folder: what is written reads back as it was, and nothing else is taken for one."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from raycluster.errors import DamagedError
from raycluster.storage.records import (
    LAYOUT,
    Chunk,
    InputFile,
    Marker,
    Piece,
    Plan,
    PlannedInput,
    decode,
    encode,
)

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
BLOCKS = [[Chunk(0, 40, "00", ["row", "id"]), Chunk(40, 70, "ff", ["embedding"])]]
MARKER = Marker(
    "part-00001.parquet", 3, "00ff", BLOCKS, {"dropped": [[b"\x00\xff", 3, "only zeros"], ["hex", 4, "a null"]]}
)


@pytest.mark.parametrize("record", [PLAN, MARKER, Marker("part", 0, "", [])])
def test_a_record_reads_back_as_it_was(record: Any) -> None:
    assert decode(encode(record), type(record), "RUN/record.json") == record


def test_binary_ids_survive_json() -> None:
    assert encode({"id": b"\x00\xff"}).endswith(b', "id": {"hex": "00ff"}}')
    assert decode(encode(MARKER), Marker, "marker").facts["dropped"][0][0] == b"\x00\xff"


def test_a_record_is_plain_json_whose_digest_covers_the_rest() -> None:
    data = encode({"rows": 3})
    body = b'"rows": 3'
    assert json.loads(data) == {"digest": hashlib.sha256(body).hexdigest(), "rows": 3}
    assert json.loads(encode({})) == {"digest": hashlib.sha256(b"").hexdigest()}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "do not have the digest"),
        (encode(PLAN)[:-9], "do not have the digest"),
        (encode(MARKER).replace(b'"rows": 3', b'"rows": 4'), "do not have the digest"),
        (encode({"key": "part", "rows": 3}), "missing required field `sha256`"),
        (encode({"key": "part", "rows": "3", "sha256": "", "blocks": []}), "Expected `int`, got `str`"),
        (encode({"key": {"hex": "0g"}, "rows": 3, "sha256": ""}), "non-hexadecimal"),
    ],
    ids=["empty", "cut off", "edited", "a key is missing", "a number as text", "no hex"],
)
def test_what_is_no_record_is_refused_in_one_sentence_that_names_the_object(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedError) as caught:
        decode(data, Marker, "s3://bucket/run/done/00001.json")
    sentence = str(caught.value)
    assert sentence.startswith("s3://bucket/run/done/00001.json was changed or damaged: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert reason in sentence


@pytest.mark.parametrize("record", [PLAN, MARKER, {"starts": [0, 9]}], ids=["plan", "marker", "facts"])
def test_no_flipped_bit_of_a_record_passes(record: Any) -> None:
    data = encode(record)
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedError):
            decode(bytes(flipped), type(record), "RUN/record.json")


def test_the_identity_of_an_input_is_its_files_wherever_they_lie() -> None:
    moved = replace(PLAN.input, url="/elsewhere")
    assert moved.identity == PLAN.input.identity
    grown = replace(PLAN.input, files=[replace(PLAN.input.files[0], size=11), PLAN.input.files[1]])
    assert grown.identity != PLAN.input.identity
