"""Generated identities to train on beside labelled ones: a network learns the sizes of identities it was shown."""

import json

from raycluster.store import Store
from raycluster.synthetic import PRESETS, SyntheticConfig, write_parquet

KINDS = ("demo", "long-tail", "dense", "large")
"""Presets that together hold identities of 1 to 500 rows, loose and tight, alike and apart."""
FIRST_SEED = 2**40
"""Far from the seeds that people give, so that no set they generate for a test holds the same identities."""


def write(url: str, rows: int, seed: int) -> list[str]:
    """Write a set of each kind with its share of `rows` below `url`, unless an earlier start has; returns their URLs."""
    store = Store(url)
    for number, kind in enumerate(KINDS):
        if store.get(f"{kind}.json") is None:
            store.delete(kind)
            chosen = {"rows": rows // len(KINDS), "seed": FIRST_SEED + len(KINDS) * seed + number}
            names = write_parquet(SyntheticConfig(**PRESETS[kind] | chosen), f"{url}/{kind}")
            store.put(f"{kind}.json", json.dumps(names).encode())
    return [f"{url}/{kind}" for kind in KINDS]
