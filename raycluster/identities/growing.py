"""`Clusterer` after its fit: new rows come in, or are compared with what is there."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from raycluster.arrays import Float32, Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.executors.progress import Progress, Silence
from raycluster.identities.living import Again, Living
from raycluster.identities.published import labels_and_clusters
from raycluster.pipeline.rows_of import Rows, rows_of
from raycluster.stages.label_columns import Labels
from raycluster.storage.column_types import ids_as
from raycluster.storage.tables import Tables


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
    verbose: bool
    threshold_: float | None
    _tables: Tables | None
    """Finished tables of a fit; none once new rows have come."""
    _living: Living
    """The clustering with the new rows."""
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

        Neighbors, scores and communities are computed for new rows and those near them. All rows are clustered again where new
        ones outnumber half of the old ones, or where they pick another limit, as in `raycluster update`.

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
        living, rows = self._with_rows_of(X, ids)
        names = rows.ids
        if not rows.has_ids:
            if self._has_ids:
                raise InputError("The rows of fit have ids; update needs ids, too.")
            names = pa.array(np.arange(len(names)) + len(self.labels_), names.type)
        names = ids_as(names, living.state.ids.type, "ids").combine_chunks()
        there = pa.compute.is_in(names, value_set=living.state.ids)
        if pa.compute.any(there).as_py():
            raise InputError(f"The id {names.filter(there)[0]} is there already.")
        order = rows.order
        place_of = np.concatenate([self._order, len(self._order) + order])
        names = names.take(pa.array(order))
        before = pa.concat_arrays([living.state.ids, names])
        again = Again(self._configuration(), self._has_ids, Progress() if self.verbose else Silence())
        living, result = living.with_rows(names, rows.unit[order], again, self._threads())
        # A full run takes all rows in its own order.
        self._order = place_of[pa.compute.index_in(living.state.ids, value_set=before).to_numpy()]
        self._tables, self._living = None, living
        self.threshold_ = living.state.limits.threshold
        labels, self.clusters_ = labels_and_clusters(result, living.label)
        self.result_ = labels.in_rows(self._order)
        self._set_labels(living.state.config)
        place = np.empty_like(self._order)
        place[self._order] = np.arange(len(place))
        self.rows_ = self.result_.table(living.state.ids.take(pa.array(place)))
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
        living, rows = self._with_rows_of(X, None)
        labels = np.empty(len(rows.unit), np.int64)
        labels[rows.order] = living.labels_for(rows.unit[rows.order], self._threads())
        return labels

    def _with_rows_of(self, X: Any, ids: Any) -> tuple[Living, Rows]:
        """The clustering, and new rows."""
        check_is_fitted(self)
        rows = rows_of(X, ids, self._configuration())
        width = rows.unit.shape[1]
        if width != self.n_features_in_:
            raise InputError(
                f"X has {width} features, but Clusterer is expecting {self.n_features_in_} features as input."
            )
        return self._clustering(), rows

    def _clustering(self) -> Living:
        """The clustering, made from the tables of a fit once."""
        tables = self._tables
        return self._living if tables is None else tables.shared("clustering", lambda: Living.of(tables))

    def __getstate__(self) -> Any:
        """A stored estimator holds the clustering in place of tables."""
        state = dict(self.__dict__)
        return state | {"_tables": None, "_living": self._clustering()} if "_tables" in state else state

    def _set_labels(self, config: Config) -> None:
        """Set `labels_` and `probabilities_` from `result_`."""
        self.labels_: Int64 = self.result_.cluster_id.astype(np.int64)
        if self.outliers_as_noise:
            is_small = self.result_.cluster_size < config.labels.min_cluster_size
            self.labels_[is_small | self.result_.is_outlier] = -1
        self.probabilities_: Float32 = np.nan_to_num(self.result_.strength.astype(np.float32), nan=1.0)
