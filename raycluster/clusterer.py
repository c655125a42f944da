"""The same stages in this process on an array, with scikit-learn's conventions; neither Ray nor storage is touched."""

import inspect
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raycluster.arrays import Float32
from raycluster.config.load import load_config
from raycluster.config.stages import DEFAULT_RECIPE, Config
from raycluster.errors import ConfigError, InputError
from raycluster.executors.progress import Silence
from raycluster.executors.sizing import own_threads
from raycluster.kernels.unit_rows import REASONS, normalize
from raycluster.models.requirements import with_model
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.edges import limits_of
from raycluster.stages.knn import recall_of, require_rows
from raycluster.stages.labels import labels_of


class Clusterer:
    """Groups the rows of an array into identities.

    recipe: a recipe's name or the path of a YAML file. overrides: keys laid over the recipe, nested as in the YAML, such as
    {"knn": {"k": 40}, "edges": {"threshold": 0.6}}. outliers_as_noise: give outliers (`labels.min-cluster-size`,
    `labels.min-strength`) the label -1 instead of a cluster of their own. threads: at most this many; none means all.

    After `fit`: labels_ int64 (N,), strengths_ float32 (N,) in 0..1 (the probability that a row is of its cluster's
    majority identity, with a model that was calibrated for it, else the share of its edge weight that stays there),
    threshold_ the similarity threshold in force or None, knn_recall_ the neighbors' recall (1, or measured on a sample for
    inverted lists), result_ the full `Labels`, n_features_in_.
    """

    def __init__(
        self,
        recipe: str = DEFAULT_RECIPE,
        *,
        overrides: Mapping[str, Any] | None = None,
        outliers_as_noise: bool = False,
        threads: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.overrides = overrides
        self.outliers_as_noise = outliers_as_noise
        self.threads = threads

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments by name; raises ConfigError for a name there is not."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(f"Clusterer has no parameter '{name}'; it has {', '.join(self.get_params())}.")
            setattr(self, name, value)
        return self

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Cluster the rows of X (N, D), any real dtype and length, 2 rows or more.

        Rows are taken in the order of their content, so the partition does not depend on the order of X. Raises
        InputError for what is no such array, for rows with NaN, infinity or only zeros, and for k >= N.
        """
        config = with_model(load_config(self.recipe, dict(self.overrides or {}), "overrides"))
        threads = self.threads or own_threads()
        vectors = _checked(X, config)
        order = np.argsort(vectors.view(np.dtype((np.void, vectors.strides[0]))).ravel(), kind="stable")
        tables = in_memory(vectors[order], config, threads, ids=pa.array(order))
        run_stages(tables, LOCAL, Silence())
        self.result_ = labels_of(tables).in_rows(order)
        self.labels_ = self.result_.cluster_id.astype(np.int64)
        if self.outliers_as_noise:
            self.labels_[self.result_.is_outlier] = -1
        self.strengths_ = self.result_.strength.astype(np.float32)
        recall = recall_of(tables)
        self.knn_recall_ = 1.0 if recall is None else recall.mean
        self.threshold_ = limits_of(tables).threshold
        self.n_features_in_ = vectors.shape[1]
        return self

    def fit_predict(self, X: npt.ArrayLike, y: object = None) -> npt.NDArray[np.int64]:
        """Fit and return labels_."""
        return self.fit(X, y).labels_


def _checked(X: npt.ArrayLike, config: Config) -> Float32:
    """Unit rows, or a clear sentence."""
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise InputError("X must be a 2-d array of numbers, but its rows differ in length.") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] == 0:
        raise InputError(f"X must be a 2-d array of numbers, not {array.dtype} of shape {array.shape}.")
    require_rows(config.knn, len(array), "X")
    unit, reason = normalize(array)
    bad = np.flatnonzero(reason)
    if len(bad):
        raise InputError(f"X, row {bad[0]}: the vector holds {REASONS[reason[bad[0]]]}.")
    if (unit == unit[0]).all():
        raise InputError(f"All {len(unit)} rows of X hold the same vector; nothing tells identities apart.")
    return np.ascontiguousarray(unit)
