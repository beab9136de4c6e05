"""Constants of an ONNX file as exact arrays.

float16, bfloat16, float32 and float64 numbers are binary64 numbers, so a float64 array holds them exactly; int32 and
int64 become int64, truth values stay.  Other types (strings, float8, packed quantised integers) are refused.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from verifier.formats.affine import require_elements
from verifier.formats.errors import InputError
from verifier.formats.exact_arrays import Array

FLOATS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
                    onnx.TensorProto.BFLOAT16})
INTEGERS = frozenset({onnx.TensorProto.INT32, onnx.TensorProto.INT64})


def type_name(element_type: int) -> str:
    """The standard's word for an element type."""
    names: dict[int, str] = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return names.get(element_type, f"number {element_type}")


def printable(text: str) -> str:
    """A word from a file, quoted when it would break a sentence."""
    return text if text.isprintable() else repr(text)


def element_count(tensor: onnx.TensorProto) -> int:
    """The number of elements.  Raises InputError for negative dimensions, too many elements or an unsupported type."""
    if tensor.data_type not in FLOATS | INTEGERS | {onnx.TensorProto.BOOL}:
        raise InputError("a tensor of floating-point numbers, 32- or 64-bit integers or truth values is required, "
                         f"received type {type_name(tensor.data_type)}")
    dims = list(tensor.dims)
    if any(size < 0 for size in dims):
        raise InputError(f"a tensor's dimensions must not be negative, received {dims}")
    require_elements(prod(dims), f"a tensor of shape {dims}")
    return prod(dims)


def constant(tensor: onnx.TensorProto) -> Array:
    """The tensor, whose data must be in the message, as an exact array or an array of int64 or truth values.

    Raises InputError for an unsupported type, NaN, infinities and malformed data.
    """
    count = element_count(tensor)
    try:
        array = np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise InputError(f"its data does not make a {type_name(tensor.data_type)} tensor of shape "
                         f"{list(tensor.dims)} ({error})") from None
    assert array.size == count
    if tensor.data_type == onnx.TensorProto.BOOL:
        return array
    if tensor.data_type in INTEGERS:
        return array.astype(np.int64)
    with np.errstate(invalid="ignore"):  # widening a signalling NaN, which is refused below
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0].tolist()
        raise InputError(f"finite numbers are required, received {array[tuple(place)]} at index {place}")
    return array


def rounded(array: Array, element_type: int) -> Array:
    """A constant cast to another element type, as the standard does it (narrowing rounds, to integers truncates).

    Raises InputError for an unsupported type, a fraction that is no binary number, or a result out of range.
    """
    if element_type not in FLOATS | INTEGERS:
        raise InputError("a cast to floating-point numbers or to 32- or 64-bit integers is required, received "
                         f"{type_name(element_type)}")
    if array.dtype == np.object_:
        raise InputError("a cast of a constant needs binary floating-point numbers, received fractions")
    try:
        with np.errstate(over="raise", invalid="raise"):
            result = array.astype(onnx.helper.tensor_dtype_to_np_dtype(element_type))
            wide = result.astype(np.int64 if element_type in INTEGERS else np.float64)
    except FloatingPointError:
        raise InputError(f"a constant is out of the range of {type_name(element_type)}") from None
    if wide.dtype == np.float64 and not np.isfinite(wide).all():
        raise InputError(f"a constant is out of the range of {type_name(element_type)}")
    return wide
