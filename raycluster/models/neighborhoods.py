"""Vectors of the neighbors of any rows, gathered onto the device of a network.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, B rows gathered, D width of the vectors.
"""

import warnings

import torch
from torch import Tensor

from raycluster.arrays import Int32, Ints, Vectors


def free_bytes(device: torch.device) -> int:
    """Return the free bytes of a GPU; 0 for a CPU, whose batches fit its caches."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


class Neighborhoods:
    """Neighbor lists and vectors of a set, with the vectors on a GPU where they fit.

    Vectors that fill at most half of a GPU's free memory are uploaded once, here. Larger ones stay in host memory, and
    every call gathers its rows into pinned memory and sends them.

    Parameters
    ----------
    neighbor
        int32 (N, K), -1 where a list is short.
    vectors
        float32 or float16 (N, D), of unit length; a memory map serves as well.
    device
        Where gathered tensors lie.
    """

    def __init__(self, neighbor: Int32, vectors: Vectors, device: torch.device) -> None:
        self.neighbor, self.device = neighbor, device
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns of read-only memory, which nothing here writes
            self.vectors = torch.from_numpy(vectors)
        if vectors.nbytes <= free_bytes(device) // 2:
            self.vectors = self.vectors.to(device)

    def gather(self, rows: Ints, nearest: int | None = None) -> tuple[Tensor, Tensor]:
        """Gather the neighbors of `rows` (B,).

        Parameters
        ----------
        rows
            (B,) row numbers.
        nearest
            Only so many nearest neighbors of a row, the row itself included; None gathers all K.

        Returns
        -------
        vectors
            float32 (B, K, D); where a neighbor is missing, the vector of row 0.
        present
            bool (B, K), false where a neighbor is missing.
        """
        ids = torch.from_numpy(self.neighbor[rows, :nearest])
        flat = ids.clamp(min=0).flatten().to(self.vectors.device)
        vectors = self.vectors.index_select(0, flat).view(*ids.shape, -1)
        present = ids >= 0
        if self.device.type == "cuda" and vectors.device.type == "cpu":
            vectors = vectors.pin_memory().to(self.device, non_blocking=True)
        return vectors.float(), present.to(self.device)
