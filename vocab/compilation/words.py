"""Eight bytes at a time in kernels: instructions that Numba has no name for. Kernels of every folder may use them."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_intrinsic: Any = intrinsic  # its declared type counts the typing context as an argument


@_intrinsic
def load8(typingctx, array, at):
    """Eight bytes from byte `at` of a uint8 array as a little-endian uint64, unchecked: the caller knows they exist."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), context.get_value_type(types.uint64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(array, at), codegen


@_intrinsic
def store8(typingctx, array, at, word):
    """Write a word to bytes `at` to `at` + 8 of a uint8 array, unchecked: the caller knows they exist."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), context.get_value_type(types.uint64).as_pointer())
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, at, word), codegen


@_intrinsic
def big_endian(typingctx, word):
    """The word with its bytes reversed. Such words compare as numbers in the order of their bytes."""

    def codegen(context, builder, signature, args):
        return builder.bswap(args[0])

    return types.uint64(word), codegen


@_intrinsic
def n_zero_bytes(typingctx, word):
    """How many bytes of a uint64, from the lowest on, are zero before one that is not: 0 to 8, int64."""

    def codegen(context, builder, signature, args):
        n_bits = builder.cttz(args[0], cgutils.false_bit)  # 64 for zero
        return builder.lshr(n_bits, context.get_constant(types.uint64, 3))

    return types.int64(word), codegen


@_intrinsic
def n_low_zeros(typingctx, word):
    """How many bits of a uint64, from the lowest on, are 0 before one that is not: 0 to 64, int64."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], cgutils.false_bit)

    return types.int64(word), codegen


@_intrinsic
def n_high_zeros(typingctx, word):
    """How many bits of a uint64, from the highest on, are 0 before one that is not: 0 to 64, int64."""

    def codegen(context, builder, signature, args):
        return builder.ctlz(args[0], cgutils.false_bit)

    return types.int64(word), codegen


@_intrinsic
def prefetch(typingctx, array, at):
    """Ask for the memory of element `at`, counted through all dimensions of an array, which is read soon."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        declared = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, declared, "llvm.prefetch.p0")
        pointer = builder.bitcast(builder.gep(data, [args[1]]), byte)
        builder.call(function, [pointer, word(0), word(3), word(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(array, at), codegen
