"""Fingerprints: short names that change whenever what they stand for changes."""

import dataclasses
import hashlib
import json
from typing import Any

DIGITS = 12
"""Hex digits of a fingerprint, 48 bits: two of a run's few dozen never meet."""


def fingerprint(*parts: Any) -> str:
    """Return twelve hex digits that change when any of `parts` does.

    Parts are dataclasses or values that JSON can hold. The order of keys does not count.
    """
    plain = [dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part for part in parts]  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:DIGITS]
