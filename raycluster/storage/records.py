"""The JSON records of a run folder, typed: plan, marker, manifest.

Records are decoded strictly: a missing key, a value of another type or broken JSON is one sentence that names the object.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import msgspec

from raycluster.errors import StorageError

Record = TypeVar("Record")
LAYOUT = 2
"""Layout of the run folder. Raised when a folder of an earlier version can no longer be read."""


@dataclass(frozen=True)
class InputFile:
    """A file of the input. A changed size or version is a changed file."""

    path: str
    """Path below the input; empty where the input is one file."""
    size: int
    """Bytes."""
    version: str
    """ETag of an object, or modification time of a file."""


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


@dataclass(frozen=True)
class Marker:
    """Which attempt at a task counts, and what it found out."""

    key: str
    """The attempt's table, below the run folder."""
    rows: int
    sha256: str
    """Of the table's bytes."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelsPart:
    """One file of the published labels."""

    path: str
    rows: int
    sha256: str


def encode(record: Any) -> bytes:
    """Return a record, or any JSON-ready value, as JSON. Binary ids become an object with one key, `hex`."""
    plain = asdict(record) if hasattr(record, "__dataclass_fields__") else record
    return json.dumps(plain, default=_from_bytes).encode()


def decode(data: bytes, kind: type[Record], name: str) -> Record:
    """Return the record of type `kind` in the object `name`. Raises StorageError where it holds something else."""
    try:
        return msgspec.convert(json.loads(data, object_hook=_to_bytes), kind, strict=True)
    except (ValueError, msgspec.ValidationError) as error:
        raise StorageError(f"{name} was changed or damaged: {' '.join(str(error).split())}.") from error


def _from_bytes(value: bytes) -> dict[str, str]:
    return {"hex": value.hex()}


def _to_bytes(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else value
