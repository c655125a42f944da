"""Print the numbers of two pictures from a run: sizes of identities, and the histogram of scores with its limit.

    raycluster generate -o faces --rows 4000
    raycluster cluster faces -o run
    python docs/_build/example_numbers.py run
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from raycluster.pipeline.run import open_run
from raycluster.storage import node_cache

BINS = 25
"""Bars of the histogram of scores, over 0..1."""


def sizes_of(run: Path) -> list[tuple[str, int]]:
    """Return how many identities have 1, 2, 3 to 4, 5 to 8, ... rows."""
    size = pq.read_table(run / "clusters.parquet")["size"].to_numpy()
    counts, low, high = [], 1, 1
    while low <= size.max():
        counts.append((f"{low}" if low == high else f"{low}-{high}", int(((size >= low) & (size <= high)).sum())))
        low, high = high + 1, 2 * high
    return counts


def scores_of(run: Path) -> list[int]:
    """Return the histogram of all scores of neighbors."""
    tables = open_run(str(run))
    score = np.array(tables.column("relations", "score"))
    node_cache.remove(tables.folder)
    return [int(count) for count in np.histogram(score[~np.isnan(score)], BINS, (0, 1))[0]]


def main(run: Path) -> None:
    """Print what `draw_pictures.py` holds."""
    limit = json.loads((run / "MANIFEST.json").read_text())["summary"]["eta"]
    print(f"SIZES = {sizes_of(run)}\nSCORES, LIMIT = {scores_of(run)}, {limit:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
