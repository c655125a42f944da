"""A clustering in memory that takes new rows.

`Clusterer.update` and `Clusterer.predict` stand on it.

Shapes: N rows, M new ones, D width.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int64
from raycluster.config.stages import Config
from raycluster.errors import InputError
from raycluster.executors.progress import Progress
from raycluster.identities.advice import why_again, why_at_once
from raycluster.identities.afresh import Legacy, taken_over
from raycluster.identities.grown import Change, with_rows
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.state import State, from_tables, why_not_local
from raycluster.identities.update import Updated, update
from raycluster.kernels.map_equation.flow import Flows
from raycluster.kernels.map_equation.local_terms import community_flows, exits_change, merge_gain
from raycluster.kernels.unit_rows import content_order
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.stages.labels import labels_of
from raycluster.storage.column_types import id_order
from raycluster.storage.tables import Tables


@dataclass(frozen=True)
class Again:
    """How all rows are clustered again, where an update cannot be local."""

    config: Config
    """Before it is fitted to the number of rows."""
    has_ids: bool
    """Whether rows are taken in the order of their ids; else it is that of their content."""
    progress: Progress


@dataclass(frozen=True)
class Living:
    """A state with a label for every row, rows alone included."""

    state: State
    label: Int64
    """(N,)"""

    @classmethod
    def of(cls, tables: Tables) -> "Living":
        """Return the clustering of finished tables."""
        return cls(from_tables(tables), labels_of(tables).cluster_id.astype(np.int64))

    def with_rows(self, ids: pa.Array, vectors: Float32, again: "Again", threads: int) -> tuple["Living", Updated]:
        """Return the clustering with new rows, and what changed.

        Labels stay, and none is used twice. All rows are clustered again where an update of a run folder does so. They are
        then in another order.

        Parameters
        ----------
        ids : (M,) pa.Array
            Ids that no row has.
        vectors : (M, D) float32
            Unit rows.
        again : Again
            How all rows are clustered again.
        threads : int
            Threads. They change no result.
        """
        result = None
        reason = why_at_once(self.state, len(ids), again.config)
        if reason is None:
            result = update(self.state, Change(ids, vectors, np.empty(0, np.int32)), "memory", "local", threads)
            reason = why_again(self.state, result.state, threads)
        before = np.concatenate([self.label, np.full(len(ids), NO_ID)])
        was_alone = np.concatenate([self.state.row_id == NO_ID, np.zeros(len(ids), bool)])
        if reason is not None or result is None:
            again.progress.say(f"everything is clustered again, because {reason}")
            order, result = self._in_full(ids, vectors, again, threads)
            before, was_alone = before[order], was_alone[order]
        state = result.state
        label = state.row_id.copy()
        # A row that was alone and still is keeps its label. Names below `next_id` of before are never given again.
        alone = label == NO_ID
        label[alone & was_alone] = before[alone & was_alone]
        fresh = np.flatnonzero(label == NO_ID)
        label[fresh] = state.next_id + np.arange(len(fresh))
        return Living(replace(state, next_id=state.next_id + len(fresh)), label), result

    def _in_full(self, ids: pa.Array, vectors: Float32, again: "Again", threads: int) -> tuple[Int64, Updated]:
        """Return the result of a full run with the ids of before.

        The order in which it takes all rows comes first.
        """
        names = pa.concat_arrays([self.state.ids, ids])
        unit = np.concatenate([self.state.vectors, vectors.astype(self.state.vectors.dtype, copy=False)])
        order = id_order(names) if again.has_ids else content_order(unit)
        tables = in_memory(unit[order], again.config, threads, ids=names.take(pa.array(order)))
        run_stages(tables, LOCAL, again.progress)
        return order, taken_over(from_tables(tables), self.state, [], Legacy(), "memory", threads)

    def labels_for(self, vectors: Float32, threads: int) -> Int64:
        """Return the label of the cluster that each vector joins, -1 for none.

        No row moves.
        Every row is placed as if it came alone: where the map equation gains most.

        Parameters
        ----------
        vectors : (M, D) float32
            Unit rows.
        threads : int
            Threads. They change no result.
        """
        state, count = self.state, len(self.state.whole)
        if reason := why_not_local(state.config):
            raise InputError(f"New rows cannot be placed, because {reason}; fit all rows again.")
        change = Change(pa.nulls(len(vectors), state.ids.type), vectors, np.empty(0, np.int32))
        edges = with_rows(state, change, "compare", threads).edges.came
        own = community_flows(state.edges.network(state.num_rows), np.maximum(state.piece, 0), count)
        # One entry per new row and community with edges between them: their weight.
        pair = (edges.target.astype(np.int64) - state.num_rows) * count + state.piece[edges.source]
        pairs, place = np.unique(pair, return_inverse=True)
        joint = np.bincount(place, edges.weight, len(pairs)).astype(np.float64)
        row, community = pairs // count, pairs % count
        flow = np.bincount(row, joint, len(vectors))[row]
        there = Flows(own.flow[community] + joint, own.exit[community] + joint, own.enter[community] + joint)
        # Alone, the row adds its flow to the exits twice: by its own, and by those of the communities that it has edges to.
        exits = own.exit.sum() + 2 * flow
        gain = merge_gain(Flows(flow, flow, flow), there, joint, 0.0) - exits_change(exits, -2 * joint)
        best = np.lexsort((community, -gain, row))
        best = best[np.unique(row[best], return_index=True)[1]]
        best = best[gain[best] > 0]
        label_of = np.empty(count, np.int64)
        label_of[state.piece[state.is_alive]] = self.label[state.is_alive]
        result = np.full(len(vectors), -1, np.int64)
        result[row[best]] = label_of[community[best]]
        return result
