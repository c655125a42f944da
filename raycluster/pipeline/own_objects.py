"""Objects of a run folder that are ours, by their names. Anything else stays."""

import re
from typing import Any

from raycluster.errors import ConfigError, DamagedError
from raycluster.storage.object_store import Store
from raycluster.storage.run_folder import RunFolder

PUBLISHED = ("MANIFEST.json", "clusters.parquet", "dropped.parquet", "duplicates.parquet")
"""What a finished run shows to readers, beside the parts of `labels` that the manifest names."""
OWN_BEFORE_PLAN = re.compile(
    r"((plan|update)\.json|state/input\.parquet)\.[0-9a-f]{32}\.tmp|state/input\.parquet|\.visible-[0-9a-f]{32}"
)
"""What a start that was killed before it stored its plan leaves in a folder; a full update puts its input there."""
OWN_OF_STAGE = re.compile(
    r"stages/[a-z_]+/[0-9a-f]{12}/"
    r"(part-\d{5}-[0-9a-f]{8}\.parquet|done/\d{5}\.json|facts\.json|markers\.json|[a-z_]+\.npy|"
    r"attempts/[0-9a-z-]+/[0-9a-f]{8}(-[0-9a-f]+)?)"
)
"""Names that stages of a run give to their objects."""
OWN_LABELS = re.compile(r"labels/part-\d{5}\.parquet")
"""Names of the parts of the published labels."""


def require_unused(store: Store) -> None:
    """Raise ConfigError where a folder without a plan holds what is not ours.

    A start of ours that was killed leaves objects before its plan.
    """
    if store.is_file():
        raise ConfigError(f"The output {store.url} is a file; choose a folder.")
    foreign = [name for name in store.files() if not OWN_BEFORE_PLAN.fullmatch(name)]
    if "MANIFEST.json" in foreign:
        raise ConfigError(f"The folder {store.url} holds results without a plan; choose an empty --output.")
    if foreign:
        raise ConfigError(
            f"The folder {store.url} is not empty and holds no run (it has {foreign[0]}); choose an empty --output."
        )


def take_back(store: Store) -> None:
    """Remove what a run has published: the manifest first, then what it names."""
    try:
        manifest = store.record("MANIFEST.json", dict[str, Any]) or {"labels": []}
        parts = [part["path"] for part in manifest["labels"]]
    except DamagedError:
        parts = [name for name in store.files("labels") if OWN_LABELS.fullmatch(name)]
    for name in (*PUBLISHED, *parts):
        store.delete(name)
    store.remove_empty_folders("labels")


def remove_unused(folder: RunFolder) -> None:
    """Remove plan and stages of a run that was refused before it found anything."""
    for name in ("plan.json", "arithmetic.json", "processor.json", "progress.json"):
        folder.store.delete(name)
    for name in folder.store.files("stages"):
        if OWN_OF_STAGE.fullmatch(name):
            folder.store.delete(name)
    folder.store.remove_empty_folders("stages")
