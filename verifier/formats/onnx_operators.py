"""The table of ONNX operators: each lowers its node to exact arithmetic on symbolic tensors.

To add an operator, write one function under ``@operator("Name")``.  Its signature is its whole declaration: positional
parameters are the node's inputs (one with a default may be missing, ``*values`` takes any number), keyword-only
parameters are the attributes it understands (a default here serves where the standard gives none; without either the
attribute is required).  An attribute that is no parameter is an error, so none is ever ignored by oversight.

The meaning is the function over the real numbers: ``Cast`` between floating-point types leaves an activation as it is,
and arithmetic on constants does not round.  Differences between versions of the standard show up as attributes or
inputs being present; that a version has them is checked against onnx's own schemas before a function here is called.
Functions raise InputError for what they do not support; a ValueError, IndexError or TypeError of numpy about shapes
means that the node is malformed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx

from verifier.formats import affine
from verifier.formats import exact_arrays as exact
from verifier.formats.affine import Affine, Value, numbers, rearrange, require_elements
from verifier.formats.errors import InputError
from verifier.formats.exact_arrays import Array
from verifier.formats.onnx_tensors import FLOATS, constant, rounded, type_name
from verifier.formats.windows import Windows

Lowering = Callable[..., Value]
Integers = Sequence[int] | None


@dataclass(frozen=True)
class Operator:
    """One row of the table: the least and greatest number of inputs (``most`` None: any number) and the attributes
    with their defaults (``inspect.Parameter.empty``: none)."""

    lower: Lowering
    least: int
    most: int | None
    attributes: dict[str, Any]


OPERATORS: dict[str, Operator] = {}


def operator(name: str) -> Callable[[Lowering], Lowering]:
    """Enter the decorated function into the table; see the head of this file."""
    def enter(lower: Lowering) -> Lowering:
        parameters = inspect.signature(lower).parameters.values()
        inputs = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        assert name not in OPERATORS, f"{name} is in the table already"
        OPERATORS[name] = Operator(
            lower, sum(p.default is p.empty for p in inputs) + variadic, None if variadic else len(inputs),
            {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY})
        return lower
    return enter


# Arithmetic.  Before version 7 of the standard ``broadcast`` allowed shapes to differ, and ``axis`` said where the
# dimensions of the second input begin among those of the first.


@operator("Add")
def _add(a: Value, b: Value, *, axis: int | None = None, broadcast: int = 0) -> Value:
    return affine.add(a, _aligned(a, b, axis))


@operator("Sub")
def _sub(a: Value, b: Value, *, axis: int | None = None, broadcast: int = 0) -> Value:
    return affine.add(a, _neg(_aligned(a, b, axis)))


@operator("Mul")
def _mul(a: Value, b: Value, *, axis: int | None = None, broadcast: int = 0) -> Value:
    return affine.multiply(a, _aligned(a, b, axis))


@operator("Div")
def _div(a: Value, b: Value, *, axis: int | None = None, broadcast: int = 0) -> Value:
    if isinstance(b, Affine):
        raise InputError("the divisor must be a constant, received a tensor that depends on the input")
    if not numbers(b).all():
        raise InputError("the divisor must not be zero")
    return affine.multiply(a, _aligned(a, exact.reciprocal(b), axis))


@operator("Neg")
def _neg(x: Value) -> Value:
    return -x if not isinstance(x, Affine) and x.dtype == np.int64 else affine.multiply(x, np.array(-1.0))


def _aligned(a: Value, b: Value, axis: int | None) -> Value:
    if axis is None:
        return b
    after = len(a.shape) - (axis + len(a.shape) if axis < 0 else axis) - len(b.shape)
    if after < 0:
        raise InputError(f"axis {axis} leaves no room for shape {b.shape} in shape {a.shape}")
    return rearrange(b, lambda array: array.reshape(b.shape + (1,) * after))


@operator("MatMul")
def _matmul(a: Value, b: Value) -> Value:
    if not a.shape or not b.shape:
        raise InputError("a matrix product needs at least one dimension, received a scalar")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    left = rearrange(a, lambda array: array[np.newaxis]) if row else a
    right = rearrange(b, lambda array: array[:, np.newaxis]) if column else b
    product: Value
    if not isinstance(right, Affine):
        product = _weighted(affine.as_affine(left), numbers(right))
    elif not isinstance(left, Affine):
        product = rearrange(_weighted(affine.as_affine(_turned(right)), np.asarray(_turned(numbers(left)))), _swap)
    else:
        raise InputError("one factor must be a constant, received two tensors that depend on the input")
    shape = product.shape[:-2] + product.shape[-2:-1] * (not row) + product.shape[-1:] * (not column)
    product = rearrange(product, lambda array: array.reshape(shape))
    return product.constant.reshape(shape) if isinstance(product, Affine) and not product.terms else product


def _swap(array: Array) -> Array:
    return np.swapaxes(array, -1, -2)


def _turned(value: Value) -> Value:
    return rearrange(value, _swap)


def _weighted(x: Affine, weight: Array) -> Affine:
    """The matrix product ``x @ weight`` of shapes (..., m, k) and (..., k, n)."""
    if x.shape[-1] != weight.shape[-2]:
        raise InputError(f"a matrix product needs matching inner dimensions, received shapes {x.shape} "
                         f"and {weight.shape}")
    columns = np.arange(x.size).reshape(x.shape)[..., :, np.newaxis, :]
    values = _swap(weight)[..., np.newaxis, :, :]
    shape = np.broadcast_shapes(columns.shape, values.shape)
    require_elements(prod(shape), f"a matrix product with {shape} products")
    return affine.contract(x, np.broadcast_to(columns, shape), np.broadcast_to(values, shape))


@operator("Gemm")
def _gemm(a: Value, b: Value, c: Value | None = None, *, alpha: float, beta: float, transA: int, transB: int,
          broadcast: int = 0) -> Value:
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise InputError(f"two matrices are required, received shapes {a.shape} and {b.shape}")
    product = _matmul(_turned(a) if transA else a, _turned(b) if transB else b)
    product = affine.multiply(product, np.array(alpha))
    return product if c is None else affine.add(
        product, affine.broadcast(affine.multiply(c, np.array(beta)), product.shape))


@operator("Conv")
def _conv(x: Value, w: Value, b: Value | None = None, *, auto_pad: str, group: int, dilations: Integers = None,
          kernel_shape: Integers = None, pads: Integers = None, strides: Integers = None) -> Value:
    if isinstance(w, Affine):
        raise InputError("the weight must be a constant, received a tensor that depends on the input")
    rank = len(w.shape) - 2
    if rank < 1 or len(x.shape) != rank + 2:
        raise InputError(f"an input (batch, channels, ...) and a weight (filters, channels, ...) of equal rank are "
                         f"required, received shapes {x.shape} and {w.shape}")
    filters, channels, *kernel = w.shape
    if group < 1 or filters % group or x.shape[1] != group * channels:
        raise InputError(f"an input of {group} x {channels} channels and filters in {group} equal groups are required, "
                         f"received {x.shape[1]} channels and {filters} filters")
    if kernel_shape is not None and list(kernel_shape) != kernel:
        raise InputError(f"kernel_shape must be that of the weight, {kernel}, received {list(kernel_shape)}")
    windows = Windows.of(x.shape[2:], kernel, strides=strides, dilations=dilations, pads=pads, auto_pad=auto_pad)
    elements = windows.elements(x.shape)
    batch, out = x.shape[0], elements.shape[2:2 + rank]
    shape = (batch, group, filters // group, *out, channels, *kernel)
    require_elements(prod(shape), f"a convolution with {shape} products")
    columns = np.moveaxis(elements.reshape(batch, group, 1, channels, *out, *kernel), 3, 3 + rank)
    values = numbers(w).reshape(1, group, filters // group, *(1,) * rank, channels, *kernel)
    flat = (batch, filters, *out, channels * prod(kernel))
    result = affine.contract(affine.as_affine(x), np.broadcast_to(columns, shape).reshape(flat),
                             np.broadcast_to(values, shape).reshape(flat))
    return result if b is None else affine.add(result, _per_channel(b, filters, rank))


def _per_channel(b: Value, channels: int, rank: int) -> Value:
    if b.shape != (channels,):
        raise InputError(f"one number a channel is required, shape ({channels},), received {b.shape}")
    return rearrange(b, lambda array: array.reshape(channels, *(1,) * rank))


# Activations


@operator("Relu")
def _relu(x: Value) -> Value:
    return affine.activate(x, np.array(0.0))


@operator("LeakyRelu")
def _leaky_relu(x: Value, *, alpha: float) -> Value:
    return affine.activate(x, np.array(alpha))


# Shapes


def _ints(value: Value, what: str) -> list[int]:
    if isinstance(value, Affine) or value.dtype != np.int64:
        raise InputError(f"{what} must be a constant of integers")
    return [int(v) for v in value.ravel()]


def _either(attribute: Integers, given: Value | None, what: str) -> list[int] | None:
    """What old versions of an operator say by an attribute and new ones by an input; None when by neither."""
    if given is not None:
        return _ints(given, what)
    return None if attribute is None else list(attribute)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise InputError(f"an axis of a tensor with {rank} dimensions is required, received {axis}")
    return axis % rank


@operator("Identity")
def _identity(x: Value) -> Value:
    return x


@operator("Dropout")
def _dropout(x: Value, share: Value | None = None, training_mode: Value | None = None, *, is_test: int = 1,
             ratio: float = 0.5, seed: int = 0) -> Value:
    if isinstance(training_mode, Affine) or not is_test or (training_mode is not None and training_mode.any()):
        raise InputError("inference mode is required, received training mode")
    return x


@operator("Cast")
def _cast(x: Value, *, to: int, saturate: int = 1, round_mode: str = "up") -> Value:
    if not isinstance(x, Affine):
        return rounded(x, to)
    if to not in FLOATS:
        raise InputError("a tensor that depends on the input may be cast to floating-point numbers only, received "
                         f"{type_name(to)}")
    return x


@operator("Flatten")
def _flatten(x: Value, *, axis: int) -> Value:
    rank = len(x.shape)
    if not -rank <= axis <= rank:
        raise InputError(f"an axis between {-rank} and {rank} is required, received {axis}")
    axis = axis + rank if axis < 0 else axis
    return rearrange(x, lambda array: array.reshape(prod(x.shape[:axis]), prod(x.shape[axis:])))


@operator("Reshape")
def _reshape(x: Value, target: Value | None = None, *, shape: Integers = None, allowzero: int = 0) -> Value:
    sizes = _either(shape, target, "the shape")
    if sizes is None or any(size < -1 for size in sizes):
        raise InputError(f"a shape of sizes, 0 and -1 is required, received {sizes}")
    if not allowzero:
        if any(size == 0 and place >= len(x.shape) for place, size in enumerate(sizes)):
            raise InputError(f"0 copies a dimension of {x.shape} and has none to copy in {sizes}")
        sizes = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return rearrange(x, lambda array: array.reshape(sizes))


@operator("Transpose")
def _transpose(x: Value, *, perm: Integers = None) -> Value:
    return rearrange(x, lambda array: array.transpose(perm))


@operator("Squeeze")
def _squeeze(x: Value, places: Value | None = None, *, axes: Integers = None) -> Value:
    axes = _either(axes, places, "the axes")
    return rearrange(x, lambda array: np.squeeze(array, axis=None if axes is None else tuple(axes)))


@operator("Unsqueeze")
def _unsqueeze(x: Value, places: Value | None = None, *, axes: Integers = None) -> Value:
    axes = _either(axes, places, "the axes")
    if axes is None:
        raise InputError("axes are required, received none")
    return rearrange(x, lambda array: np.expand_dims(array, tuple(axes)))


@operator("Concat")
def _concat(*values: Value, axis: int) -> Value:
    return affine.concatenate(values, _axis(axis, len(values[0].shape)))


_NO_END = (2**31 - 1, 2**63 - 1)


@operator("Slice")
def _slice(x: Value, first: Value | None = None, last: Value | None = None, places: Value | None = None,
           step: Value | None = None, *, starts: Integers = None, ends: Integers = None,
           axes: Integers = None) -> Value:
    begin, end = _either(starts, first, "starts"), _either(ends, last, "ends")
    if begin is None or end is None:
        raise InputError("starts and ends are required")
    places_, rank = _either(axes, places, "axes"), len(x.shape)
    along = [_axis(axis, rank) for axis in (range(len(begin)) if places_ is None else places_)]
    steps = [1] * len(begin) if step is None else _ints(step, "steps")
    if not len(begin) == len(end) == len(along) == len(steps) == len(set(along)) or 0 in steps:
        raise InputError(f"starts, ends, different axes and nonzero steps of one length are required, received "
                         f"{begin}, {end}, {along} and {steps}")
    kept = [np.arange(size) for size in x.shape]
    for axis, *bounds in zip(along, begin, end, steps, strict=True):
        kept[axis] = np.array(_places(x.shape[axis], *bounds), dtype=np.int64)
    return rearrange(x, lambda array: array[np.ix_(*kept)])


def _places(size: int, start: int, end: int, step: int) -> range:
    """The places that a slice takes, clamped as the standard has it: backwards, not as Python does it."""
    if step < 0 and end in _NO_END:
        raise InputError(f"an end that has one meaning is required: backwards to {end} is nothing by the standard, and "
                         "all that comes before to onnxruntime")
    first, last = (place + size if place < 0 else place for place in (start, end))
    if step > 0:
        return range(min(max(first, 0), size), min(max(last, 0), size), step)
    return range(min(max(first, 0), size - 1), min(max(last, -1), size - 1), step)


@operator("Gather")
def _gather(x: Value, indices: Value, *, axis: int) -> Value:
    _ints(indices, "the indices")
    axis = _axis(axis, len(x.shape))
    require_elements(prod(indices.shape) * prod(x.shape[:axis] + x.shape[axis + 1:]), "a gather")
    return rearrange(x, lambda array: np.take(array, np.asarray(indices), axis=axis))


# Constants


@operator("Constant")
def _constant(*, value: onnx.TensorProto | None = None, value_float: float | None = None,
              value_floats: Sequence[float] | None = None, value_int: int | None = None,
              value_ints: Integers = None) -> Value:
    given = [v for v in (value, value_float, value_floats, value_int, value_ints) if v is not None]
    if len(given) != 1:
        raise InputError(f"exactly one value is required, received {len(given)}")
    if value is not None:
        return constant(value)
    return np.array(given[0], dtype=np.float64 if value_int is None and value_ints is None else np.int64)


@operator("ConstantOfShape")
def _constant_of_shape(shape: Value, *, value: onnx.TensorProto | None = None) -> Value:
    sizes = _ints(shape, "the shape")
    fill = np.zeros(1) if value is None else constant(value)
    if fill.size != 1 or min(sizes, default=0) < 0:
        raise InputError(f"one value and sizes that are not negative are required, received {fill.size} and {sizes}")
    require_elements(prod(sizes), f"a constant of shape {sizes}")
    return np.full(sizes, fill.ravel()[0], dtype=fill.dtype)


@operator("Shape")
def _shape(x: Value, *, start: int = 0, end: int | None = None) -> Value:
    return np.array(x.shape[start:end], dtype=np.int64)
