"""Blocks of rows or pairs that a network in torch computes at once.

Batches of pairs hold pairs of one row. So on a CPU a score depends neither on the shards nor on the threads
(`raycluster.models.row_blocks`).
"""

import contextlib
from collections.abc import Iterator

import torch

from raycluster.models.arithmetic import uses_bfloat16
from raycluster.models.build import Network
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.relation_predictor import PairPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.row_blocks import CPU_BLOCK, RowBlocks

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
    widest = max(network.encoder.width, encoder.heads * (encoder.head_width or 0))
    return 4 * length * (inputs + 8 * widest + max(4 * maps * length, 2 * encoder.hidden))


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


class BlockRunner(RowBlocks):
    """Computes blocks of rows by torch, in the precision of the device.

    Parameters
    ----------
    device
        Where the network lies.
    threads
        Blocks computed at once on a CPU; a GPU always has `GPU_THREADS`. Raising it changes no result.
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        super().__init__(threads if device.type == "cpu" else GPU_THREADS)
        self.device = device
        self.is_bfloat16 = uses_bfloat16(device)

    def around_one(self) -> contextlib.AbstractContextManager[object]:
        """Return inference in the precision of the device."""
        return _inference(self.device, self.is_bfloat16)

    def around_all(self) -> contextlib.AbstractContextManager[object]:
        """Return a limit of one core per thread."""
        return _one_core_per_thread(self.device)


@contextlib.contextmanager
def _inference(device: torch.device, is_bfloat16: bool) -> Iterator[None]:
    """Compute without gradients, with matrix products in bfloat16 or in float32."""
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=is_bfloat16):
        yield


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
