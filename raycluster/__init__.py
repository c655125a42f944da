"""Find identities among embeddings when nobody knows how many there are.

    embeddings -> knn -> topk -> relations -> edges -> communities -> labels

`raycluster.stages` holds one module a step: pure functions on arrays, and how they read and write a run folder.
`raycluster.Clusterer` runs them on an array in this process; `jobs/cluster.py` runs them over Parquet, on Ray.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Clusterer", "RayclusterError", "__version__"]

if TYPE_CHECKING:
    from raycluster.errors import RayclusterError
    from raycluster.estimator import Clusterer


def __getattr__(name: str) -> Any:
    if name == "Clusterer":
        from raycluster.estimator import Clusterer

        return Clusterer
    if name == "RayclusterError":
        from raycluster.errors import RayclusterError

        return RayclusterError
    raise AttributeError(f"module 'raycluster' has no attribute '{name}'")
