"""What a search for neighbors takes, by the way in which it reads the rows."""

from raycluster.config.stages import Config
from raycluster.kernels.search import list_search
from raycluster.kernels.search.candidates import MORE_SLOTS, SLOTS_PER_NEIGHBOR
from raycluster.kernels.search.nearest import CODED_SLOTS, DATABASE_TILE, QUERY_BLOCK
from raycluster.kernels.search.self_join import bytes_needed
from raycluster.stages.coarse_lists import copy_of_vectors, number_of_lists, uses_lists
from raycluster.stages.stage import Cost, ProblemSize

SELF_JOIN_BYTES = 2**31
"""Memory up to which a search of all rows in one task scores each pair once for both rows. It halves the products."""
CHOOSING_ROWS, MEASURING_ROWS = 2048, 2048
"""Rows on which the reading is chosen, and on which its recall is measured: a standard error of about 0.001."""
MOST_SHARE = 0.4
"""Share of the rows above which reading them all, in order and each pair once, is faster."""
TYPICAL_SHARE = 0.035
"""Share of the rows that a search through inverted lists reads per row where none was measured: that of 100,000 generated
rows at a recall of 0.98. A forecast of its time is proportional to it."""
ALL_PAIRS, EACH_PAIR_ONCE = 2 / 128e9, 2 / 59e9
"""Seconds per multiplication on two cores of an EPYC (Zen 4), for a dry run that measures nothing. A shard meets all rows;
all rows meet themselves, and half of the products need not be done."""
LISTED_PAIRS, CHOSEN_PAIRS = 4e-12, 8.5e-12
"""The same by codes, where the processor multiplies bytes (Zen 5): rows of inverted lists, and the exact search that chooses what
to read. From 584,000 rows of width 256; within a tenth at 100,000 rows and at 1,398,104 of width 384. Other processors take ten
times as long."""
LISTED_NEIGHBOR = 1e5
"""Multiplications by codes in whose time one neighbor is found among the candidates: 0.4 us."""


def share_read(size: ProblemSize, config: Config) -> float:
    """Return the share of all rows that the search compares with a row."""
    if not uses_lists(config):
        return 1.0
    return TYPICAL_SHARE if size.share is None else size.share


def joins_itself(size: ProblemSize, config: Config) -> bool:
    """Whether each pair of rows is scored once for both, as one shard can."""
    reads_all = share_read(size, config) > MOST_SHARE
    return reads_all and size.shards == 1 and bytes_needed(size.rows, config.knn.k) <= SELF_JOIN_BYTES


def pairs_compared(size: ProblemSize, config: Config) -> float:
    """Return the pairs of vectors whose products are taken.

    Those with centroids and those that measure recall are among them.
    """
    rows, share = float(size.rows), share_read(size, config)
    if share > MOST_SHARE:
        return rows * rows / 2 if joins_itself(size, config) else rows * rows
    return rows * (number_of_lists(size.rows, config.knn.lists) + share * rows + min(rows, MEASURING_ROWS))


def cost_of_search(size: ProblemSize, config: Config) -> Cost:
    """Return what a search takes, by the way in which it reads the rows."""
    rows, k = size.rows_per_shard, config.knn.k
    lists = {"coarse_lists.list": 4.0 * size.rows} if uses_lists(config) else {}
    table = 4.0 * 8 * k * rows
    if joins_itself(size, config):
        worker = table + bytes_needed(rows, k)
    else:
        candidates = 8.0 * (SLOTS_PER_NEIGHBOR * k + MORE_SLOTS)
        block = QUERY_BLOCK * (4.0 * DATABASE_TILE + CODED_SLOTS * candidates + 4 * size.width)
        if uses_lists(config):
            block = min(list_search.QUERY_BLOCK, rows) * (4.0 * list_search.CENTROID_TILE + candidates + 5 * size.width)
        worker = table + size.threads * block + (28.0 + size.width if uses_lists(config) else 4.0) * size.rows
    if config.knn.source is not None:
        return Cost(
            work=float(size.rows * k),
            rate=5e-7,
            worker_bytes=worker,
            copies=copy_of_vectors(size, config),
            copies_once=copy_of_vectors(size, config),
            streams={"input": size.rows * (4.0 + 4 * k)},
            compression=0.62,
            is_threaded=True,
            is_gpu_idle=True,
        )
    is_chosen = uses_lists(config) and config.knn.probes is None
    rate = LISTED_PAIRS if uses_lists(config) else EACH_PAIR_ONCE if joins_itself(size, config) else ALL_PAIRS
    found = LISTED_NEIGHBOR * size.rows * k if uses_lists(config) else 0.0
    return Cost(
        once=float(min(size.rows, CHOOSING_ROWS)) * size.rows * size.width if is_chosen else 0.0,
        work=pairs_compared(size, config) * size.width + found,
        once_rate=CHOSEN_PAIRS,
        rate=rate,
        worker_bytes=worker,
        copies=copy_of_vectors(size, config) | lists,
        copies_once=copy_of_vectors(size, config) | lists if is_chosen else copy_of_vectors(size, config),
        compression=0.62,
        is_once_threaded=True,
        is_threaded=True,
        is_gpu_idle=uses_lists(config),
        gpu_flop=0.0 if uses_lists(config) else 2.0 * size.rows * size.rows * size.width,
    )


def copy_of_neighbors(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copy of neighbors without their similarities."""
    return {"knn.neighbor": 4.0 * size.rows * config.knn.k}


def copies_of_neighbors(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copies of the kNN table."""
    table = 4.0 * size.rows * config.knn.k
    return {"knn.neighbor": table, "knn.similarity": table}
