"""The transpose of a tile of scores, by squares in registers.

numba itself moves one number at a time, which takes as long as the product that made the tile.
"""

from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic

SIDE = 8
"""Side of a square: eight registers of eight floats."""


@intrinsic
def _turn_square(_context, rows, target, row, column):  # type: ignore[no-untyped-def]
    """Write the square of `rows` (R, C) at (row, column), turned, to `target` (C, R)."""

    def _write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.FloatType(), SIDE)
        one, other = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        )
        row, column = arguments[2:]

        def _place(array: Any, line: Any, at: Any, offset: int) -> Any:
            width = builder.extract_value(array.shape, 1)
            number = builder.add(line, ir.Constant(line.type, offset))
            start = builder.add(builder.mul(number, width), at)
            return builder.bitcast(builder.gep(array.data, [start]), vector.as_pointer())

        lines = []
        for offset in range(SIDE):
            line = builder.load(_place(one, row, column, offset))
            line.align = 4
            lines.append(line)
        # Interleaving the lines of both halves three times turns a square of eight.
        halves = [[0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), SIDE), half) for half in halves]
        for _ in range(3):
            pairs = [(lines[at], lines[at + SIDE // 2]) for at in range(SIDE // 2)]
            lines = [builder.shuffle_vector(*pair, mask) for pair in pairs for mask in masks]
        for offset, line in enumerate(lines):
            builder.store(line, _place(other, column, row, offset)).align = 4
        return context.get_dummy_value()

    return numba.types.void(rows, target, row, column), _write


@numba.njit(nogil=True, cache=True)
def transpose(rows, target):  # type: ignore[no-untyped-def]
    """Write the transpose of float32 (R, C) to `target` (C, R), both C-contiguous."""
    height, width = rows.shape
    high, wide = height - height % SIDE, width - width % SIDE
    # Down a column of squares, so that the target is written line by line.
    for column in range(0, wide, SIDE):
        for row in range(0, high, SIDE):
            _turn_square(rows, target, row, column)
    for row in range(height):
        for column in range(wide if row < high else 0, width):
            target[column, row] = rows[row, column]
