"""What a finished run published, read back and checked: labels, clusters, summary."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raycluster.errors import DamagedError, InputError
from raycluster.storage.object_store import Store


@dataclass(frozen=True)
class Results:
    """A finished run as its readers see it."""

    store: Store
    manifest: dict[str, Any]

    @classmethod
    def of(cls, url: str) -> "Results":
        """Open the run folder at `url`.

        Raises InputError where it holds no finished run, and DamagedError where its manifest is damaged.
        """
        store = Store(url)
        manifest = store.record("MANIFEST.json", dict[str, Any])
        if manifest is None:
            raise InputError(f"{url} holds no finished run: there is no MANIFEST.json.")
        return cls(store, manifest)

    def labels(self, columns: list[str] | None = None) -> pa.Table:
        """Return the labels of all rows; DamagedError where one of their files is damaged."""
        parts = self.manifest["labels"]
        return pa.concat_tables([self.store.get_table(part["path"], part["sha256"], columns) for part in parts])

    def table(self, name: str) -> pa.Table | None:
        """Return another table of the run by its name, none where it has no such table."""
        digest = self.manifest["files"].get(name)
        return None if digest is None else self.store.get_table(name, digest)

    def verify(self) -> None:
        """Read everything that was published; DamagedError for the first damaged object."""
        digests = {part["path"]: part["sha256"] for part in self.manifest["labels"]} | self.manifest["files"]
        for path, digest in digests.items():
            self.store.get_table(path, digest, [])


def finished_summary(store: Store, report: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the summary of a run whose results are all there; none where one is not.

    Parameters
    ----------
    store
        The run folder.
    report
        Gets a line where the results are damaged and are published again.
    """
    try:
        results = Results.of(store.url)
        results.verify()
    except InputError:
        return None
    except DamagedError as error:
        report(f"{error.damage}: the results are published again")
        store.delete("MANIFEST.json")
        return None
    return dict(results.manifest["summary"])
