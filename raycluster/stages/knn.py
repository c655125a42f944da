"""Row shards -> the K nearest neighbors of every row by cosine, itself first.

Query-stationary: a worker holds a shard's rows as queries and streams all vectors past them from a node-local copy. Tasks
neither shuffle nor merge, so every shard can be run again alone.

Shapes: N rows, R rows of a shard, D dimensions, K neighbors per row.
"""

from dataclasses import asdict

import numpy as np
import pyarrow as pa

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import Config, KnnConfig
from raycluster.kernels.search import faiss_flat
from raycluster.kernels.search.codes import Codes
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.recall import Recall, choose_probing, measure, sample_rows
from raycluster.kernels.search.self_join import bytes_needed, self_top_k
from raycluster.stages import imported_knn
from raycluster.stages.coarse_lists import inverted_file_of, uses_lists
from raycluster.stages.ingest import vectors_of
from raycluster.stages.knn_cost import CHOOSING_ROWS, MEASURING_ROWS, MOST_SHARE, SELF_JOIN_BYTES, cost_of_search
from raycluster.stages.stage import ShardFunction, Stage
from raycluster.storage import schemas
from raycluster.storage.tables import Facts, Output, Tables, Task

FIRST_LISTS = 8
"""Lists that every row reads before its own similarities decide about more. More raise recall and time."""


def neighbors_of(tables: Tables) -> tuple[Int32, Float32]:
    """Return neighbor int32 and similarity float32 (N, K) of all rows."""
    return tables.column("knn", "neighbor"), tables.column("knn", "similarity")


def few_neighbors(tables: Tables) -> tuple[Int32, Float32]:
    """Return `neighbors_of` for readers of few rows: without a copy of all."""
    k = tables.config.knn.k
    return tables.few_rows("knn", "neighbor", k, "int32"), tables.few_rows("knn", "similarity", k, "float32")


def is_uniform(tables: Tables) -> bool:
    """Whether all rows of the set hold the same vector, one row included.

    They are one cluster by any recipe.
    """
    return bool(tables.facts("knn").get("uniform", False))


def choose_reading(vectors: Vectors, config: KnnConfig, index: InvertedFile, threads: int = 1) -> Facts:
    """Return what a search over inverted lists reads, JSON-ready.

    `nearest` and `margin` are those of `Probing`; `exact` is whether reading all rows is faster. `expected` and `share` are the
    recall of the sample and the share of the rows that one row reads.

    Parameters
    ----------
    vectors : floating (N, D)
        Unit rows.
    config
        `recall` is what the search should reach; a higher one reads more lists. `probes` fixes their number instead.
    index
        All rows by inverted list.
    threads
        From 1 up; they change no choice.
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

    Similarities are rounded to float32 from one fixed float64 sum per pair. So the result does not depend on the shards.

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
    vectors: Vectors,
    start: int,
    neighbor: Int32,
    similarity: Float32,
    config: KnnConfig,
    threads: int = 1,
    codes: Codes | None = None,
) -> Recall:
    """Return the recall of the lists (R, K) of the rows from `start` on.

    It is measured on the rows that the seeded sample of all rows holds.

    Parameters
    ----------
    vectors : floating (N, D)
        Unit rows of the whole set.
    start
        Row of the first list.
    neighbor, similarity : int32, float32 (R, K)
        Lists to measure.
    config
        Its seed draws the sample.
    threads
        From 1 up; they change no result.
    codes
        Those of the rows, which save time.
    """
    rows = sample_rows(len(vectors), MEASURING_ROWS, (config.seed, 2))
    rows = rows[(rows >= start) & (rows < start + len(neighbor))]
    return measure(rows, neighbor[rows - start], similarity[rows - start], vectors, threads, codes)


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
        if index is not None:
            recall = measure_recall(vectors, task.start, neighbor, similarity, config, tables.threads, index.codes)
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


def similarity_of(tables: Tables, task: Task) -> Float32:
    """Return similarities (R, K) of a shard's rows, without a copy of all rows."""
    if tables.is_given("knn"):
        return np.asarray(tables.column("knn", "similarity")[task.rows])
    return np.asarray(tables.block("knn", task.number, ["similarity"])["similarity"])


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
    cost=cost_of_search,
)
