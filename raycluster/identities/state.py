"""What an update needs of a finished run, as arrays.

Rows are numbered as they came: those of the first run in the order of their ids, then those of each update. A row that is
removed keeps its number. It has no list, no edge and no cluster.

Shapes: N rows, removed ones included; K neighbors per row; D width; E edges; P pieces.
"""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from raycluster.arrays import Array, Bool, Float32, Int32, Int64, Vectors
from raycluster.config.stages import Config
from raycluster.identities import decisions, lineage
from raycluster.identities.deciding import Deciding
from raycluster.identities.inheritance import NO_ID, Former
from raycluster.kernels.map_equation import flow as flows
from raycluster.kernels.map_equation.flow import Flows, Network
from raycluster.kernels.map_equation.local_terms import flows_of_links, frozen_mu
from raycluster.limits.in_force import EdgeLimits
from raycluster.stages.coarse_lists import centroids_of, uses_lists
from raycluster.stages.communities import communities_of, identities_of
from raycluster.stages.edges import edges_in_force, limits_of
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn import neighbors_of, recall_of
from raycluster.stages.relations import scores_of
from raycluster.storage.copies import Copies
from raycluster.storage.tables import Tables, Task


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
        """Return both, sorted; none of the others is there already."""
        own, order = others.key(), np.argsort(others.key())
        # Few come: each goes to its place, and nothing that is there is sorted again.
        place = np.searchsorted(self.key(), own[order])
        columns = zip(self.columns(), others.columns(), strict=True)
        return Edges(*(np.insert(mine, place, theirs[order]) for mine, theirs in columns))

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
    deciding: Deciding = field(default_factory=dict)
    """Columns of all rows that decide."""


@dataclass(frozen=True)
class State:
    """A clustering that lives on."""

    config: Config
    ids: pa.Array
    """(N,)"""
    is_alive: Bool
    """(N,)"""
    original: Int32
    """(N,) the lowest row with the same vector, of the rows of the first run; the row itself for all others."""
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
    own: Flows | None = None
    """(P,) flows of the communities of a full run; none after an update."""

    @property
    def num_rows(self) -> int:
        """Rows, removed ones included."""
        return len(self.piece)

    @property
    def is_searched(self) -> Bool:
        """Rows (N,) that can be neighbors: those that are neither removed nor copies."""
        return self.is_alive & (self.original == np.arange(self.num_rows))

    @property
    def copy_codes(self) -> Int32 | None:
        """First row of each vector that several rows have (N,), -1 for others.

        None without copies.
        """
        is_copy = self.original != np.arange(self.num_rows)
        if not is_copy.any():
            return None
        shared = np.zeros(self.num_rows, bool)
        shared[self.original[is_copy]] = True
        return np.where((is_copy | shared) & self.is_alive, self.original, -1).astype(np.int32)

    def with_records(self, **changes: Any) -> "State":
        """Return the state with other records."""
        return replace(self, records=replace(self.records, **changes))


_NONE = np.empty(0, np.int64)


def _renumbered(edges: Edges, copies: Copies) -> Edges:
    """Edges of distinct rows as edges of all rows; the order of rows stays."""
    first = copies.first.astype(np.int32)
    return Edges(first[edges.source], first[edges.target], edges.weight)


def _lists(tables: Tables, copies: Copies) -> Lists:
    """Lists of all rows: copies have none, and no list names them."""
    neighbor, similarity = neighbors_of(tables)
    score = scores_of(tables)
    if tables.copies is None:
        return Lists(neighbor, similarity, score)

    def spread(values: Array, missing: float) -> Array:
        result = np.full((len(copies.distinct), values.shape[1]), missing, values.dtype)
        result[copies.first] = values
        return result

    numbered = np.where(neighbor >= 0, copies.first[neighbor], -1).astype(np.int32)
    scores = None if score is None else spread(score, np.nan)
    return Lists(spread(numbered, -1), spread(similarity, -1.0), scores)


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
    order = np.argsort(low.astype(np.int64) << 32 | high, kind="stable")
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
    config, num_rows = tables.config, tables.bounds_of_all[-1]
    copies = tables.copies if tables.copies is not None else Copies.of(num_rows, _NONE, _NONE)
    edges = _renumbered(undirected_edges(**edges_in_force(tables)), copies)
    piece, cluster = (copies.for_all(np.asarray(one)) for one in (communities_of(tables)[0], identities_of(tables)))
    first = np.unique(piece, return_index=True)[1]
    home = np.full(int(cluster.max(initial=-1)) + 1, -1, np.int32)
    for number in range(len(first) - 1, -1, -1):
        home[cluster[first[number]]] = number
    own = flows_of_links(*edges.columns(), piece, len(first))
    size = np.bincount(cluster)
    row_id = np.where(size[cluster] > 1, cluster, NO_ID).astype(np.int64)
    recall = recall_of(tables)
    reading = None
    if uses_lists(config):
        lists = copies.for_all(np.asarray(tables.column("coarse_lists", "list")))
        reading = Reading(centroids_of(tables), lists, tables.facts("knn"))
    shards = [Task(number, *ends) for number, ends in enumerate(itertools.pairwise(tables.bounds_of_all))]
    ids = pa.chunked_array([chunk for shard in shards for chunk in tables.ids(shard).chunks])
    return State(
        config=config,
        ids=ids.combine_chunks(),
        is_alive=np.ones(num_rows, bool),
        original=copies.first[copies.distinct].astype(np.int32),
        vectors=vectors_of(tables) if tables.copies is None else copies.for_all(vectors_of(tables)),
        lists=_lists(tables, copies),
        reading=reading,
        set_facts={} if config.relations.score == "none" else tables.facts("relations"),
        limits=limits_of(tables),
        edges=edges,
        piece=piece,
        whole=home[cluster[first]],
        row_id=row_id,
        next_id=len(size),
        confirmed=np.empty(0, np.int64),
        base=Base(
            num_rows,
            frozen_mu(own.enter),
            float(own.enter.sum()),
            None if recall is None else recall.mean,
        ),
        records=Records(decisions.schema(tables.id_type).empty_table()),
        own=own,
    )
