"""How the work, memory and disk of each stage grow. Rates come from a probe; shapes and limits from the stages themselves.

Work is counted in units of a stage's own: only its growth matters, the probe finds the seconds a unit. Every stage has a part
that the driver does once and a part that is cut into tasks.
"""

import math
from dataclasses import dataclass

import numpy as np

from raycluster.config.stages import Config
from raycluster.kernels.search.nearest import DATABASE_TILE, QUERY_BLOCK
from raycluster.kernels.search.self_join import bytes_needed
from raycluster.limits.far_ranks import MAX_ROWS
from raycluster.models.card import load_card
from raycluster.stages import communities
from raycluster.stages.coarse_lists import SAMPLE_PER_LIST, number_of_lists
from raycluster.stages.ingest import BATCH_ROWS
from raycluster.stages.knn import CHOOSING_ROWS, MEASURING_ROWS, MOST_SHARE, SELF_JOIN_BYTES

PLAN_BYTES_A_ROW = 48
"""Peak of finding the order of int64 ids; measured 32, and the ranks."""
LABEL_BYTES = {"link": 46, "row": 100}
"""Peak of describing clusters, measured with a tenth of the links between them; the gathered edges are 12 of the 46."""
PICK_BYTES = 12
"""A neighbor, while a threshold is picked."""
EDGE_BYTES = 24


@dataclass(frozen=True)
class Scale:
    """The sizes that costs depend on."""

    rows: int
    width: int
    pieces: int
    shards: int
    edges: float
    """Stored edges of all rows: those in force and those in reserve."""
    links: float
    """Edges in force."""
    share: float = 1.0
    """Share of all rows that kNN compares a row with: below 1 where it reads inverted lists."""

    @property
    def rows_a_shard(self) -> int:
        """Rows of the largest row shard."""
        return -(-self.rows // self.shards)


@dataclass(frozen=True)
class Work:
    """Units of a stage's work: what the driver does once, and all tasks together."""

    once: float
    tasks: float


def joins_itself(config: Config, scale: Scale) -> bool:
    """Whether each pair of rows is scored once for both, as one shard can."""
    return (
        scale.share > MOST_SHARE
        and scale.shards == 1
        and bytes_needed(scale.rows, config.knn.k) <= SELF_JOIN_BYTES
    )  # fmt: skip


def compared(config: Config, scale: Scale) -> float:
    """Pairs of vectors whose inner product kNN takes, those with centroids and those that measure recall included."""
    rows = float(scale.rows)
    if scale.share > MOST_SHARE:
        return rows * rows / 2 if joins_itself(config, scale) else rows * rows
    lists = number_of_lists(scale.rows, config.knn.lists)
    return rows * (lists + scale.share * rows + min(rows, MEASURING_ROWS))


def work(stage: str, config: Config, scale: Scale) -> Work:
    """Units of work of a stage, the growth it is taken to have."""
    rows, k = float(scale.rows), config.knn.k
    if stage in ("ingest", "embeddings"):
        return Work(0.0, rows * scale.width)
    if stage == "lists":
        lists = number_of_lists(scale.rows, config.knn.lists)
        return Work(min(rows, SAMPLE_PER_LIST * lists) * lists * scale.width, rows * lists * scale.width)
    if stage == "knn":
        if config.knn.source is not None:
            return Work(0.0, rows * k)
        chosen = config.knn.index == "ivf" and config.knn.probes is None
        once = min(rows, CHOOSING_ROWS) * rows * scale.width if chosen else 0.0
        return Work(once, compared(config, scale) * scale.width)
    if stage == "edges":
        return Work(min(rows, MAX_ROWS) * k, rows * k)
    if stage == "communities":
        return Work(0.0, scale.links * math.log2(scale.links + 2) + rows)
    if stage == "labels":
        return Work(0.0, scale.links + rows)
    return Work(0.0, rows * k)


def threaded(stage: str, config: Config) -> bool:
    """Whether a task of the stage is spread over the threads of its worker."""
    if stage == "edges":
        return config.edges.rule in ("early-stop", "density-peaks")
    return stage in ("lists", "knn", "topk", "contexts", "relations")


def copies(stage: str, config: Config, scale: Scale) -> dict[str, float]:
    """Bytes of the node-local copies a stage reads, by what they are of."""
    itemsize, neighbors = np.dtype(config.knn.storage).itemsize, 4.0 * scale.rows * config.knn.k
    vectors = {"vectors": float(scale.rows * scale.width * itemsize)}
    tables = {"neighbor": neighbors, "similarity": neighbors}
    counts = {"counts": 8.0 * scale.rows} if config.topk.predict or config.topk.source else {}
    nep = {"edge probability": neighbors, **counts} if config.edges.rule == "early-stop" else {}
    if stage in ("lists", "knn"):
        lists = {"lists": 4.0 * scale.rows} if stage == "knn" and config.knn.index == "ivf" else {}
        return vectors | lists
    if stage == "topk":
        return vectors | {"neighbor": neighbors} if config.topk.predict else {}
    if stage == "contexts":
        return vectors | {"neighbor": neighbors}
    if stage == "relations":
        wide = _context_width(config, scale.width)
        encoded = {"contexts": float(scale.rows * wide * itemsize)} if config.contexts.encode else {}
        return vectors | tables | counts | encoded | (nep if config.relations.score == "recall" else {})
    density = config.density.kind == "diffusion" and config.edges.rule == "density-peaks"
    if stage == "density":
        return {"neighbor": neighbors, "density": neighbors} if density else {"neighbor": neighbors}
    if stage == "edges":
        roots = config.edges.rule == "density-peaks" and config.edges.distance == "tpdi"
        nep |= {"distance": neighbors} if roots else {}
        return vectors | tables | nep | ({"score": neighbors} if config.relations.score != "none" else {})
    return {}


def _context_width(config: Config, width: int) -> int:
    if not config.contexts.encode:
        return 0
    return load_card(str(config.model))[0].training.predictor.encoder.width or width


def stored_bytes(stage: str, config: Config, scale: Scale) -> float:
    """Bytes of a stage's table before compression."""
    rows, k = scale.rows, config.knn.k
    if stage == "edges":
        return EDGE_BYTES * scale.edges
    each = {
        "ingest": 16 + 4 * scale.width, "embeddings": 12 + 4 * scale.width, "lists": 8, "knn": 4 + 8 * k, "topk": 10,
        "contexts": 4 + 4 * _context_width(config, scale.width), "relations": 4 + 4 * k, "communities": 16, "labels": 49,
    }  # fmt: skip
    return float(rows * each.get(stage, 8))


def driver_bytes(stage: str, config: Config, scale: Scale) -> float:
    """Peak memory of the driver in a stage, beyond libraries and memory maps."""
    if stage == "plan":
        return float(PLAN_BYTES_A_ROW * scale.rows)
    if stage == "lists":
        lists = number_of_lists(scale.rows, config.knn.lists)
        return float(8 * scale.width * (min(scale.rows, SAMPLE_PER_LIST * lists) + lists))
    if stage == "edges":
        return float(PICK_BYTES * config.knn.k * min(scale.rows, MAX_ROWS))
    if stage == "density":
        return 24.0 * scale.rows
    if stage == "communities":
        return float(communities.memory_needed(int(scale.links), scale.rows, config.communities))
    if stage == "labels":
        return float(LABEL_BYTES["link"] * scale.links + LABEL_BYTES["row"] * scale.rows)
    return 0.0


def worker_bytes(stage: str, config: Config, scale: Scale, threads: int) -> float:
    """Peak memory of one worker process in a stage, beyond libraries and memory maps."""
    rows, k, width = scale.rows_a_shard, config.knn.k, scale.width
    if stage == "ingest":  # unit rows as read, joined, cut by shard, and encoded twice; a batch in float64
        piece = -(-scale.rows // scale.pieces)
        return 4.0 * width * (6 * piece + 4 * min(piece, BATCH_ROWS))
    if stage == "embeddings":
        return 4.0 * width * 5 * rows
    if stage == "lists":
        return 4.0 * width * number_of_lists(scale.rows, config.knn.lists) + 16.0 * rows
    if stage == "knn":
        table = 4.0 * 8 * k * rows
        if joins_itself(config, scale):
            return table + bytes_needed(rows, k)
        block = QUERY_BLOCK * (4.0 * DATABASE_TILE + 8 * (4 * k + 64) + 4 * width)
        index = 28.0 * scale.rows if config.knn.index == "ivf" else 4.0 * scale.rows
        return table + threads * block + index
    if stage in ("topk", "contexts", "relations"):
        return 4.0 * 4 * k * rows
    if stage == "edges":
        return 16.0 * scale.rows + 8.0 * k * rows + 4.0 * EDGE_BYTES * scale.edges / scale.shards
    return 0.0
