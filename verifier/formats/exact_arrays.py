"""Arrays of exact numbers: float64 while the numbers fit it, Fractions when they do not.

Theory.  An *exact array* is a float64 array whose entries are meant as the dyadic rationals they spell, or an object
array of :class:`fractions.Fraction`.  A float64 result of arithmetic is kept only with a proof that nothing was
rounded:

* a sum, when the error term of Knuth's TwoSum is zero (TwoSum is error-free in round-to-nearest without overflow);
* a product, when the significant bits of the factors number at most 53 together (a power of two adds none) and
  its lowest bit is at least 2^-1074 (products of two float32 numbers always pass);
* a matrix product ``A B``, when with ``2^p``, ``2^q`` the lowest bits of A and B all of ``|A| |B|`` is below
  ``2^(52+p+q)``: every partial sum, in whatever order, is then an integer of fewer than 53 bits times ``2^(p+q)``.

The functions named ``*_floats`` return None when there is no such proof; the others are always exact.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from verifier.kernel.rational import FloatArray, Matrix, common_denominator, to_float_exactly

Array = npt.NDArray[Any]
IntArray = npt.NDArray[np.int64]

_CHUNK = 1 << 20  # entries turned into Python integers at a time


def is_rational(array: Array) -> bool:
    """Whether the array holds Fractions (else it holds binary64 numbers)."""
    return array.dtype == np.object_


def fractions(array: Array) -> Array:
    """The same numbers as an object array of Fractions."""
    if is_rational(array):
        return array
    return np.asarray(np.frompyfunc(Fraction, 1, 1)(array), dtype=object).reshape(array.shape)


def simplified(array: Array) -> Array:
    """The same numbers as float64 when all of them are binary64 numbers, else unchanged."""
    if not is_rational(array):
        return array
    floats: list[float] = []
    for value in array.ravel().tolist():
        approximation = to_float_exactly(Fraction(value))
        if approximation is None:
            return array
        floats.append(approximation)
    return np.array(floats, dtype=np.float64).reshape(array.shape)


def matrix(array: Array) -> Matrix:
    """A two-dimensional exact array as a kernel matrix."""
    return (Matrix.from_rationals(array.tolist(), array.shape[1]) if is_rational(array)
            else Matrix.from_floats(array))


def sum_floats(left: FloatArray, right: FloatArray) -> FloatArray | None:
    """``left + right`` (broadcast) when float64 holds every entry exactly."""
    with np.errstate(all="ignore"):
        total = left + right
        part = total - left
        error = (left - (total - part)) + (right - part)
    exact = bool((error == 0).all())  # an overflow makes the error NaN
    return total if exact else None


def product_floats(left: FloatArray, right: FloatArray) -> FloatArray | None:
    """``left * right`` entry by entry (broadcast) when float64 holds every entry exactly."""
    if (right == 1).all() and np.broadcast_shapes(left.shape, right.shape) == left.shape:
        return left
    _, bits, low = _dyadic(left)
    _, other_bits, other_low = _dyadic(right)
    with np.errstate(all="ignore"):
        product = left * right
    fits = bits + other_bits <= 53 + ((bits == 1) | (other_bits == 1))  # a power of two only shifts
    exact = fits & (low + other_low >= -1074) & np.isfinite(product)
    return product if exact.all() else None


def matmul_floats(left: FloatArray, right: FloatArray) -> FloatArray | None:
    """The matrix product when every partial sum is exact in float64."""
    low = int(_dyadic(left)[2].min(initial=0)) + int(_dyadic(right)[2].min(initial=0))
    if low < -1074:
        return None
    with np.errstate(all="ignore"):
        size = np.abs(left) @ np.abs(right)
    return left @ right if (size < 2.0 ** (52 + low)).all() else None


def add(left: Array, right: Array) -> Array:
    """Exact sum, broadcast."""
    total = None if is_rational(left) or is_rational(right) else sum_floats(left, right)
    return simplified(fractions(left) + fractions(right)) if total is None else total


def multiply(left: Array, right: Array) -> Array:
    """Exact product entry by entry, broadcast."""
    product = None if is_rational(left) or is_rational(right) else product_floats(left, right)
    return simplified(fractions(left) * fractions(right)) if product is None else product


def denominator_bits(array: Array) -> int:
    """The length of the least common denominator of Fractions."""
    return common_denominator(array.ravel().tolist()).bit_length()


def reciprocal(array: Array) -> Array:
    """Exact ``1 / array``.  Raises ZeroDivisionError for a zero entry."""
    return simplified(np.asarray(1 / fractions(array), dtype=object))


def row_dots(left: Array, right: Array) -> Array:
    """Exact inner products of corresponding rows of two arrays of one shape ``(rows, terms)``; shape ``(rows,)``."""
    if not right.any() or not left.any():
        return np.zeros(left.shape[0])
    if is_rational(left) or is_rational(right):
        return simplified((fractions(left) * fractions(right)).sum(axis=1))
    pieces = left.shape[0] * left.shape[1] // _CHUNK + 1
    sums: list[Fraction] = []
    for a, b in zip(np.array_split(left, pieces), np.array_split(right, pieces), strict=True):
        numerators, exponent = _integers(a)
        others, other = _integers(b)
        unit = Fraction(2) ** (exponent + other)
        sums += [value * unit for value in (numerators * others).sum(axis=1).tolist()]
    return simplified(np.array(sums, dtype=object))


def _dyadic(array: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """``(n, bits, low)`` with ``array = n 2^(low + bits - 53)``: n has 53 bits of which the first ``bits`` matter, so
    every entry is an odd multiple of ``2^low`` (zeros have bits 0 and low 0)."""
    mantissa, exponent = np.frexp(array)
    whole = (mantissa * 2.0**53).astype(np.int64)
    bits = 54 - np.frexp((whole & -whole).astype(np.float64))[1].astype(np.int64)
    bits = np.where(whole == 0, 0, bits)
    return whole, bits, np.where(whole == 0, 0, exponent - bits)


def _integers(array: FloatArray) -> tuple[Array, int]:
    """``(n, k)`` with Python integers n and ``array = n 2^k``."""
    whole, bits, low = _dyadic(array)
    exponent = int(low.min(initial=0))
    shift = low + bits - 53 - exponent
    return (whole >> np.maximum(-shift, 0)).astype(object) << np.maximum(shift, 0).astype(object), exponent
