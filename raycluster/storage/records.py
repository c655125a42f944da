"""The JSON records of a run folder: plan, marker, facts, manifest.

They are typed and sealed.

A record begins with the SHA-256 of all bytes behind it. Records are decoded strictly: other bytes than those that were
written, a missing key, a value of another type or broken JSON is one sentence that names the object.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import msgspec

from raycluster.errors import DamagedError

Record = TypeVar("Record")
SEALED = b'{"digest": "'
"""How every sealed record begins."""
SEAL = re.compile(rb'\{"digest": "([0-9a-f]{64})"(?:, )?(.*)\}', re.DOTALL)
"""A sealed record: the digest, and the bytes that it covers."""
LAYOUT = 3
"""Layout of the run folder. Raised when a folder of an earlier version can no longer be read."""


@dataclass(frozen=True)
class InputFile:
    """A file of the input. A changed size or version is a changed file."""

    path: str
    """Path below the input; empty where the input is one file."""
    size: int
    """Bytes."""
    version: str
    """ETag of an object, or SHA-256 of a local file's bytes."""


@dataclass(frozen=True)
class InputDescription:
    """The input of a run, in what it is compared by."""

    url: str
    """Where the input lies. The same files elsewhere are the same input."""
    files: list[InputFile]
    left_out: list[list[str]] = field(default_factory=list)
    """Files that are not read, each with the reason."""
    hidden: int = 0
    """Files that are skipped by rule: hidden ones, markers and checksums of writers."""
    states: list[list[int]] = field(default_factory=list)
    """State of every local file before its digest was taken; nothing is compared by it alone."""


@dataclass(frozen=True)
class PlannedInput:
    """The input as the plan found it."""

    url: str
    files: list[InputFile]
    id_type: str
    """Arrow type of the ids."""
    width: int
    """Coordinates per vector, D."""
    rows: int
    """Rows, those that will be dropped included."""
    left_out: list[list[str]] = field(default_factory=list)
    """Files that are not read, each with the reason."""
    numbered: bool = False
    """Whether ids are row numbers, because no file has an id column."""
    states: list[list[int]] = field(default_factory=list)
    """State of every local file at the latest start; empty for objects."""

    @property
    def identity(self) -> list[dict[str, Any]]:
        """What fingerprints cover: the files, wherever they lie."""
        return [asdict(file) for file in self.files]


@dataclass(frozen=True)
class Piece:
    """Consecutive row groups of one input file: the unit in which the input is read."""

    file: int
    """Number of the file."""
    groups: list[int]
    """Its row groups."""
    first_row: int
    """Row of the file at which the piece starts."""
    rows: int
    offset: int = 0
    """Row of the whole input at which the piece starts, in the order of files."""
    id_bytes: int = 0
    """Bytes of its ids before compression, by the file's own count."""


@dataclass(frozen=True)
class Plan:
    """What a run is: its input, its configuration, and how the input is cut."""

    layout: int
    version: str
    """Version of the package that made the plan."""
    config: dict[str, Any]
    """The resolved configuration, as nested mappings."""
    input: PlannedInput
    pieces: list[Piece]
    shards: int
    """Row shards."""
    unfitted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keys that the number of rows decided, as they were configured. A full run of more rows decides them anew."""


@dataclass(frozen=True)
class Chunk:
    """Bytes start..stop of a part: a Parquet file of some columns of one block."""

    start: int
    stop: int
    sha256: str
    columns: list[str]


@dataclass(frozen=True)
class Marker:
    """Which attempt at a task counts, and what it found out."""

    key: str
    """The attempt's part, below the run folder."""
    rows: int
    sha256: str
    """Of the part's bytes, or of the digests of its pieces where there are several."""
    blocks: list[list[Chunk]]
    """The pieces of every block of the part."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelsPart:
    """One file of the published labels."""

    path: str
    rows: int
    sha256: str


def encode(record: Any) -> bytes:
    """Return a record, or any JSON object, as sealed JSON.

    Binary ids become an object with one key, `hex`.
    """
    plain = asdict(record) if hasattr(record, "__dataclass_fields__") else record
    body = json.dumps(plain, default=_from_bytes).encode()[1:-1]
    return b'{"digest": "%s"%s%s}' % (_digest(body), b", " if body else b"", body)


def decode(data: bytes, kind: type[Record], name: str) -> Record:
    """Return the record of type `kind` in the object `name`.

    Parameters
    ----------
    data
        The object's bytes.
    kind
        Type of the record.
    name
        Of the object, for messages.

    Raises
    ------
    DamagedError
        Where the object holds something else.
    """
    sealed = SEAL.fullmatch(data)
    if sealed is None or _digest(sealed[2]) != sealed[1]:
        raise DamagedError(f"{name} was changed or damaged: its bytes do not have the digest that it names.")
    values = decode_unchecked(data, name)
    del values["digest"]
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise DamagedError(f"{name} was changed or damaged: {' '.join(str(error).split())}.") from error


def decode_unchecked(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in `name`, whatever wrote it; DamagedError for none."""
    try:
        values = json.loads(data, object_hook=_to_bytes)
    except ValueError as error:
        raise DamagedError(f"{name} was changed or damaged: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise DamagedError(f"{name} was changed or damaged: it holds no JSON object.")
    return values


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _from_bytes(value: bytes) -> dict[str, str]:
    return {"hex": value.hex()}


def _to_bytes(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else value
