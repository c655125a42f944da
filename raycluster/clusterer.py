"""scikit-learn's face over the pipeline: identities among rows in memory.

Rows come as an array, a data frame, an Arrow column or a file.

Neither Ray nor storage is touched, but where X is a path.
"""

import os
import pickle
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import Tags

from raycluster.arrays import Float32, Int64
from raycluster.config.plain import configuration_of
from raycluster.config.stages import DEFAULT_RECIPE, Config
from raycluster.errors import ConfigError, InputError
from raycluster.executors.progress import Progress, Silence
from raycluster.executors.sizing import own_threads
from raycluster.identities.growing import GrowingMixin
from raycluster.models.requirements import with_model
from raycluster.pipeline.rows_of import rows_of
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.edges import limits_of
from raycluster.stages.knn import recall_of
from raycluster.stages.label_columns import Labels
from raycluster.stages.labels import labels_of
from raycluster.storage.clear_errors import reason_of
from raycluster.storage.object_store import Store


class Clusterer(GrowingMixin, ClusterMixin, BaseEstimator):
    """Group the rows of X into identities, however many there are.

    Parameters
    ----------
    recipe : str, default="auto"
        Name of a recipe, or path of a YAML file. `raycluster recipes` lists them; each gives the labels of the job.
    n_neighbors : int, optional
        Neighbors per row, the row itself included. Raising it finds more of a large identity, and costs memory and time.
    limit : float, optional
        What an edge must reach: similarity, score, NEP or closeness, as the recipe has it. None reads it from the data.
        Raising it splits more.
    min_cluster_size : int, optional
        Rows below which a cluster counts as outliers.
    effort : {"default", "fast"}, default="default"
        `fast` is the recipe cosine. It excludes another recipe than the default.
    model : str, optional
        Folder of a trained model, for recipes with a network.
    n_jobs : int, optional
        Threads; None or -1 means all. Labels do not depend on it.
    random_state : int, optional
        Seed of samples and of the partition's search. None is the recipe's own; the same seed gives the same labels.
    verbose : bool, default=False
        Print what the job prints.
    outliers_as_noise : bool, default=False
        Give rows of clusters below `min_cluster_size` (2), and outliers by strength, the label -1.
    overrides : mapping, optional
        Any other key, nested as in a recipe's YAML, such as {"knn": {"recall": 0.99}}.
    threads : int, optional
        The same as `n_jobs`.

    Attributes
    ----------
    labels_ : int64 (N,)
        Cluster of every row.
    probabilities_ : float32 (N,)
        Strength of every row's place, 0..1: with a model that was calibrated for it, the probability that the row is of its
        cluster's majority identity; else the share of its edge weight inside the cluster. 1 for a row that is alone.
    rows_, clusters_ : pyarrow.Table
        What the job publishes: one row per row of X, and one per cluster.
    result_ : Labels
        The same as arrays.
    index_ : index of the data frame, or None
    threshold_ : float or None
        Similarity threshold in force, for recipes that have one.
    knn_recall_ : float
        Recall of the neighbors: 1, or measured on a sample for inverted lists.
    n_features_in_ : int
    feature_names_in_ : object (D,), for data frames with text columns.

    Notes
    -----
    Rows are taken in the order of their ids where `fit` gets any, else in the order of their content. So the partition does
    not depend on the order of X.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.repeat(np.eye(4), 5, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(20, 4))
    >>> Clusterer("cosine", n_neighbors=5).fit_predict(X).max() + 1
    4
    """

    def __init__(
        self,
        recipe: str = DEFAULT_RECIPE,
        *,
        n_neighbors: int | None = None,
        limit: float | None = None,
        min_cluster_size: int | None = None,
        effort: Literal["default", "fast"] = "default",
        model: str | None = None,
        n_jobs: int | None = None,
        random_state: int | None = None,
        verbose: bool = False,
        outliers_as_noise: bool = False,
        overrides: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.n_neighbors = n_neighbors
        self.limit = limit
        self.min_cluster_size = min_cluster_size
        self.effort = effort
        self.model = model
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.outliers_as_noise = outliers_as_noise
        self.overrides = overrides
        self.threads = threads

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name. Raises ConfigError for a name that there is not."""
        for name in params:
            if name not in self.get_params():
                raise ConfigError(f"Clusterer has no parameter '{name}'; it has {', '.join(self.get_params())}.")
        super().set_params(**params)
        return self

    def fit(self, X: Any, y: object = None, *, ids: Any = None) -> Self:  # noqa: ARG002
        """Cluster the rows of X.

        Parameters
        ----------
        X : (N, D) array, data frame, tensor, Arrow column or table, or path of a Parquet file or folder
            Real numbers of any length and type. A table or a file has its vectors in the column `embedding`.
        y : ignored
        ids : (N,) array, optional
            Unique ids: rows are then taken in their order, as the job does.

        Raises
        ------
        InputError
            For what is no such array, for rows with NaN, infinity or only zeros, and for ids that are not unique.
        ConfigError
            For parameters that are unknown, out of range or contradict each other.
        """
        config = self._configuration()
        rows = rows_of(X, ids, config)
        tables = in_memory(rows.unit[rows.order], config, self._threads(), ids=rows.ids.take(pa.array(rows.order)))
        run_stages(tables, LOCAL, Progress() if self.verbose else Silence())
        self._tables, self._order, self._has_ids = tables, rows.order, rows.has_ids
        recall = recall_of(tables)
        self.knn_recall_ = 1.0 if recall is None else recall.mean
        self.result_: Labels = labels_of(tables).in_rows(rows.order)
        self._set_labels(config)
        self.rows_ = self.result_.table(rows.ids)
        representatives = rows.ids.take(pa.array(self.result_.representative))
        self.clusters_ = self.result_.clusters_table(representatives, rows.ids.type)
        self.threshold_ = limits_of(tables).threshold
        self.index_ = rows.index
        self.n_features_in_ = rows.unit.shape[1]
        if rows.feature_names is not None:
            self.feature_names_in_ = rows.feature_names
        return self

    def fit_predict(self, X: Any, y: object = None, *, ids: Any = None) -> Int64:
        """Fit and return `labels_`.

        Parameters
        ----------
        X, y, ids
            As in `fit`.

        Returns
        -------
        int64 (N,)
            Cluster of every row.
        """
        return self.fit(X, y, ids=ids).labels_

    @property
    def strengths_(self) -> Float32:
        """The same as `probabilities_`."""
        return self.probabilities_

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a local file, whole or not at all."""
        folder, name = os.path.split(os.path.realpath(path))
        Store(folder).put(name, pickle.dumps(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Clusterer":
        """Return the estimator that `save` wrote.

        The file is a pickle: load only files of your own.
        """
        folder, name = os.path.split(os.path.abspath(path))
        data = Store(folder).get(name)
        if data is None:
            raise InputError(f"{path} does not exist.")
        try:
            loaded = pickle.loads(data)
        except Exception as error:  # bytes that are no pickle raise errors of many kinds
            raise InputError(f"{path} holds no Clusterer: {reason_of(error)}.") from error
        if not isinstance(loaded, cls):
            raise InputError(f"{path} holds no Clusterer.")
        return loaded

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.input_tags.sparse = True
        tags.non_deterministic = False
        return tags

    def _threads(self) -> int:
        count = self.n_jobs if self.threads is None else self.threads
        if count is None or count == -1:
            return own_threads()
        if not isinstance(count, int | np.integer) or count < 1:
            raise ConfigError(f"n_jobs is {count!r}: it takes a number of threads of at least 1, or -1 for all.")
        return int(count)

    def _configuration(self) -> Config:
        """Return the configuration of the parameters."""
        return with_model(configuration_of(self.get_params()))
