"""What many build by hand: faiss's exact search, and connected components of the pairs above a threshold."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.machine import cores
from benchmarks.measuring.timing import peak_gib, timed
from benchmarks.systems.comparison.prepared import load, measured, save_neighbors
from raycluster.arrays import Int64
from raycluster.kernels.components import components
from raycluster.kernels.edge_rules import threshold_edges
from raycluster.limits.far_ranks import pick_threshold, sample_pairs


def search(folder: str, k: int) -> dict[str, float]:
    """Write the exact neighbors by faiss's flat index; returns the time and the peak memory."""
    import faiss

    vectors = np.load(Path(folder) / "vectors.npy")
    faiss.omp_set_num_threads(cores())
    index = faiss.IndexFlatIP(vectors.shape[1])

    def add_and_search() -> Any:
        index.add(vectors)
        return index.search(vectors, k)

    run = timed(add_and_search)
    similarity, neighbor = run.result
    save_neighbors(folder, k, neighbor.astype(np.int32), similarity)
    return {"seconds": run.wall, "peak_gib": peak_gib()}


def linked(folder: str, k: int, memory_gib: float) -> dict[str, Any]:
    """Return the scores of the connected components of pairs above the threshold of `cosine`, seconds and peak memory."""
    data, identity = load(folder, k, memory_gib)
    neighbor, similarity = np.array(data.neighbor), np.array(data.similarity)
    threshold_edges(0, 2, neighbor[:2], similarity[:2], 2.0)  # compiles

    def labels() -> Int64:
        threshold, _ = pick_threshold(similarity, sample_pairs(data.vectors))
        edges = threshold_edges(0, data.rows, neighbor, similarity, threshold)
        return components(edges["source"], edges["target"], data.rows)

    return measured(labels, identity)
