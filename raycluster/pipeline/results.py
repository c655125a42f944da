"""What a finished run published, read back and checked: labels, clusters, summary."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raycluster.errors import InputError
from raycluster.storage.object_store import Store


@dataclass(frozen=True)
class Results:
    """A finished run as its readers see it."""

    store: Store
    manifest: dict[str, Any]

    @classmethod
    def of(cls, url: str) -> "Results":
        """Open the run folder at `url`. Raises InputError where it holds no finished run."""
        store = Store(url)
        data = store.get("MANIFEST.json")
        if data is None:
            raise InputError(f"{url} holds no finished run: there is no MANIFEST.json.")
        return cls(store, json.loads(data))

    def labels(self, columns: list[str] | None = None) -> pa.Table:
        """Return the labels of all rows. Raises StorageError where a part is missing or damaged."""
        parts = self.manifest["labels"]
        return pa.concat_tables([self.store.get_table(part["path"], part["sha256"], columns) for part in parts])
