"""Rows in blocks on some threads: results depend neither on shards nor on threads.

Blocks of rows start at fixed row numbers, and one thread computes each. So a row is always computed beside the same others, and
its result is the same to the bit. A block's activations stay in a core's cache.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Array, Int64
from raycluster.kernels.advance import rows_done

CPU_BLOCK = {"row": 16, "relative": 48, "pair": 8, "context": 128, "lists": 256}
"""Samples per block on a CPU, by the form of the network.

`context` counts rows that a Relation Encoder encodes. `lists` counts rows that the form relative sorts by the length of their
lists, so that it computes equal lengths together.

Small enough that a block's activations stay in a core's cache, large enough that a matrix product is worth its call. Twice
as many or half are a little slower; results then differ in their last bits, so these numbers belong to the labels."""


class RowBlocks:
    """Computes blocks of rows on some threads.

    numpy's matrix products of a block have one core.

    Parameters
    ----------
    threads
        Blocks computed at once. Raising it changes no result.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

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
            with self.around_one():
                compute(*values)

        with self.around_all(), ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(one, *arguments))

    def around_one(self) -> contextlib.AbstractContextManager[object]:
        """Return what surrounds each call of `compute`, in its own thread."""
        return contextlib.nullcontext()

    def around_all(self) -> contextlib.AbstractContextManager[object]:
        """Return what surrounds all calls: the blocks are the parallelism."""
        return threadpool_limits(1, user_api="blas")
