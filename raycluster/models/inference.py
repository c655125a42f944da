"""A trained network applied to the rows of a set.

Rows are taken in blocks that start at fixed row numbers, the pairs of a row in batches of their own, and one thread computes
each: so on a CPU a score depends neither on the shards nor on the threads, and a block's activations stay in a core's cache.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.config.networks import PredictorConfig
from raycluster.models.bfloat16 import fast_bfloat16
from raycluster.models.card import Card, load_network, require_width
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import RAW, PairPredictor, RowPredictor
from raycluster.models.networks.relative import MOST, RelativePredictor
from raycluster.models.set_statistics import Lists, Scale, lengths

CPU_BLOCK = {"row": 16, "relative": 48, "pair": 8, "context": 128, "lists": 256}
"""`lists`: rows that the form relative sorts by the length of their lists, to compute equal ones together."""
GPU_BLOCK = 4096
GPU_THREADS = 2  # one gathers while the other computes
Network = AdaptiveFilter | RowPredictor | RelativePredictor | PairPredictor | FaceTransformer
PREDICTORS: dict[str, Callable[[PredictorConfig, int, int], Network]] = {
    "row": RowPredictor, "relative": RelativePredictor, "pair": PairPredictor,
    "linkage": FaceTransformer, "distance": FaceTransformer,
}  # fmt: skip


def make(name: Literal["filter", "predictor"], card: Card) -> Network:
    """An untrained network as the card describes it."""
    training, width = card.training, card.embedding_width or 0
    if name == "filter":
        return AdaptiveFilter(training.filter, card.k, width)
    return PREDICTORS[training.predictor.form](training.predictor, card.k, width)


def free_bytes(device: torch.device) -> int:
    """Free memory of a GPU; 0 for a CPU, whose batches are sized to its caches."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


def activation_bytes(network: Network, embedding_width: int) -> int:
    """Memory that one sample, a row or a pair, fills at most on its way through the network, float32."""
    length = 2 * network.k if isinstance(network, PairPredictor) else network.k
    inputs = (
        3 * embedding_width + 2 * length
    )  # gathered, as float32 and among the tokens; the Gram matrix, and there too
    if isinstance(network, AdaptiveFilter) and network.config.network == "lstm":
        return 4 * length * (inputs + 16 * network.config.lstm_width)
    encoder = network.config.encoder
    maps = encoder.heads * (2 if encoder.attention == "differential" else 1)
    return 4 * length * (inputs + 8 * network.encoder.width + max(4 * maps * length, 2 * encoder.hidden))


def block_of(network: Network, device_type: str, free: int, embedding_width: int) -> int:
    """Samples computed at once: few on a CPU, on a GPU the power of two whose activations fill a quarter of `free` bytes."""
    if device_type == "cpu":
        forms = {PairPredictor: "pair", RelativePredictor: "relative"}
        return CPU_BLOCK[forms.get(type(network), "row")]
    fit = free // (4 * activation_bytes(network, embedding_width))
    return min(GPU_BLOCK, 1 << max(fit.bit_length() - 1, 0))


class Neighborhoods:
    """Vectors of the neighbors of any rows, gathered from memory-mapped tables onto a device.

    neighbor int32 (N, K), -1 where a list is short; vectors (N, D), unit. On a GPU the vectors are kept there where they
    fill at most half of its free memory, and otherwise gathered into pinned memory and sent from it.
    """

    def __init__(self, neighbor: Int32, vectors: Vectors, device: torch.device) -> None:
        self.neighbor, self.device = neighbor, device
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the memory map is read-only, and only read
            self.vectors = torch.from_numpy(vectors)
        if vectors.nbytes <= free_bytes(device) // 2:
            self.vectors = self.vectors.to(device)

    def of(self, rows: npt.NDArray[np.integer], nearest: int | None = None) -> tuple[Tensor, Tensor]:
        """Vectors float32 (B, K, D) of the neighbors of `rows` (B,), and which are there, bool (B, K).

        With `nearest`, only of so many of each row's neighbors, itself included.
        """
        ids = torch.from_numpy(self.neighbor[rows, :nearest])
        flat = ids.clamp(min=0).flatten().to(self.vectors.device)
        vectors = self.vectors.index_select(0, flat).view(*ids.shape, -1)
        present = ids >= 0
        if self.device.type == "cuda" and vectors.device.type == "cpu":
            vectors = vectors.pin_memory().to(self.device, non_blocking=True)
        return vectors.float(), present.to(self.device)


class Scorer:
    """One network of a model on one device, for the rows of one set.

    `background` is mean and spread of the cosines of the set's random pairs; `topk` (N,) the trusted neighbors a row,
    where the network's mask needs them; `contexts` (N, width) what a Face Transformer judges by in place of the vectors,
    once they are encoded; similarity (N, K) and `scale` are for the form relative. `threads` blocks are computed at once on
    a CPU. Raises InputError where the set does not fit the model.
    """

    def __init__(
        self,
        url: str,
        card: Card,
        name: Literal["filter", "predictor"],
        neighbor: Int32,
        vectors: Vectors,
        background: tuple[float, float] = RAW,
        *,
        topk: npt.NDArray[np.integer] | None = None,
        contexts: Vectors | None = None,
        similarity: Float32 | None = None,
        scale: Scale | None = None,
        threads: int = 1,
    ) -> None:
        require_width(card, vectors.shape[1], neighbor.shape[1], url)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = make(name, card)
        self.network.load_state_dict(load_network(url, card, name))
        self.network.to(self.device).eval()
        self.bfloat16 = fast_bfloat16(self.device)
        self.neighborhoods = Neighborhoods(neighbor, vectors if contexts is None else contexts, self.device)
        self.background, self.topk_of = background, topk
        self.similarity, self.scale = similarity, scale
        self.threads = threads if self.device.type == "cpu" else GPU_THREADS
        self.block = block_of(self.network, self.device.type, free_bytes(self.device), vectors.shape[1])

    def topk(self, start: int, stop: int) -> Int64:
        """Predicted Top-K (stop - start,) in 1..K."""
        network = self.network
        assert isinstance(network, AdaptiveFilter)

        def count(rows: Int64) -> Any:
            return network.topk(network(*self.neighborhoods.of(rows), self.background)).cpu().numpy()

        return self._rows(np.empty(stop - start, np.int64), start, count)

    def contexts(self, start: int, stop: int) -> Float32:
        """Contexts (stop - start, width) that a Relation Encoder makes of rows."""
        network = self.network
        assert isinstance(network, FaceTransformer)

        def encode(rows: Int64) -> Any:
            return network.encode(*self.neighborhoods.of(rows, network.nearest)).float().cpu().numpy()

        block = CPU_BLOCK["context"] if self.device.type == "cpu" else self.block
        return self._rows(np.empty((stop - start, network.width), np.float32), start, encode, block)

    def rows(self, start: int, stop: int) -> Float32:
        """Logits (stop - start, K) of all neighbors; NaN at rank 0 and where there is none.

        The form relative leaves out, as NaN, those beyond `MOST` and those that follow the `lengths` worth judging.
        """
        network = self.network
        if isinstance(network, RelativePredictor):
            return self._relative(network, start, stop)
        assert isinstance(network, RowPredictor | FaceTransformer)

        def judge(rows: Int64) -> Any:
            vectors, present = self.neighborhoods.of(rows)
            if isinstance(network, FaceTransformer):
                return network.judge(vectors, present).float().cpu().numpy()
            return network(vectors, present, self._topk(rows), self.background).float().cpu().numpy()

        return self._all_neighbors(start, stop, judge)

    def _relative(self, network: RelativePredictor, start: int, stop: int) -> Float32:
        assert self.similarity is not None, "form relative reads neighbor lists"
        assert self.scale is not None, "form relative reads the set's scale"
        similarity, scale, most = self.similarity, self.scale, min(MOST, self.similarity.shape[1])
        lists = Lists(self.neighborhoods.neighbor, similarity)
        scales = network.scales([scale], self.device)

        def judge(rows: Int64, k: int) -> Any:
            vectors, present = self.neighborhoods.of(rows, k)
            back, profile = (torch.from_numpy(each).to(self.device) for each in lists.of(rows, k))
            of = torch.zeros(len(rows), dtype=torch.int64, device=self.device)
            return network(vectors, present, back, profile, scales, of).float().cpu().numpy()

        def judge_all(rows: Int64) -> Float32:
            logit = np.full((len(rows), most), np.nan, np.float32)
            length = lengths(similarity[rows, :most], scale)
            for k in np.unique(length).tolist():
                alike, together = np.flatnonzero(length == k), self.block * most // k
                for begin in range(0, len(alike), together):
                    some = alike[begin : begin + together]
                    logit[some, :k] = judge(rows[some], k)
            return logit

        sorted_at_once = CPU_BLOCK["lists"] if self.device.type == "cpu" else self.block
        return self._all_neighbors(start, stop, judge_all, most, sorted_at_once)

    def _all_neighbors(
        self,
        start: int,
        stop: int,
        judge: Callable[[Int64], Any],
        judged: int | None = None,
        block: int | None = None,
    ) -> Float32:
        """Logits (stop - start, K), of the first `judged` neighbors if given; NaN elsewhere, where there is none, and of
        self."""
        neighbor = self.neighborhoods.neighbor[start:stop]
        logits = np.full(neighbor.shape, np.nan, np.float32)
        found = self._rows(np.empty(neighbor[:, :judged].shape, np.float32), start, judge, block)
        logits[:, :judged] = found
        logits[neighbor < 0] = np.nan
        logits[:, 0] = np.nan
        return logits

    def pairs(self, start: int, stop: int, wanted: npt.NDArray[np.bool_]) -> Float32:
        """Logits (stop - start, K) of the `wanted` pairs of rows start.. with their neighbors; NaN elsewhere."""
        network = self.network
        assert isinstance(network, PairPredictor)
        neighbor = self.neighborhoods.neighbor[start:stop]
        assert (neighbor[wanted] >= 0).all(), "a pair needs a neighbor"
        row, rank = np.nonzero(wanted)
        # on a CPU no batch holds pairs of two rows, else a shard's first row would decide who is batched with whom
        within = np.arange(len(row)) - (np.searchsorted(row, row) if self.device.type == "cpu" else 0)
        logits = np.full(wanted.shape, np.nan, np.float32)

        def judge(begin: int, end: int) -> None:
            i, j = row[begin:end] + start, neighbor[row[begin:end], rank[begin:end]]
            (vectors_i, present_i), (vectors_j, present_j) = self.neighborhoods.of(i), self.neighborhoods.of(j)
            judged = network(vectors_i, vectors_j, present_i, present_j, self._topk(i), self._topk(j))
            logits[row[begin:end], rank[begin:end]] = judged.float().cpu().numpy()

        begins = np.flatnonzero(within % self.block == 0).tolist()
        self._each(judge, begins, [*begins[1:], len(row)])
        return logits

    def _topk(self, rows: npt.NDArray[np.integer]) -> Tensor | None:
        return None if self.topk_of is None else torch.from_numpy(self.topk_of[rows]).to(self.device)

    def _rows(
        self, out: npt.NDArray[Any], start: int, work: Callable[[Int64], Any], block: int | None = None
    ) -> npt.NDArray[Any]:
        """`out`, of rows start.., filled with what `work` makes of every block that overlaps them."""
        stop, rows, size = start + len(out), len(self.neighborhoods.neighbor), block or self.block

        def fill(first: int) -> None:
            together = np.arange(first, min(first + size, rows))
            inside = (together >= start) & (together < stop)
            out[together[inside] - start] = work(together)[inside]

        self._each(fill, range(start - start % size, stop, size))
        return out

    def _each(self, work: Callable[..., None], *arguments: Any) -> None:
        """`work` on each of the arguments, some at once, in the precision of the device."""

        def one(*values: int) -> None:
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                work(*values)

        with _one_core_each(self.device), ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(one, *arguments))


@contextlib.contextmanager
def _one_core_each(device: torch.device) -> Iterator[None]:
    """On a CPU torch itself takes one thread for each that calls it."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
