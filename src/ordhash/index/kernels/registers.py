"""Instructions that Python has no operator for, for compiled code."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["FAR", "STEP", "has_look_up", "popcount", "shifted", "smallest_of_step", "sum_of_step"]

STEP = 1 << 7  # codes summed together, in four registers
FAR = 255  # sums saturate here


def has_look_up() -> bool:
    """Whether the processor looks up 32 bytes at once (AVX2), which ``sum_of_step`` needs."""
    return bool(binding.get_host_cpu_features().get("avx2"))


def _generate_popcount(_, value):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return value(value), generate


def _generate_shifted(_, value, by):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.lshr(*arguments)

    return value(value, value), generate


def _generate_smallest_of_step(_, values, start):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = make_array(signature.args[0])(context, builder, arguments[0])
        element = array.data.type.pointee
        register = ir.VectorType(element, 32)
        function = ir.FunctionType(element, [register])
        smallest = cgutils.get_or_insert_function(
            builder.module, function, f"llvm.vector.reduce.umin.v32i{element.width}"
        )
        index, found = arguments[1].type, None
        for i in range(STEP // 32):
            place = builder.gep(array.data, [builder.add(arguments[1], index(32 * i))])
            part = builder.load(builder.bitcast(place, register.as_pointer()), align=1)
            found = part if found is None else builder.select(builder.icmp_unsigned("<", part, found), part, found)
        return builder.call(smallest, [found])

    return values.dtype(values, types.intp), generate


def _generate_sum_of_step(_, columns, tables, start, sums):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        columns_at, tables_at, sums_at = (
            make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 1, 3)
        )
        start_at = arguments[2]
        one, register = ir.VectorType(ir.IntType(8), 16), ir.VectorType(ir.IntType(8), 32)
        both = ir.FunctionType(register, [register, register])
        look_up = cgutils.get_or_insert_function(builder.module, both, "llvm.x86.avx2.pshuf.b")
        add = cgutils.get_or_insert_function(builder.module, both, "llvm.uadd.sat.v32i8")
        twice = ir.Constant(ir.VectorType(ir.IntType(32), 32), [*range(16), *range(16)])
        index = start_at.type
        n_columns, row = cgutils.unpack_tuple(builder, columns_at.shape, 2)
        totals = [cgutils.alloca_once_value(builder, ir.Constant(register, None)) for _ in range(STEP // 32)]
        with cgutils.for_range(builder, n_columns) as loop:
            table_at = builder.gep(tables_at.data, [builder.mul(loop.index, index(16))])
            table = builder.load(builder.bitcast(table_at, one.as_pointer()), align=1)
            table = builder.shuffle_vector(table, table, twice)
            codes_at = builder.gep(columns_at.data, [builder.add(builder.mul(loop.index, row), start_at)])
            for i, total in enumerate(totals):
                values = builder.load(
                    builder.bitcast(builder.gep(codes_at, [index(32 * i)]), register.as_pointer()), align=1
                )
                builder.store(builder.call(add, [builder.load(total), builder.call(look_up, [table, values])]), total)
        near = ir.Constant(ir.IntType(32), 0)
        for i, total in enumerate(totals):
            place = builder.bitcast(builder.gep(sums_at.data, [index(32 * i)]), register.as_pointer())
            builder.store(builder.load(total), place, align=1)
            below = builder.icmp_unsigned("<", builder.load(total), ir.Constant(register, [FAR] * 32))
            near = builder.or_(near, builder.bitcast(below, ir.IntType(32)))
        return builder.icmp_unsigned("!=", near, ir.Constant(ir.IntType(32), 0))

    return types.boolean(columns, tables, types.intp, sums), generate


popcount: Any = intrinsic(_generate_popcount)
"""Number of bits set in an integer, of the integer's type."""

shifted: Any = intrinsic(_generate_shifted)
"""A byte shifted right, as a byte: Python's operator widens it, so a register would hold an eighth as many."""

smallest_of_step: Any = intrinsic(_generate_smallest_of_step)
"""Smallest of ``STEP`` unsigned values, from ``start`` on: a loop over them takes several times as long.

Arguments: values uint8 or uint16, contiguous; start.
"""

sum_of_step: Any = intrinsic(_generate_sum_of_step)
"""Sums of the table entries of ``STEP`` codes, which saturate at ``FAR``, and whether any is below it.

Arguments: columns uint8 (n_columns, codes), values below 16, or from 128 for no entry; tables uint8
(n_columns, 16); start, the first of the codes; sums uint8 (STEP,), filled in.
"""
