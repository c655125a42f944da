"""Blocks of rows or pairs that a network computes at once, and their threads.

Blocks of rows start at fixed row numbers, batches of pairs hold pairs of one row, and one thread computes each. So on a CPU a
score depends neither on the shards nor on the threads, and a block's activations stay in a core's cache.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from raycluster.arrays import Array, Int64
from raycluster.kernels.advance import rows_done
from raycluster.models.arithmetic import uses_bfloat16
from raycluster.models.build import Network
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.relation_predictor import PairPredictor
from raycluster.models.networks.relative import RelativePredictor

CPU_BLOCK = {"row": 16, "relative": 48, "pair": 8, "context": 128, "lists": 256}
"""Samples per block on a CPU, by the form of the network.

`context` counts rows that a Relation Encoder encodes. `lists` counts rows that the form relative sorts by the length of their
lists, so that it computes equal lengths together.

Small enough that a block's activations stay in a core's cache, large enough that a matrix product is worth its call. Twice
as many or half are a little slower; results then differ in their last bits, so these numbers belong to the labels."""
GPU_BLOCK = 4096
"""Most samples per block on a GPU. It bounds the rows computed again at the borders of a shard."""
GPU_THREADS = 2
"""Blocks in flight on a GPU: one is gathered while the other is computed. More of them take more memory."""


def activation_bytes(network: Network, embedding_width: int) -> int:
    """Return the most bytes that one sample, a row or a pair, fills in a network."""
    length = 2 * network.k if isinstance(network, PairPredictor) else network.k
    # the vectors as gathered, as float32 and among the tokens; the Gram matrix alone and among the tokens
    inputs = 3 * embedding_width + 2 * length
    if isinstance(network, AdaptiveFilter) and network.config.network == "lstm":
        # four gates of two directions, each with its input and its output
        return 4 * length * (inputs + 16 * network.config.lstm_width)
    encoder = network.config.encoder
    maps = encoder.heads * (2 if encoder.attention == "differential" else 1)
    # a layer keeps eight token widths, and either four copies of its attention maps or two of its hidden width
    return 4 * length * (inputs + 8 * network.encoder.width + max(4 * maps * length, 2 * encoder.hidden))


def block_size(network: Network, device_type: str, free: int, embedding_width: int) -> int:
    """Return how many samples to compute at once.

    Parameters
    ----------
    network
        The network that computes them.
    device_type
        `cpu`, where few samples stay in cache, or `cuda`.
    free
        Free bytes of the GPU. The block is the largest power of two whose activations fill a quarter of them.
    embedding_width
        Width of the vectors that a sample gathers.

    Returns
    -------
    int
        At least 1.
    """
    if device_type == "cpu":
        forms = {PairPredictor: "pair", RelativePredictor: "relative"}
        return CPU_BLOCK[forms.get(type(network), "row")]
    fit = free // (4 * activation_bytes(network, embedding_width))
    return min(GPU_BLOCK, 1 << max(fit.bit_length() - 1, 0))


class BlockRunner:
    """Computes blocks of rows on some threads, in the precision of the device.

    Parameters
    ----------
    device
        Where the network lies.
    threads
        Blocks computed at once on a CPU; a GPU always has `GPU_THREADS`. Raising it changes no result.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.threads = threads if device.type == "cpu" else GPU_THREADS
        self.is_bfloat16 = uses_bfloat16(device)

    def fill(self, out: Array, start: int, rows: int, block: int, compute: Callable[[Int64], Any]) -> Array:
        """Fill the results of rows start.. from the blocks that overlap them.

        Parameters
        ----------
        out
            (stop - start, ...), filled and returned.
        start
            Number of the row that `out` begins with.
        rows
            Rows of the whole set, N.
        block
            Rows per block. Block b holds rows b * block up to (b + 1) * block, whatever range is wanted. So a row is always
            computed beside the same others, and its result is the same to the bit.
        compute
            Returns the results (B, ...) of rows (B,).

        Returns
        -------
        (stop - start, ...)
            `out`.
        """
        stop = start + len(out)

        def fill_one(first: int) -> None:
            together = np.arange(first, min(first + block, rows))
            inside = (together >= start) & (together < stop)
            out[together[inside] - start] = compute(together)[inside]
            rows_done(int(inside.sum()))

        self.run(fill_one, range(start - start % block, stop, block))
        return out

    def run(self, compute: Callable[..., None], *arguments: Any) -> None:
        """Call `compute` with each of the arguments, as `map` does, several calls at once."""

        def one(*values: int) -> None:
            with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bfloat16):
                compute(*values)

        with _one_core_per_thread(self.device), ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(one, *arguments))


@contextlib.contextmanager
def _one_core_per_thread(device: torch.device) -> Iterator[None]:
    """Keep torch to one core per calling thread: the blocks are the parallelism."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
