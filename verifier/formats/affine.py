"""Symbolic tensors: every value in a piecewise-linear graph as an affine map of the units before it.

Theory.  The *blocks* of a graph are its input and the outputs of its activations.  Between them all is affine, so each
activation tensor is ``constant + sum_B W_B B`` over the blocks B it reads.  A block's *depth* is one more than the
greatest depth it reads (the input has depth 0); ``lowering.py`` turns depths into layers.

Exactness.  Nothing is rounded (see ``exact_arrays.py``).  When composing two linear maps does not provably fit float64
the inner one becomes a block of *linear units* (slope 1) instead: the map is then kept as two layers and the weights
stay short.  Only a constant that is no binary64 number, such as 1/3 from a division, makes a weight a Fraction, and
linear units again keep fractions from piling up.  Constants (biases) are always combined exactly.

A linear operator is said by a gather and a weighted sum (:func:`contract`), a change of shape by what it does to an
array of element numbers (:func:`rearrange`); with :func:`add`, :func:`multiply` and :func:`activate` that is all an
operator needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from verifier.formats import exact_arrays as exact
from verifier.formats.errors import InputError
from verifier.formats.exact_arrays import Array, IntArray, is_rational

MAX_ELEMENTS = 50_000_000
MAX_DENOMINATOR_BITS = 256  # of one row of weights that dividing and then adding up would make


def require_elements(count: int, what: str) -> None:
    """Raise InputError when an array of ``count`` elements is more than this reader handles."""
    if count > MAX_ELEMENTS:
        raise InputError(f"{what} needs {count} elements, at most {MAX_ELEMENTS} are supported")


@dataclass(frozen=True, eq=False)
class Monomial:
    """A matrix with at most one entry a row: row i has ``scale[i]`` in column ``index[i]``."""

    index: IntArray
    scale: Array


Term = Monomial | Array  # a matrix (rows of a tensor x units of a block); the array has two dimensions


@dataclass(frozen=True, eq=False)
class Block:
    """The units ``act(pre)``, or the input of the graph when ``pre`` is None; compared by identity."""

    size: int
    pre: Affine | None
    slope: Array  # (size,)

    @cached_property
    def depth(self) -> int:
        """0 for the input, else one more than what the units read."""
        return 0 if self.pre is None else self.pre.depth + 1

    def values(self, shape: tuple[int, ...]) -> Affine:
        """The units themselves as a tensor."""
        return Affine(shape, {self: Monomial(np.arange(self.size), np.ones(self.size))}, np.zeros(self.size))


@dataclass(frozen=True, eq=False)
class Affine:
    """The tensor of ``shape`` whose elements, in row-major order, are ``constant + sum of terms[B] B``."""

    shape: tuple[int, ...]
    terms: Mapping[Block, Term]
    constant: Array  # (size,)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @cached_property
    def depth(self) -> int:
        """The greatest depth that is read."""
        return max((block.depth for block in self.terms), default=0)

    def activated(self, slope: Array) -> Affine:
        """The tensor ``act(self)`` of new units with negative-side slopes ``slope`` of shape ``(size,)``."""
        return Block(self.size, self.narrowed(), slope).values(self.shape)

    def linear(self) -> Affine:
        """The same values as units of slope 1, so that whatever is applied to them composes with an identity."""
        return self.activated(np.ones(self.size))

    def narrowed(self) -> Affine:
        """The same values, reading far back through the fewer of rows and columns, since each value that is
        read over a distance costs a unit in every layer between."""
        terms = dict(self.terms)
        for block, term in self.terms.items():
            if block.depth < self.depth and not isinstance(term, Monomial) and self.size < len(columns_read(term)):
                carried = Affine(self.shape, {block: term}, np.zeros(self.size))
                del terms[block]
                terms |= Block(self.size, carried, np.ones(self.size)).values(self.shape).terms
        return Affine(self.shape, terms, self.constant)


Value = Affine | Array  # a constant is an exact array, or an array of integers or truth values


def columns_read(term: Term) -> IntArray:
    """The columns of a term that hold a nonzero entry."""
    if isinstance(term, Monomial):
        return np.unique(term.index[term.scale != 0])
    return np.flatnonzero((term != 0).any(axis=0))


def dense(term: Term, width: int) -> Array:
    """The term as an array with ``width`` columns."""
    if not isinstance(term, Monomial):
        return term
    rows = len(term.index)
    require_elements(rows * width, f"a {rows} x {width} matrix")
    result = np.zeros((rows, width), dtype=term.scale.dtype)
    result[np.arange(rows), term.index] = term.scale
    return result


def is_number(constant: Array) -> bool:
    """Whether a constant is an exact array (not integers or truth values)."""
    return constant.dtype == np.float64 or is_rational(constant)


def rearrange(value: Value, change: Callable[[Array], Array]) -> Value:
    """Apply ``change``, which moves, drops or repeats elements of an array without looking at them."""
    if not isinstance(value, Affine):
        return np.asarray(change(value))
    index = np.asarray(change(np.arange(value.size).reshape(value.shape)))
    flat = index.ravel()
    terms = {block: Monomial(term.index[flat], term.scale[flat]) if isinstance(term, Monomial)
             else _rows(term, flat) for block, term in value.terms.items()}
    return Affine(index.shape, terms, value.constant[flat])


def broadcast(value: Value, shape: tuple[int, ...]) -> Value:
    """Repeat the value to ``shape`` by numpy's rules."""
    if value.shape == shape:
        return value
    require_elements(prod(shape), f"a tensor of shape {shape}")
    return rearrange(value, lambda array: np.broadcast_to(array, shape))


def add(left: Value, right: Value) -> Value:
    """Exact sum, broadcast."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    left, right = broadcast(left, shape), broadcast(right, shape)
    if not isinstance(left, Affine) and not isinstance(right, Affine):
        return left + right if _are_integers(left, right) else exact.add(left, right)
    left, right = as_affine(left), as_affine(right)
    constant = exact.add(left.constant, right.constant)
    terms = dict(left.terms)
    for block, term in right.terms.items():
        total = _sum(terms[block], term, block.size) if block in terms else term
        if total is None:
            return add(left, right.linear())
        terms[block] = total
    return Affine(shape, terms, constant)


def multiply(left: Value, right: Value) -> Value:
    """Exact product element by element, broadcast.  Raises InputError when neither factor is constant."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    left, right = broadcast(left, shape), broadcast(right, shape)
    if isinstance(left, Affine) and isinstance(right, Affine):
        raise InputError("one factor must be a constant, received two tensors that depend on the input")
    if not isinstance(left, Affine) and not isinstance(right, Affine):
        return left * right if _are_integers(left, right) else exact.multiply(left, right)
    tensor, factor = (left, right) if isinstance(left, Affine) else (right, left)
    assert isinstance(tensor, Affine)
    assert not isinstance(factor, Affine)
    scale = numbers(factor).ravel()
    terms: dict[Block, Term] = {}
    for block, term in tensor.terms.items():
        entries, factors = (term.scale, scale) if isinstance(term, Monomial) else (term, scale[:, np.newaxis])
        outgrows = is_rational(entries) and bool((abs(scale) != 1).any())
        product = None if outgrows else _product(entries, factors)
        if product is None:
            return multiply(tensor.linear(), factor)
        terms[block] = Monomial(term.index, product) if isinstance(term, Monomial) else product
    return Affine(shape, terms, exact.multiply(tensor.constant, scale))


def contract(tensor: Affine, columns: IntArray, values: Array) -> Affine:
    """The tensor with elements ``sum over t of values[..., t] * tensor.flat[columns[..., t]]``.

    ``columns`` and ``values`` have one shape ``(*output, t)``; a column of -1 is a zero, the others are distinct
    within a sum.
    """
    *shape, count = columns.shape
    rows = prod(shape)
    columns, values = columns.reshape(rows, count), numbers(values).reshape(rows, count)
    values = np.where(columns < 0, 0.0, values)
    terms: dict[Block, Term] = {}
    for block, term in tensor.terms.items():
        result = _compose(columns, values, term, block.size, tensor.size)
        if result is None:
            return contract(tensor.linear(), columns.reshape(*shape, count), values.reshape(*shape, count))
        terms[block] = result
    return Affine(tuple(shape), terms, exact.row_dots(values, tensor.constant[columns]))


def concatenate(values: Sequence[Value], axis: int) -> Value:
    """Join along ``axis``."""
    require_elements(sum(prod(value.shape) for value in values), "a concatenation")
    if not any(isinstance(value, Affine) for value in values):
        return np.concatenate([value for value in values if not isinstance(value, Affine)], axis=axis)
    parts = [as_affine(value) for value in values]
    offsets = np.cumsum([0] + [part.size for part in parts])
    terms: dict[Block, Term] = {}
    for block in dict.fromkeys(block for part in parts for block in part.terms):
        pieces = [part.terms.get(block, Monomial(np.zeros(part.size, dtype=np.int64), np.zeros(part.size)))
                  for part in parts]
        monomials = [piece for piece in pieces if isinstance(piece, Monomial)]
        if len(monomials) == len(pieces):
            terms[block] = Monomial(np.concatenate([m.index for m in monomials]),
                                    np.concatenate([m.scale for m in monomials]))
        else:
            require_elements(int(offsets[-1]) * block.size, f"a {offsets[-1]} x {block.size} matrix")
            terms[block] = np.concatenate([dense(piece, block.size) for piece in pieces])
    flat = Affine((int(offsets[-1]),), terms, np.concatenate([part.constant for part in parts]))
    order = np.concatenate([offset + np.arange(part.size).reshape(part.shape)
                            for offset, part in zip(offsets, parts, strict=False)], axis=axis)
    return rearrange(flat, lambda array: array[order])


def activate(value: Value, slope: Array) -> Value:
    """``act(z) = z`` for ``z >= 0`` and ``slope z`` below, ``slope`` an exact array that broadcasts to the value."""
    slope = np.broadcast_to(slope, value.shape)
    if not slope.size:
        raise InputError(f"a nonempty tensor is required, received shape {value.shape}")
    if isinstance(value, Affine):
        return value.activated(slope.ravel())
    return np.where(numbers(value) >= 0, value, exact.multiply(value, slope))


def numbers(constant: Array) -> Array:
    """The constant itself.  Raises InputError for integers and truth values, which do not mix with real numbers."""
    if not is_number(constant):
        raise InputError(f"a floating-point constant is required, received {constant.dtype}")
    return constant


def as_affine(value: Value) -> Affine:
    """A constant as a tensor that reads nothing."""
    return value if isinstance(value, Affine) else Affine(value.shape, {}, numbers(value).ravel())


def _are_integers(left: Array, right: Array) -> bool:
    if left.dtype == right.dtype == np.int64:
        return True
    numbers(left)
    numbers(right)
    return False


def _rows(term: Array, index: IntArray) -> Array:
    if np.array_equal(index, np.arange(len(term))):
        return term
    require_elements(len(index) * term.shape[1], f"a {len(index)} x {term.shape[1]} matrix")
    return term[index]


def _product(left: Array, right: Array) -> Array | None:
    """The exact product unless it outgrows float64, or would multiply fractions by fractions."""
    if is_rational(left) and is_rational(right):
        return None
    if is_rational(left) or is_rational(right):
        return exact.simplified(exact.fractions(left) * exact.fractions(right))
    return exact.product_floats(left, right)


def _sum(left: Term, right: Term, width: int) -> Term | None:
    if isinstance(left, Monomial) and isinstance(right, Monomial) and np.array_equal(left.index, right.index):
        total = _total(left.scale, right.scale)
        return None if total is None else Monomial(left.index, total)
    return _total(dense(left, width), dense(right, width))


def _total(left: Array, right: Array) -> Array | None:
    return None if is_rational(left) or is_rational(right) else exact.sum_floats(left, right)


def _compose(columns: IntArray, values: Array, term: Term, width: int, size: int) -> Array | None:
    """The matrix of a weighted gather (``size`` elements) after ``term`` (size x width), or None as in _product."""
    rows = len(columns)
    require_elements(rows * max(width, size), f"a {rows} x {max(width, size)} matrix")
    if not isinstance(term, Monomial):
        every = Monomial(np.arange(size), np.ones(size))
        gather = _compose(columns, values, every, size, size)
        return None if gather is None or is_rational(gather) or is_rational(term) else exact.matmul_floats(gather, term)
    if is_rational(term.scale) and exact.denominator_bits(term.scale) > MAX_DENOMINATOR_BITS:
        return None
    coefficients = _product(values, term.scale[columns])
    if coefficients is None:
        return None
    row, position = np.nonzero(coefficients)
    column = term.index[columns[row, position]]
    taken = np.zeros((rows, width), dtype=bool)
    taken[row, column] = True
    if taken.sum() < len(row):  # one unit read twice in one sum: the weights would have to be added first
        return None
    result = np.zeros((rows, width), dtype=coefficients.dtype)
    result[row, column] = coefficients[row, position]
    return result
