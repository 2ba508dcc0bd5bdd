"""Which of 64 bytes are of a kind, as the bits of a word: instructions that Numba has no name for.

They are written for LLVM as comparisons of vectors, so that it makes the best of each processor. Kernels of every
folder may use them.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # its declared type counts the typing context as an argument

N_BYTES = 64
_BYTES = ir.VectorType(ir.IntType(8), N_BYTES)
_WORD = ir.IntType(64)


def _load(context, builder, signature, args):
    """The 64 bytes from byte args[1] of the array args[0], as a vector."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    pointer = builder.bitcast(builder.gep(data, [args[1]]), _BYTES.as_pointer())
    return builder.load(pointer, align=1)


def _each(value):
    """A vector that holds one byte 64 times."""
    return ir.Constant(_BYTES, [value] * N_BYTES)


def _compared(builder, operator, vector, value):
    """Which bytes of a vector compare so with one byte, as a word."""
    return builder.bitcast(builder.icmp_unsigned(operator, vector, _each(value)), _WORD)


def _literal(argument):
    return argument.literal_value


@_intrinsic
def ascii_masks(typingctx, array, at):
    """Of the 64 bytes from `at`: (ASCII letters, digits, white space, line ends, bytes above 127), each a uint64.

    Bit k is byte at + k. It is unchecked: the caller knows that they exist.
    """

    def codegen(context, builder, signature, args):
        raw = _load(context, builder, signature, args)

        def within(vector, first, n):
            return _compared(builder, "<", builder.sub(vector, _each(first)), n)

        letters = within(builder.or_(raw, _each(0x20)), ord("a"), 26)
        spaces = builder.or_(within(raw, 9, 5), _compared(builder, "==", raw, 0x20))
        line_ends = builder.or_(_compared(builder, "==", raw, 10), _compared(builder, "==", raw, 13))
        masks = (letters, within(raw, ord("0"), 10), spaces, line_ends, _compared(builder, ">", raw, 0x7F))
        return context.make_tuple(builder, signature.return_type, masks)

    return types.UniTuple(types.uint64, 5)(array, at), codegen


@_intrinsic(prefer_literal=True)
def equal_mask(typingctx, array, at, value):
    """Which of the 64 bytes from `at` are `value`, a literal; a uint64."""
    byte = _literal(value)

    def codegen(context, builder, signature, args):
        return _compared(builder, "==", _load(context, builder, signature, args), byte)

    return types.uint64(array, at, value), codegen


@_intrinsic(prefer_literal=True)
def within_mask(typingctx, array, at, first, n):
    """Which of the 64 bytes from `at` are among the n bytes from `first` on, both literals; a uint64."""
    least, number = _literal(first), _literal(n)

    def codegen(context, builder, signature, args):
        raw = _load(context, builder, signature, args)
        return _compared(builder, "<", builder.sub(raw, _each(least)), number)

    return types.uint64(array, at, first, n), codegen
