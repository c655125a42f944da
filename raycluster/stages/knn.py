"""Row shards -> the k nearest neighbors of every row by cosine, the row itself first.

Query-stationary: a worker holds a shard's rows as queries and streams all vectors past them from a node-local copy. Tasks
neither shuffle nor merge, so every shard can be run again alone.

Shapes: N rows, R rows of a shard, D dimensions, K neighbors per row.
"""

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import Config, KnnConfig
from raycluster.kernels.search import faiss_flat
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import DATABASE_TILE, QUERY_BLOCK, exact_top_k
from raycluster.kernels.search.recall import Recall, choose_probing, measure, sample_rows
from raycluster.kernels.search.self_join import bytes_needed, self_top_k
from raycluster.stages import imported_knn
from raycluster.stages.coarse_lists import copy_of_vectors, inverted_file_of, number_of_lists, uses_lists
from raycluster.stages.ingest import vectors_of
from raycluster.stages.stage import Cost, ProblemSize, ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables, Task, shortened

SELF_JOIN_BYTES = 2**31
"""Memory up to which a search of all rows in one task scores each pair once for both rows. It halves the products."""
ROWS_FOR_IVF = 200_000
"""Rows from which `knn.index` auto reads inverted lists. Below, reading all rows takes seconds; labels depend on it."""
FIRST_LISTS = 8
"""Lists that every row reads before its own similarities decide about more. More raise recall and time."""
CHOOSING_ROWS, MEASURING_ROWS = 2048, 2048
"""Rows on which the reading is chosen, and on which its recall is measured: a standard error of about 0.001."""
MOST_SHARE = 0.4
"""Share of the rows above which reading them all, in order and each pair once, is faster."""
TYPICAL_SHARE = 0.035
"""Share of the rows that a search through inverted lists reads per row where none was measured: that of 100,000 generated
rows at a recall of 0.98. A forecast of its time is proportional to it."""
ALL_PAIRS, EACH_PAIR_ONCE, LISTED_PAIRS = 2 / 128e9, 2 / 59e9, 2 / 26e9
"""Seconds per multiplication on two cores of an EPYC (Zen 4), for a dry run that measures nothing. A shard meets all rows;
all rows meet themselves, and half of the products need not be done; rows are gathered from inverted lists."""


def resolved_for(config: Config, rows: int) -> Config:
    """Return the configuration with what depends on the number of rows, N, resolved: `knn.k` and `knn.index`.

    A list is at most N - 1 long, and at least 2. Index auto becomes what it means for N rows. The machine plays no part: the
    same input gives the same labels with and without GPUs.
    """
    config, index = shortened(config, rows), config.knn.index
    if index == "auto":
        approximate = rows >= ROWS_FOR_IVF and config.knn.source is None and config.knn.engine != "faiss"
        index = "ivf" if approximate else "exact"
    return replace(config, knn=replace(config.knn, index=index))


def shortened_line(configured: Config, resolved: Config, rows: int) -> str | None:
    """Return a line where the set's size made neighbor lists shorter than configured."""
    if resolved.knn.k == configured.knn.k:
        return None
    return f"knn.k is {resolved.knn.k} in place of {configured.knn.k}: the set has only {rows} row{'s' if rows > 1 else ''}"


def neighbors_of(tables: Tables) -> tuple[Int32, Float32]:
    """Return neighbor int32 and similarity float32 (N, K) of all rows."""
    return tables.column("knn", "neighbor"), tables.column("knn", "similarity")


def is_uniform(tables: Tables) -> bool:
    """Whether all rows of the set hold the same vector, one row included: they are one cluster by any recipe."""
    return bool(tables.facts("knn").get("uniform", False))


def choose_reading(vectors: Vectors, config: KnnConfig, index: InvertedFile, threads: int = 1) -> Facts:
    """Return what a search over inverted lists reads, JSON-ready.

    `nearest` and `margin` are those of `Probing`; `exact` is whether reading all rows is faster. `expected` and `share` are the
    recall of the sample and the share of the rows that one row reads.
    """
    if config.probes is not None:
        return {"exact": False, "nearest": config.probes, "margin": None}
    rows = sample_rows(len(vectors), CHOOSING_ROWS, (config.seed, 1))
    choice = choose_probing(vectors, rows, index, FIRST_LISTS, config.k, config.recall, threads)
    return {
        "exact": choice.share > MOST_SHARE,
        **asdict(choice.probing),
        "expected": round(choice.expected.mean, 5),
        "share": round(choice.share, 5),
    }


def search(
    vectors: Vectors,
    start: int,
    stop: int,
    config: KnnConfig,
    threads: int = 1,
    index: InvertedFile | None = None,
    probing: Probing | None = None,
) -> tuple[Int32, Float32]:
    """Return the neighbors of rows start..stop among all rows.

    Similarities are rounded to float32 from one fixed float64 sum per pair, so the result does not depend on how the rows are
    cut into shards.

    Parameters
    ----------
    vectors : (N, D)
        Unit rows.
    index, probing
        Inverted lists and which of them to read; without them all rows are read.

    Returns
    -------
    neighbor int32, similarity float32 (stop - start, K)
        Rank 0 is the row itself with similarity 1; then similarity descending, ties by row ascending. Empty ranks hold -1.
    """
    own = np.arange(start, stop, dtype=np.int32)
    if index is not None and probing is not None:
        return list_top_k(vectors[start:stop], own, vectors, index, probing, config.k, threads)
    if config.engine == "faiss" or (config.engine == "auto" and faiss_flat.gpu_available()):
        return faiss_flat.flat_top_k(vectors[start:stop], own, vectors, config.k)
    if stop - start == len(vectors) and bytes_needed(stop, config.k) <= SELF_JOIN_BYTES:
        return self_top_k(vectors, config.k, threads)
    return exact_top_k(vectors[start:stop], own, vectors, config.k, threads)


def measure_recall(
    vectors: Vectors, start: int, neighbor: Int32, similarity: Float32, config: KnnConfig, threads: int = 1
) -> Recall:
    """Return the recall of the lists (R, K) of the rows from `start` on, on those that the seeded sample of all rows holds."""
    rows = sample_rows(len(vectors), MEASURING_ROWS, (config.seed, 2))
    rows = rows[(rows >= start) & (rows < start + len(neighbor))]
    return measure(rows, neighbor[rows - start], similarity[rows - start], vectors, threads)


def recall_of(tables: Tables) -> Recall | None:
    """Return the measured recall of a finished search over inverted lists.

    None for other searches.
    """
    if not uses_lists(tables.config) or tables.facts("knn")["exact"]:
        return None
    parts = [Recall(**facts["recall"]) for facts in tables.task_facts("knn")]
    return sum(parts[1:], parts[0])


def prepare_search(tables: Tables) -> Facts:
    """Refuse a kNN table of other rows.

    Note whether all rows are one vector; for inverted lists, choose what to read.
    """
    config = tables.config.knn
    if config.source is not None:
        imported_knn.require_matching_rows(tables, config.source)
    vectors = vectors_of(tables)
    if bool((vectors[-1] == vectors[0]).all()) and bool((vectors == vectors[0]).all()):
        return {"exact": True, "uniform": True}
    if not uses_lists(tables.config):
        return {}
    return choose_reading(vectors, config, inverted_file_of(tables), tables.threads)


def open_knn(tables: Tables) -> ShardFunction:
    """Return the function that searches one shard's rows.

    Index and vectors are made once.
    """
    config, vectors, facts = tables.config.knn, vectors_of(tables), tables.facts("knn")
    index, probing = None, None
    if uses_lists(tables.config) and not facts["exact"]:
        index, probing = inverted_file_of(tables), Probing(facts["nearest"], facts["margin"])

    def find(task: Task) -> Output:
        found: Facts = {}
        if config.source is not None:
            neighbor, similarity = imported_knn.read(tables, config.source, task, vectors)
        else:
            neighbor, similarity = search(vectors, task.start, task.stop, config, tables.threads, index, probing)
        if probing is not None:
            recall = measure_recall(vectors, task.start, neighbor, similarity, config, tables.threads)
            found["recall"] = asdict(recall)
        rows = np.arange(task.start, task.stop, dtype=np.int32)
        return Output([{"row": rows, "neighbor": neighbor, "similarity": similarity}], found)

    return find


def summary(tables: Tables) -> str | None:
    """Return what a search over inverted lists read and found.

    Nothing for other searches.
    """
    if not uses_lists(tables.config) or is_uniform(tables):
        return None
    chosen, recall = tables.facts("knn"), recall_of(tables)
    share = f"reading {chosen['share']:.2%} of the rows" if "share" in chosen else f"{chosen['nearest']} lists per row"
    if recall is None:
        return f"all rows were compared: recall {tables.config.knn.recall} would take {share}"
    return f"recall {recall.mean:.4f} +- {recall.error:.4f} on {recall.rows:,} exact rows, {share}"


def numbers(tables: Tables) -> Facts:
    """Return what the search read, and its recall where it was measured."""
    recall = recall_of(tables)
    return {**tables.facts("knn"), **({} if recall is None else {"recall": asdict(recall)})}


def headline(tables: Tables) -> Facts:
    """Return the measured recall."""
    recall = recall_of(tables)
    return {} if recall is None else {"knn_recall": round(recall.mean, 5)}


def sizes(tables: Tables) -> dict[str, float]:
    """Return the share of the rows that inverted lists make a search read."""
    if not uses_lists(tables.config) or is_uniform(tables):
        return {}
    chosen = tables.facts("knn")
    return {"share": chosen.get("share", chosen["nearest"] / tables.facts("coarse_lists")["lists"])}


def share_read(size: ProblemSize, config: Config) -> float:
    """Return the share of all rows that the search compares with a row."""
    if not uses_lists(config):
        return 1.0
    return TYPICAL_SHARE if size.share is None else size.share


def joins_itself(size: ProblemSize, config: Config) -> bool:
    """Whether each pair of rows is scored once for both, as one shard can."""
    reads_all = share_read(size, config) > MOST_SHARE
    return reads_all and size.shards == 1 and bytes_needed(size.rows, config.knn.k) <= SELF_JOIN_BYTES


def _compared(size: ProblemSize, config: Config) -> float:
    """Return the pairs of vectors whose products are taken, those with centroids and those that measure recall included."""
    rows, share = float(size.rows), share_read(size, config)
    if share > MOST_SHARE:
        return rows * rows / 2 if joins_itself(size, config) else rows * rows
    return rows * (number_of_lists(size.rows, config.knn.lists) + share * rows + min(rows, MEASURING_ROWS))


def copies_of_neighbors(size: ProblemSize, config: Config) -> dict[str, float]:
    """Return the bytes of a node's copies of the kNN table."""
    table = 4.0 * size.rows * config.knn.k
    return {"knn.neighbor": table, "knn.similarity": table}


def _cost(size: ProblemSize, config: Config) -> Cost:
    rows, k = size.rows_per_shard, config.knn.k
    lists = {"coarse_lists.list": 4.0 * size.rows} if uses_lists(config) else {}
    table = 4.0 * 8 * k * rows
    if joins_itself(size, config):
        worker = table + bytes_needed(rows, k)
    else:
        block = QUERY_BLOCK * (4.0 * DATABASE_TILE + 8 * (4 * k + 64) + 4 * size.width)
        worker = table + size.threads * block + (28.0 if uses_lists(config) else 4.0) * size.rows
    if config.knn.source is not None:
        return Cost(
            work=float(size.rows * k),
            rate=5e-7,
            worker_bytes=worker,
            copies=copy_of_vectors(size, config),
            streams={"input": size.rows * (4.0 + 4 * k)},
            compression=0.76,
            is_threaded=True,
            is_gpu_idle=True,
        )
    is_chosen = uses_lists(config) and config.knn.probes is None
    rate = LISTED_PAIRS if uses_lists(config) else EACH_PAIR_ONCE if joins_itself(size, config) else ALL_PAIRS
    return Cost(
        once=float(min(size.rows, CHOOSING_ROWS)) * size.rows * size.width if is_chosen else 0.0,
        work=_compared(size, config) * size.width,
        once_rate=ALL_PAIRS,
        rate=rate,
        worker_bytes=worker,
        copies=copy_of_vectors(size, config) | lists,
        compression=0.76,
        is_once_threaded=True,
        is_threaded=True,
        is_gpu_idle=uses_lists(config),
        gpu_flop=0.0 if uses_lists(config) else 2.0 * size.rows * size.rows * size.width,
    )


def _schema(config: Config, id_type: pa.DataType, width: int) -> pa.Schema:  # noqa: ARG001
    return schemas.knn(config.knn.k)


KNN = Stage(
    name="knn",
    reads=("embeddings", "duplicates", "coarse_lists"),
    writes=_schema,
    settings=lambda config: config.knn.__dict__,
    once=prepare_search,
    open=open_knn,
    gpu=True,
    sizes=sizes,
    summary=summary,
    numbers=numbers,
    headline=headline,
    cost=_cost,
)
