"""What many build by hand: faiss's exact search, and connected components of the pairs above a threshold."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from comparison import prepared
from measure import peak_gib, seconds
from raycluster.evaluation import metrics
from raycluster.kernels.components import components
from raycluster.kernels.edge_rules import threshold_edges
from raycluster.limits.far_ranks import pick_threshold, sample_pairs


def search(folder: str, k: int) -> dict[str, float]:
    """The exact neighbors by faiss's flat index, written where `prepared.load` looks for them."""
    import faiss

    vectors = np.load(Path(folder) / "vectors.npy")
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    index = faiss.IndexFlatIP(vectors.shape[1])
    found: list[Any] = []

    def add_and_search() -> None:
        index.add(vectors)
        found.extend(index.search(vectors, k))

    spent = seconds(add_and_search)
    np.save(Path(folder) / f"similarity-{k}.npy", found[0])
    np.save(Path(folder) / f"neighbor-{k}.npy", found[1].astype(np.int32))
    return {"seconds": spent, "peak_gib": peak_gib()}


def linked(folder: str, k: int, memory_gib: float) -> dict[str, Any]:
    """Connected components of the pairs above the threshold that `cosine` picks."""
    data, identity = prepared.load(folder, k, memory_gib)
    neighbor, similarity = np.array(data.neighbor), np.array(data.similarity)
    found: list[Any] = []

    def link() -> None:
        threshold, _ = pick_threshold(similarity, sample_pairs(data.vectors))
        edges = threshold_edges(0, data.rows, neighbor, similarity, threshold)
        found.append(components(edges["source"], edges["target"], data.rows))

    threshold_edges(0, 2, neighbor[:2], similarity[:2], 2.0)
    spent = seconds(link)
    return {"scores": metrics.evaluate(identity, found[0]), "seconds": spent, "peak_gib": peak_gib()}
