"""`Clusterer` after its fit: new rows come in, or are compared with what is there."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from raycluster.arrays import Float32, Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.identities.living import Kept, Living
from raycluster.identities.published import labels_and_clusters
from raycluster.pipeline.rows_of import Rows, rows_of
from raycluster.stages.label_columns import Labels
from raycluster.stages.labels import nulls_for_nan
from raycluster.storage import schemas
from raycluster.storage.column_types import ids_as


class GrowingMixin:
    """Takes new rows into a fitted estimator."""

    labels_: Int64
    probabilities_: Float32
    result_: Labels
    rows_: pa.Table
    clusters_: pa.Table
    index_: Any
    n_features_in_: int
    outliers_as_noise: bool
    _kept: Kept
    _order: Int64
    _has_ids: bool

    @abstractmethod
    def _configuration(self) -> Config:
        """Return the configuration of the parameters."""

    @abstractmethod
    def _threads(self) -> int:
        """Return the threads to use."""

    def update(self, X: Any, *, ids: Any = None) -> Self:
        """Take new rows into the clustering.

        Labels of old rows stay wherever their identities do.

        Neighbors, scores and communities are computed for new rows and those near them. Limits are those of `fit`.

        Parameters
        ----------
        X : (M, D)
            New rows, as in `fit`.
        ids : (M,) array, optional
            Ids that no row has; needed where `fit` got ids.

        Returns
        -------
        Clusterer
            Itself. All attributes cover old rows, then new ones.

        Raises
        ------
        InputError
            As in `fit`, and for ids that are there already.
        """
        living, rows, unit = self._living(X, ids)
        names = rows.arrow_ids
        if ids is None:
            if self._has_ids:
                raise InputError("The rows of fit have ids; update needs ids, too.")
            names = pa.array(np.arange(len(unit)) + len(self.labels_), names.type)
        names = ids_as(names, living.state.ids.type, "ids").combine_chunks()
        there = pa.compute.is_in(names, value_set=living.state.ids)
        if pa.compute.any(there).as_py():
            raise InputError(f"The id {names.filter(there)[0]} is there already.")
        order = rows.order(unit)
        living, result = living.with_rows(names.take(pa.array(order)), unit[order], self._threads())
        self._kept.replace(living)
        self._order = np.concatenate([self._order, len(self._order) + order])
        labels, self.clusters_ = labels_and_clusters(result, living.label)
        self.result_ = labels.in_rows(self._order)
        self._set_labels(living.state.config)
        place = np.empty_like(self._order)
        place[self._order] = np.arange(len(place))
        self.rows_ = rows_table(self.result_, living.state.ids.take(pa.array(place)))
        self.index_ = None
        return self

    def predict(self, X: Any) -> Int64:
        """Return the label of the cluster that each row would join.

        It is -1 where the row would stand alone.

        The clustering stays as it is, and no old row moves. A row's label does not depend on the rows that come with it.

        Parameters
        ----------
        X : (M, D)
            New rows, as in `fit`.

        Returns
        -------
        int64 (M,)
            Labels.

        Raises
        ------
        InputError
            As in `fit`.
        """
        living, rows, unit = self._living(X, None)
        order = rows.order(unit)
        labels = np.empty(len(unit), np.int64)
        labels[order] = living.labels_for(unit[order], self._threads())
        return labels

    def _living(self, X: Any, ids: Any) -> tuple[Living, Rows, Float32]:
        """The clustering, and new rows as given and of unit length."""
        check_is_fitted(self)
        rows = rows_of(X, ids, self._configuration())
        unit = rows.unit()
        if unit.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {unit.shape[1]} features, but Clusterer is expecting {self.n_features_in_} features as input."
            )
        return self._kept.living(), rows, unit

    def _set_labels(self, config: Config) -> None:
        """Set `labels_` and `probabilities_` from `result_`."""
        self.labels_: Int64 = self.result_.cluster_id.astype(np.int64)
        if self.outliers_as_noise:
            is_small = self.result_.cluster_size < config.labels.min_cluster_size
            self.labels_[is_small | self.result_.is_outlier] = -1
        self.probabilities_: Float32 = np.nan_to_num(self.result_.strength.astype(np.float32), nan=1.0)


def rows_table(labels: Labels, ids: pa.Array) -> pa.Table:
    """Return the labels table in the order of X."""
    names = ("cluster_id", "strength", "is_outlier", "is_representative", "cluster_size", "margin")
    columns = {name: nulls_for_nan(getattr(labels, name)) for name in names}
    runner_up = pa.array(labels.runner_up, mask=labels.runner_up < 0)
    return schemas.from_columns(schemas.labels(ids.type), id=ids, runner_up=runner_up, **columns)
