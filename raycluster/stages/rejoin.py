"""communities -> communities: identities larger than K.

They are found again in the pieces that neighbor lists leave them in.

Where a mode of an identity (age, pose, topic) has more than K rows, the K nearest of its rows all lie in it. Then hardly an
edge joins the modes of the identity. Lists that name only their own community hold no evidence about others. A few rows of every
such community, taken as a set of their own, do: there lists reach across modes, and the same recipe decides, on that set's own
scale and by its own limit. Communities with most of their sampled rows in one cluster there become one.

Where scores on full lists are too low, nothing is joined: a recipe that errs on the whole set errs on a sample of it as well.

Shapes: N rows, K neighbors per row, M sampled rows.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raycluster.arrays import Int32, Int64, Vectors
from raycluster.config.stages import Config
from raycluster.kernels import numba
from raycluster.limits.in_force import EdgeLimits
from raycluster.stages.communities import communities_of
from raycluster.stages.edges import limits_of
from raycluster.stages.engines import numbered_by_first_row
from raycluster.stages.ingest import few_vectors
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage, single_task
from raycluster.storage import schemas
from raycluster.storage.tables import Output, Tables, Task

ClusterSubset = Callable[[Vectors, Config], Int32]
"""Unit rows (M, D) and a configuration to communities (M,)."""
INSIDE = 0.8
"""Mean share of a community's listed neighbors that are its own, from which it counts as a possible piece. Lowering it takes in
communities whose lists reach strangers, and merges similar faces. Chosen on the development sets."""
LISTS = 4
"""K over the rows taken of a community. Fewer rows have fewer of other modes in their lists."""
LEAST = 5
"""Least size of the sample, in lists: one that is hardly longer than a list has no strangers to be read against."""


def open_rejoin(tables: Tables) -> ShardFunction:
    """Return the function of all rows' communities, pieces of one identity made one."""

    def rejoin(task: Task) -> Output:
        assert task.number == 0, "re-joining is global"
        whole, _ = communities_of(tables)
        if is_trusted(limits_of(tables)):
            neighbor, config = tables.column("knn", "neighbor"), tables.config
            whole = rejoined(whole, neighbor, few_vectors(tables), config, tables.cluster_subset)
        rows = np.arange(tables.rows, dtype=np.int32)
        return Output([{"row": rows, "community": numbered_by_first_row(whole)}])

    return rejoin


def is_trusted(limits: EdgeLimits) -> bool:
    """Whether a sample can be clustered by the same recipe.

    Where identities fill the lists and scores are too low (`EdgeLimits.is_full`), samples of requests of 38 intents in ten
    domains came out by domain: BCubed F fell from 84 to 60. On four other sets of that kind nothing was joined.
    """
    return not limits.is_full


def rejoined(
    community: Int32, neighbor: Int32, vectors: Vectors, config: Config, cluster_subset: ClusterSubset
) -> Int32:
    """Return communities with pieces of one identity made one.

    Each keeps the number of its first piece.

    Parameters
    ----------
    community : int32 (N,)
        Dense from 0.
    neighbor : int32 (N, K)
        Neighbors of all rows, -1 where there is none.
    vectors : (N, D)
        Unit rows.
    config : Config
        `communities.seed` draws the sample, whatever the shards.
    cluster_subset
        Clusters the sample as a set of its own.
    """
    k = config.knn.k
    size = np.bincount(community)
    per_community = max(1, k // LISTS)
    is_piece = (size >= 2 * per_community) & (_inside(community, neighbor, len(size)) >= INSIDE)
    if np.count_nonzero(is_piece) * per_community < LEAST * k:
        return community
    rows = _sample(community, is_piece, per_community, config.communities.seed)
    cluster = cluster_subset(np.ascontiguousarray(vectors[rows]), _config_of_sample(config))
    return _joined(community, community[rows], cluster)


def _config_of_sample(config: Config) -> Config:
    """Return the configuration for one piece.

    It has no re-joining, and nothing that was chosen for the whole set's size.
    """
    searched = replace(config.knn, index="auto", lists=None, probes=None, source=None)
    return replace(config, knn=searched, communities=replace(config.communities, fragments=False))


@numba.njit(nogil=True, cache=True)
def _inside(community, neighbor, count):  # type: ignore[no-untyped-def]
    """Return the share (count,) of a community's listed neighbors that are its own."""
    own, listed = np.zeros(count), np.zeros(count)
    for row in range(len(neighbor)):
        for rank in range(1, neighbor.shape[1]):
            other = neighbor[row, rank]
            if other >= 0:
                listed[community[row]] += 1
                own[community[row]] += community[other] == community[row]
    return own / np.maximum(listed, 1.0)


def _sample(community: Int32, is_piece: npt.NDArray[np.bool_], per_community: int, seed: int) -> Int64:
    """Return `per_community` rows of every possible piece, drawn at random, ascending.

    The draw depends on the seed and on the order of rows, never on shards.
    """
    rows = np.flatnonzero(is_piece[community])
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    rows = rows[np.lexsort((shuffled, community[rows]))]
    # Rows are grouped by community now: the place of a row in its group decides whether it is drawn.
    group = community[rows]
    place = np.arange(len(rows)) - np.searchsorted(group, group)
    return np.sort(rows[place < per_community])


def _joined(community: Int32, sampled: Int32, cluster: Int32) -> Int32:
    """Return communities (N,) where those that share a cluster are one.

    `sampled` and `cluster` (M,) are the communities and the clusters of the sampled rows. A community belongs to the cluster
    that holds more than half of its sampled rows. It takes the number of the first community that belongs there.
    """
    num_sampled = np.bincount(sampled, minlength=community.max() + 1)
    pairs, count = np.unique(np.stack([sampled, cluster]), axis=1, return_counts=True)
    is_majority = 2 * count > num_sampled[pairs[0]]
    number = np.arange(len(num_sampled), dtype=np.int32)
    first_community: dict[int, int] = {}
    for piece, home in pairs[:, is_majority].T:
        number[piece] = first_community.setdefault(int(home), piece)
    return number[community]


def _cost(size: ProblemSize, config: Config) -> Cost:
    table = 4.0 * size.rows * config.knn.k
    return Cost(
        tasks=1,
        work=float(size.rows * config.knn.k),
        rate=5e-8,
        driver_bytes=24.0 * size.rows,
        copies={"knn.neighbor": table},
        compression=0.55,
        streams={"communities": 12.0 * size.rows},
        assumes="few identities are larger than K: clustering K / 4 rows of every piece on the driver is not counted",
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.REJOINED


REJOIN = Stage(
    name="rejoin",
    reads=("communities", "edges", "knn"),
    writes=_schema,
    revision=2,
    is_wanted=lambda config: config.communities.fragments,
    tasks=single_task,
    is_global=lambda config: True,
    open=open_rejoin,
    cost=_cost,
)
