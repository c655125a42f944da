"""Tiles of a matrix product that stay in the registers of a core.

A tile is `ROWS` rows of the left matrix times one to `WIDEST` vectors of columns of the right one. Each element sums its
products in the order of the depth, by one fused operation per product. So its bits depend neither on the size of the tile nor on
what else is computed, and processors with short and long vectors agree.

numba would not keep such sums in registers, so the loop is written for the compiler by hand.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from raycluster.kernels import numba

FLOAT, INDEX = ir.FloatType(), ir.IntType(64)


def _features() -> set[str]:
    """Return the instructions that kernels are compiled for."""
    if config.CPU_FEATURES is not None or config.CPU_NAME is not None:
        named = config.CPU_FEATURES or ""
        return {name[1:] for name in named.split(",") if name.startswith("+")}
    return {name for name, is_there in llvm.get_host_cpu_features().items() if is_there}


LANES, ROWS = (16, 8) if "avx512f" in _features() else (8, 4) if "avx2" in _features() else (4, 4)
"""Numbers per vector, and rows of a tile. A tile of `WIDEST` vectors and the operands of a step fill the 32 registers of AVX-512,
or the 16 of AVX2."""
WIDEST = 3
"""Vectors of columns per tile at most. Results do not depend on it, nor on `LANES` and `ROWS`."""


def _tile(vectors: int) -> Any:
    """Return the intrinsic of a tile with as many vectors of columns."""
    lanes = ir.VectorType(FLOAT, LANES)

    @intrinsic
    def tile(_context, a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, depth, offset, offset_at, is_added):  # type: ignore[no-untyped-def] # noqa: ARG001
        """Write a tile of a product plus an offset per row, or add it.

        Parameters
        ----------
        a, b, c, offset
            float32 arrays of any shape, contiguous: left matrix, right matrix, result and offsets.
        a_at, b_at, c_at, offset_at
            Place of the tile's first element in each.
        a_row, a_step, b_row, c_row
            Distance of rows and columns of a, and of rows of b and c.
        depth
            Columns of a, at least 1.
        is_added
            Whether c keeps what it holds.
        """

        def _write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def data(number: int) -> Any:
                return context.make_array(signature.args[number])(context, builder, arguments[number]).data

            left, right, out, offsets = (data(number) for number in (0, 4, 7, 11))
            left_at, left_row, left_step = arguments[1:4]
            right_at, right_row = arguments[5:7]
            out_at, out_row, length = arguments[8:11]
            first_offset, adds = arguments[12], arguments[13]
            kind = ir.FunctionType(lanes, [lanes] * 3)
            fused = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")

            def all_lanes(value: Any) -> Any:
                one = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                return builder.shuffle_vector(one, ir.Constant(lanes, ir.Undefined), mask)

            def vector_at(pointer: Any, place: Any) -> Any:
                return builder.bitcast(builder.gep(pointer, [place]), lanes.as_pointer())

            def load(pointer: Any, place: Any) -> Any:
                value = builder.load(vector_at(pointer, place))
                value.align = 4
                return value

            begin = builder.block
            loop, end = builder.append_basic_block("depth"), builder.append_basic_block("end")
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(INDEX)
            step.add_incoming(ir.Constant(INDEX, 0), begin)
            sums = [[builder.phi(lanes) for _ in range(vectors)] for _ in range(ROWS)]
            left_here = builder.add(left_at, builder.mul(step, left_step))
            right_here = builder.add(right_at, builder.mul(step, right_row))
            columns = [
                load(right, builder.add(right_here, ir.Constant(INDEX, vector * LANES))) for vector in range(vectors)
            ]
            following = []
            for row in range(ROWS):
                place = builder.add(left_here, builder.mul(left_row, ir.Constant(INDEX, row)))
                factor = all_lanes(builder.load(builder.gep(left, [place])))
                following.append(
                    [builder.call(fused, [factor, columns[vector], sums[row][vector]]) for vector in range(vectors)]
                )
            after = builder.add(step, ir.Constant(INDEX, 1))
            step.add_incoming(after, loop)
            zeros = ir.Constant(lanes, [0.0] * LANES)
            for row in range(ROWS):
                for vector in range(vectors):
                    sums[row][vector].add_incoming(zeros, begin)
                    sums[row][vector].add_incoming(following[row][vector], loop)
            builder.cbranch(builder.icmp_signed("<", after, length), loop, end)
            builder.position_at_end(end)

            def store(is_sum: bool) -> None:
                for row in range(ROWS):
                    place = builder.add(first_offset, ir.Constant(INDEX, row))
                    own_offset = all_lanes(builder.load(builder.gep(offsets, [place])))
                    for vector in range(vectors):
                        at = builder.add(out_at, builder.mul(out_row, ir.Constant(INDEX, row)))
                        at = builder.add(at, ir.Constant(INDEX, vector * LANES))
                        value = builder.fadd(following[row][vector], own_offset)
                        if is_sum:
                            value = builder.fadd(load(out, at), value)
                        builder.store(value, vector_at(out, at)).align = 4

            with builder.if_else(adds) as (adding, replacing):
                with adding:
                    store(True)
                with replacing:
                    store(False)
            return context.get_dummy_value()

        index = types.intp
        arrays = (a, index, index, index, b, index, index, c, index, index, index, offset, index, types.boolean)
        return types.void(*arrays), _write

    return tile


_one, _two, _three = (_tile(vectors) for vectors in range(1, WIDEST + 1))


@numba.njit(nogil=True, cache=True)
def tiles(a, a_at, a_row, a_step, b, b_at, b_row, c, c_at, c_row, depth, blocks, a_block, vectors, offset, is_added):  # type: ignore[no-untyped-def]
    """Write a product of two matrices plus an offset per row.

    Arrays are contiguous float32 of any shape, and places count their elements. Nothing checks that they lie within.

    Parameters
    ----------
    a, b, c
        Left matrix, right matrix and result.
    a_at, b_at, c_at
        Place of their first element.
    a_row, a_step, b_row, c_row
        Distance of rows of a, of its columns, and of rows of b and c. Columns of b and c lie side by side.
    depth
        Columns of a and rows of b, at least 1.
    blocks
        Times `ROWS` is the number of rows computed.
    a_block
        Distance of the blocks of a.
    vectors
        Times `LANES` is the number of columns computed.
    offset
        float32 (blocks * ROWS,), added to the columns of a row.
    is_added
        Whether c keeps what it holds and the result is added to it.
    """
    first = 0
    while first < vectors:
        wide = min(WIDEST, vectors - first)
        right, out = b_at + first * LANES, c_at + first * LANES
        for block in range(blocks):
            left, row = a_at + block * a_block, block * ROWS
            to = out + row * c_row
            if wide == 3:
                _three(a, left, a_row, a_step, b, right, b_row, c, to, c_row, depth, offset, row, is_added)
            elif wide == 2:
                _two(a, left, a_row, a_step, b, right, b_row, c, to, c_row, depth, offset, row, is_added)
            else:
                _one(a, left, a_row, a_step, b, right, b_row, c, to, c_row, depth, offset, row, is_added)
        first += wide
