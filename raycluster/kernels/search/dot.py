"""The inner product of two rows in float64, the same on every processor.

The order of summation is fixed.

Shapes: D dimensions.
"""

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic, overload

from raycluster.arrays import Float32


@intrinsic
def _dot_in_lanes(_context, a, b):  # type: ignore[no-untyped-def]
    """Return `dot_float64` by vectors of eight lanes, which numba would not make."""

    def _write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        eight_floats, eight_doubles = ir.VectorType(ir.FloatType(), 8), ir.VectorType(ir.DoubleType(), 8)
        one, other = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        width = builder.extract_value(one.shape, 0)
        eight = ir.Constant(width.type, 8)
        chunks = builder.sdiv(width, eight)
        lanes = cgutils.alloca_once_value(builder, ir.Constant(eight_doubles, [0.0] * 8))
        with cgutils.for_range(builder, chunks) as loop:
            wide = []
            for rows in (one, other):
                place = builder.gep(rows.data, [builder.mul(loop.index, eight)])
                values = builder.load(builder.bitcast(place, eight_floats.as_pointer()))
                values.align = 4
                wide.append(builder.fpext(values, eight_doubles))
            # Product and sum are rounded apart: no processor may fuse them.
            builder.store(builder.fadd(builder.load(lanes), builder.fmul(*wide)), lanes)
        sums = [builder.extract_element(builder.load(lanes), ir.Constant(ir.IntType(32), lane)) for lane in range(8)]
        # The last coordinates go to the first lane.
        first = cgutils.alloca_once_value(builder, sums[0])
        with cgutils.for_range(builder, width, start=builder.mul(chunks, eight)) as loop:
            wide = [
                builder.fpext(builder.load(builder.gep(rows.data, [loop.index])), ir.DoubleType())
                for rows in (one, other)
            ]
            builder.store(builder.fadd(builder.load(first), builder.fmul(*wide)), first)
        sums[0] = builder.load(first)
        while len(sums) > 1:
            sums = [builder.fadd(sums[at], sums[at + 1]) for at in range(0, len(sums), 2)]
        return sums[0]

    return numba.types.float64(a, b), _write


def _dot(a: Float32, b: Float32) -> float:
    """Return `dot_float64` of rows of any stride."""
    raise NotImplementedError("For numba kernels only.")


@overload(_dot, jit_options={"nogil": True})
def _dot_of_layout(a, b):  # type: ignore[no-untyped-def]
    def contiguous(a, b):  # type: ignore[no-untyped-def]
        return _dot_in_lanes(a, b)

    def strided(a, b):  # type: ignore[no-untyped-def]
        return _dot_in_lanes(np.ascontiguousarray(a), np.ascontiguousarray(b))

    return contiguous if a.layout == b.layout == "C" else strided


@numba.njit(nogil=True, cache=True)
def dot_float64(a: Float32, b: Float32) -> float:
    """Return the inner product in float64, summed in eight lanes on every processor."""
    total: float = _dot(a, b)
    return total
