"""What an update needs of a finished run, as arrays.

Rows are numbered as they came: those of the first run in the order of their ids, then those of each update. A row that is
removed keeps its number. It has no list, no edge and no cluster.

Shapes: N rows, removed ones included; K neighbors per row; D width; E edges; P pieces.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Float32, Int32, Int64, Vectors
from raycluster.config.stages import Config
from raycluster.identities import decisions, lineage
from raycluster.identities.inheritance import NO_ID, Former
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.flow import Network
from raycluster.kernels.map_equation.local_terms import community_flows, frozen_mu
from raycluster.limits.in_force import EdgeLimits
from raycluster.stages.coarse_lists import centroids_of, uses_lists
from raycluster.stages.communities import communities_of
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import neighbors_of, recall_of
from raycluster.stages.rejoin import identities_of
from raycluster.stages.relations import scores_of
from raycluster.stages.stage import row_shards
from raycluster.storage.tables import Tables


@dataclass(frozen=True)
class Reading:
    """How new rows find their inverted lists; `facts` are those of the stage knn."""

    centroids: Float32
    """(L, D)"""
    lists: Int32
    """(N,) list of each row."""
    facts: dict[str, Any]


@dataclass(frozen=True)
class Lists:
    """Neighbor lists of all rows."""

    neighbor: Int32
    """(N, K), the row itself first, -1 past the last one."""
    similarity: Float32
    """(N, K), -1 past the last one."""
    score: Float32 | None
    """(N, K), NaN where there is none; None for recipes without a predictor."""


@dataclass(frozen=True)
class Edges:
    """Edges in force, lower row first, sorted."""

    source: Int32
    target: Int32
    weight: Float32

    def key(self) -> Int64:
        """Return one number (E,) per pair."""
        return self.source.astype(np.int64) << 32 | self.target.astype(np.int64)

    def only(self, kept: Array) -> "Edges":
        """Return some of the edges."""
        return Edges(self.source[kept], self.target[kept], self.weight[kept])

    def with_others(self, others: "Edges") -> "Edges":
        """Return both, sorted."""
        both = [np.concatenate(pair) for pair in zip(self.columns(), others.columns(), strict=True)]
        order = np.lexsort((both[1], both[0]))
        return Edges(*(column[order] for column in both))

    def columns(self) -> tuple[Int32, Int32, Float32]:
        """Return source, target and weight."""
        return self.source, self.target, self.weight

    def network(self, rows: int) -> Network:
        """Return the undirected network of the edges."""
        return flows.undirected(*self.columns(), np.arange(rows, dtype=np.int32), 1)


@dataclass(frozen=True)
class Base:
    """What the last full run had, for the advice to run everything again."""

    rows: int
    mu: float
    """Bits per unit of exit: log2(e E)."""
    exits: float
    """Weight of all edges between communities, counted at both ends."""
    recall: float | None
    """Measured recall of the neighbors; none where all rows were compared."""


@dataclass(frozen=True)
class Records:
    """Tables that grow from run to run."""

    decisions: pa.Table
    aliases: pa.Table = field(default_factory=lineage.ALIASES.empty_table)
    lineage: pa.Table = field(default_factory=lineage.LINEAGE.empty_table)
    former: Former = field(default_factory=Former.nothing)
    """Rows that retired ids had."""


@dataclass(frozen=True)
class State:
    """A clustering that lives on."""

    config: Config
    ids: pa.Array
    """(N,)"""
    is_alive: Bool
    """(N,)"""
    vectors: Vectors
    """(N, D) of unit length."""
    lists: Lists
    reading: Reading | None
    """Inverted lists; none where all rows are compared."""
    set_facts: dict[str, Any]
    """What the predictor read of the whole set in the last full run."""
    limits: EdgeLimits
    edges: Edges
    piece: Int32
    """(N,) communities of the map equation, in the order of their lowest row."""
    whole: Int32
    """(P,) the first piece of the identity that each piece belongs to; other than itself where pieces were re-joined."""
    row_id: Int64
    """(N,) id of each row's cluster; `NO_ID` for rows that are alone."""
    next_id: int
    confirmed: Int64
    """Ids that a person confirmed, ascending."""
    base: Base
    records: Records

    @property
    def num_rows(self) -> int:
        """Rows, removed ones included."""
        return len(self.piece)

    def with_records(self, **changes: Any) -> "State":
        """Return the state with other records."""
        return replace(self, records=replace(self.records, **changes))


def undirected_edges(source: Int32, target: Int32, weight: Float32) -> Edges:
    """Return edges with the lower row first, sorted by rows.

    Parameters
    ----------
    source, target : (E,) int32
        Rows at both ends, in either order.
    weight : (E,) float32
        Weights.
    """
    low, high = np.minimum(source, target), np.maximum(source, target)
    order = np.lexsort((high, low))
    return Edges(low[order], high[order], weight[order])


def why_not_local(config: Config) -> str | None:
    """Return why a recipe's updates must be full, or none where they may be local."""
    if config.edges.rule not in ("threshold", "score"):
        return f"edges of rule {config.edges.rule} depend on more than the rows of a pair"
    if config.relations.score == "recall" or config.topk.predict or config.topk.source or config.contexts.encode:
        return "the recipe computes more than one score per pair"
    if config.knn.source is not None:
        return "the neighbors were imported"
    if config.communities.engine == "components":
        return "connected components have no frozen objective"
    return None


def from_tables(tables: Tables) -> State:
    """Return the state of a finished run.

    Its clusters keep their numbers as ids. Rows that are alone have none.
    """
    config = tables.config
    edges = undirected_edges(**edges_in_force(tables))
    piece, cluster = np.asarray(communities_of(tables)[0]), np.asarray(identities_of(tables))
    first = np.unique(piece, return_index=True)[1]
    home = np.full(int(cluster.max(initial=-1)) + 1, -1, np.int32)
    for number in range(len(first) - 1, -1, -1):
        home[cluster[first[number]]] = number
    network = edges.network(tables.rows)
    own = community_flows(network, piece, len(first))
    size = np.bincount(cluster)
    row_id = np.where(size[cluster] > 1, cluster, NO_ID).astype(np.int64)
    recall = recall_of(tables)
    reading = None
    if uses_lists(config):
        lists = np.asarray(tables.column("coarse_lists", "list"))
        reading = Reading(centroids_of(tables), lists, tables.facts("knn"))
    ids = pa.chunked_array([chunk for shard in row_shards(tables) for chunk in tables.ids(shard).chunks])
    score = scores_of(tables)
    return State(
        config=config,
        ids=ids.combine_chunks(),
        is_alive=np.ones(tables.rows, bool),
        vectors=vectors_of(tables),
        lists=Lists(*neighbors_of(tables), score),
        reading=reading,
        set_facts={} if score is None else tables.facts("relations"),
        limits=limits_of(tables),
        edges=edges,
        piece=piece,
        whole=home[cluster[first]],
        row_id=row_id,
        next_id=len(size),
        confirmed=np.empty(0, np.int64),
        base=Base(
            tables.rows,
            frozen_mu(own.enter),
            float(own.enter.sum()),
            None if recall is None else recall.mean,
        ),
        records=Records(decisions.schema(tables.id_type).empty_table()),
    )
