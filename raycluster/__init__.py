"""Find identities among embeddings when nobody knows how many there are.

    embeddings -> knn -> topk -> relations -> edges -> communities -> labels

`raycluster.stages` holds one module a step: pure functions on arrays, and how they read and write a run folder.
`raycluster.Clusterer` runs them on an array in this process; `jobs/cluster.py` runs them over Parquet, on Ray.
"""

from typing import TYPE_CHECKING, Any

from raycluster._version import __version__

__all__ = ["Clusterer", "RayclusterError", "__version__"]

if TYPE_CHECKING:
    from raycluster.clusterer import Clusterer
    from raycluster.errors import RayclusterError


def __getattr__(name: str) -> Any:
    if name == "Clusterer":
        from raycluster.clusterer import Clusterer

        return Clusterer
    if name == "RayclusterError":
        from raycluster.errors import RayclusterError

        return RayclusterError
    raise AttributeError(f"module 'raycluster' has no attribute '{name}'")
