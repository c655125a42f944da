"""Row shards -> the k nearest neighbors of every row by cosine, the row itself first.

Query-stationary: a worker holds a shard's rows as queries and streams all vectors past them from a node-local copy. No
shuffle and no merge between tasks, so every shard can be run again alone.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import Config, KnnConfig
from raycluster.errors import InputError
from raycluster.kernels.search import faiss_flat
from raycluster.kernels.search.inverted_file import InvertedFile
from raycluster.kernels.search.list_search import Probing, list_top_k
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.kernels.search.recall import Recall, choose_probing, measure, sample_rows
from raycluster.kernels.search.self_join import bytes_needed, self_top_k
from raycluster.stages import coarse_lists as lists
from raycluster.stages import embeddings
from raycluster.stages import imported_knn as neighbors
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

SELF_JOIN_BYTES = 2**31
ROWS_FOR_IVF = 200_000
FIRST_LISTS = 8
CHOOSING_ROWS, MEASURING_ROWS = 2048, 2048
MOST_SHARE = 0.4
"""Share of the rows above which reading them all, in order and each pair once, is faster."""


def settled(config: Config, rows: int) -> Config:
    """The configuration with `knn.index` auto replaced by what it means for so many rows.

    It does not look at the machine: the same input gives the same labels with and without GPUs.
    """
    if config.knn.index != "auto":
        return config
    approximate = rows >= ROWS_FOR_IVF and config.knn.source is None and config.knn.engine != "faiss"
    return replace(config, knn=replace(config.knn, index="ivf" if approximate else "exact"))


def choose(vectors: Vectors, config: KnnConfig, index: InvertedFile, threads: int = 1) -> dict[str, Any]:
    """What `index: ivf` reads, JSON-ready: `nearest` and `margin` of `Probing`, or `exact` where that is faster.

    `expected` and `share` say what recall the sample had and which share of the rows a row reads.
    """
    if config.probes is not None:
        return {"exact": False, "nearest": config.probes, "margin": None}
    rows = sample_rows(len(vectors), CHOOSING_ROWS, (config.seed, 1))
    found = choose_probing(vectors, rows, index, FIRST_LISTS, config.k, config.recall, threads)
    return {
        "exact": found.share > MOST_SHARE,
        **asdict(found.probing),
        "expected": round(found.expected.mean, 5),
        "share": round(found.share, 5),
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
    """Neighbor int32 and similarity float32 (stop - start, k) of rows start..stop among all of `vectors` (N, D), unit.

    Rank 0 is the row itself with similarity 1; then similarity descending, ties by row ascending. Similarities are
    rounded to float32 from one fixed float64 sum a pair, so the result does not depend on how the rows are cut. With an
    `index` and `probing`, only those of its lists are read, and ranks left empty hold -1.
    """
    own = np.arange(start, stop, dtype=np.int32)
    if index is not None and probing is not None:
        return list_top_k(vectors[start:stop], own, vectors, index, probing, config.k, threads)
    if config.engine == "faiss" or (config.engine == "auto" and faiss_flat.gpu_available()):
        return faiss_flat.flat_top_k(vectors[start:stop], own, vectors, config.k)
    if stop - start == len(vectors) and bytes_needed(stop, config.k) <= SELF_JOIN_BYTES:
        return self_top_k(vectors, config.k, threads)
    return exact_top_k(vectors[start:stop], own, vectors, config.k, threads)


def probing_of(chosen: dict[str, Any]) -> Probing | None:
    """The lists to read as `choose` chose them; none where everything is read."""
    return None if chosen["exact"] else Probing(chosen["nearest"], chosen["margin"])


def check(
    vectors: Vectors, start: int, neighbor: Int32, similarity: Float32, config: KnnConfig, threads: int = 1
) -> Recall:
    """Recall of the lists of the rows from `start` on, on those of them that the seeded sample of all rows holds."""
    rows = sample_rows(len(vectors), MEASURING_ROWS, (config.seed, 2))
    rows = rows[(rows >= start) & (rows < start + len(neighbor))]
    return measure(rows, neighbor[rows - start], similarity[rows - start], vectors, threads)


def recall_of(run: Run) -> Recall | None:
    """The measured recall of a finished approximate search; none where all pairs were compared or lists imported."""
    if not lists.LISTS.wanted(run.config) or run.prepared("knn")["exact"]:
        return None
    parts = [Recall(**run.marker("knn", shard)["recall"]) for shard in range(run.shards)]
    return sum(parts[1:], parts[0])


def told(run: Run) -> str | None:
    """One line on what a finished search over inverted lists read and found; none for other searches."""
    if not lists.LISTS.wanted(run.config):
        return None
    chosen, recall = run.prepared("knn"), recall_of(run)
    share = f"reading {chosen['share']:.2%} of the rows" if "share" in chosen else f"{chosen['nearest']} lists a row"
    if recall is None:
        return f"all rows were compared: recall {run.config.knn.recall} would take {share}"
    return f"recall {recall.mean:.4f} +- {recall.error:.4f} on {recall.rows:,} exact rows, {share}"


def require_rows(config: KnnConfig, rows: int, source: str) -> None:
    """Raise InputError where `source` has no more rows than a list is long."""
    if config.k >= rows:
        raise InputError(f"knn.k is {config.k}, but {source} has only {rows} rows; choose a k below {rows}.")


def _index(run: Run) -> InvertedFile:
    return InvertedFile.group(lists.centroids(run), np.asarray(scratch.joined(run, "lists", "list", "int32")))


def prepare(run: Run) -> dict[str, Any]:
    """Refuse too few rows or a kNN table of other rows; for inverted lists, choose what to read."""
    config = run.config.knn
    require_rows(config, run.rows, run.plan["input"]["url"])
    if config.source is not None:
        neighbors.require_matching_rows(run, config.source)
    if not lists.LISTS.wanted(run.config):
        return {}
    return choose(embeddings.vectors(run), config, _index(run), run.threads)


def compute(run: Run, shard: int) -> Part:
    """Search one shard's rows and, where the search is approximate, measure its recall."""
    config = run.config.knn
    start, stop = run.starts[shard : shard + 2]
    vectors = embeddings.vectors(run)
    facts: dict[str, Any] = {}
    if config.source is not None:
        neighbor, similarity = neighbors.read(run, config.source, start, stop, vectors)
    elif not lists.LISTS.wanted(run.config) or run.prepared("knn")["exact"]:
        neighbor, similarity = search(vectors, start, stop, config, run.threads)
    else:
        probing = probing_of(run.prepared("knn"))
        neighbor, similarity = search(vectors, start, stop, config, run.threads, _index(run), probing)
        facts["recall"] = asdict(check(vectors, start, neighbor, similarity, config, run.threads))
    rows = np.arange(start, stop, dtype=np.int32)
    schema = schemas.knn(config.k)
    return Part([schemas.from_columns(schema, row=rows, neighbor=neighbor, similarity=similarity)], facts)


KNN = Stage(
    name="knn", settings=lambda config: config.knn.__dict__, compute=compute, prepare=prepare, gpu=True, told=told
)
