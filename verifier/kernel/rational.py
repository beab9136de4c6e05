"""Exact numbers, points and matrices.

Theory.  A finite binary float is the dyadic rational it spells, so the weights of a float32 network are exact
data already.  A matrix is therefore kept in one of two canonical forms:

* *dyadic*: every entry is a binary64 number; the entries are stored as a float64 array, which is exact;
* *general*: row ``i`` is a row of integers over one positive denominator (python-flint's ``fmpz_mat``).

A matrix is dyadic whenever it can be, so two equal matrices have equal bytes (``Matrix.encode``).
Scalars and points that people meet are :class:`fractions.Fraction`; long arithmetic runs on flint integers.

Rule: no function here rounds unless its name says so (``floor_float``, ``ceil_float``, ``Matrix.approximate``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from flint import fmpz, fmpz_mat

FloatArray = npt.NDArray[np.float64]
Point = tuple[Fraction, ...]


def to_fraction(value: Fraction | int | float) -> Fraction:
    """The exact value of a Python or numpy number.

    A numpy integer would stay one inside the Fraction and overflow there, so it becomes Python's first.
    """
    return Fraction(value.item() if isinstance(value, np.generic) else value)


def to_float_exactly(value: Fraction) -> float | None:
    """The binary64 number equal to ``value``, or None when there is none."""
    try:
        approximation = value.numerator / value.denominator
    except OverflowError:
        return None
    return approximation if math.isfinite(approximation) and Fraction(approximation) == value else None


def nearest_float(value: Fraction) -> float:
    """The binary64 number nearest to ``value`` (ties to even), an infinity beyond the range."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def floor_float(value: Fraction) -> float:
    """The largest binary64 number (``-inf`` included) that is at most ``value``."""
    try:
        nearest = value.numerator / value.denominator
    except OverflowError:
        return -math.inf if value < 0 else math.nextafter(math.inf, 0.0)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def ceil_float(value: Fraction) -> float:
    """The smallest binary64 number (``inf`` included) that is at least ``value``."""
    return -floor_float(-value)


def to_text(value: Fraction) -> str:
    """``p`` or ``p/q``; unlike ``str`` for any number of digits (Python refuses to print more than 4300)."""
    numerator = str(fmpz(value.numerator))
    return numerator if value.denominator == 1 else f"{numerator}/{fmpz(value.denominator)!s}"


def common_denominator(values: Iterable[Fraction]) -> int:
    """The least common multiple of the denominators (1 for no values)."""
    return math.lcm(*{value.denominator for value in values})


def dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    """Exact inner product of two sequences of the same length."""
    terms = [a * b for a, b in zip(left, right, strict=True) if a and b]
    denominator = common_denominator(terms)
    return Fraction(sum(t.numerator * (denominator // t.denominator) for t in terms), denominator)


class Matrix:
    """An immutable exact rational matrix of shape ``(rows, columns)``.

    Build one with :meth:`from_floats` or :meth:`from_rationals`.  Equality and :meth:`encode` see the numbers only.
    """

    __slots__ = ("_floats", "_integers", "_row_integers", "shape")

    def __init__(self, shape: tuple[int, int], floats: FloatArray | None,
                 row_integers: tuple[fmpz_mat, tuple[int, ...]] | None) -> None:
        self.shape = shape
        self._floats = floats
        self._row_integers = row_integers
        self._integers: tuple[fmpz_mat, int] | None = None

    @classmethod
    def from_floats(cls, values: npt.ArrayLike) -> Matrix:
        """The matrix whose entries are exactly the given binary floats (float16, 32 or 64; two dimensions).

        Raises ValueError for NaN, an infinity, a number of another type that is no binary64 number, or a wrong number
        of dimensions.
        """
        given = np.asarray(values)
        array = np.array(given, dtype=np.float64)
        if array.ndim != 2:
            raise ValueError(f"a matrix has 2 dimensions, received {array.ndim}")
        if not np.isfinite(array).all():
            raise ValueError("a matrix needs finite entries, received NaN or an infinity")
        is_binary = given.dtype in (np.float16, np.float32, np.float64)
        if not is_binary and (array.astype(object) != given.astype(object)).any():
            raise ValueError(f"binary64 would round entries of type {given.dtype}: build the matrix from rationals")
        array += 0.0  # -0.0 and 0.0 are one number
        array.setflags(write=False)
        return cls((array.shape[0], array.shape[1]), array, None)

    @classmethod
    def from_rationals(cls, rows: Sequence[Sequence[Fraction | int]], columns: int | None = None) -> Matrix:
        """The matrix with the given rows; ``columns`` is needed only when there are no rows."""
        exact = [[to_fraction(v) for v in row] for row in rows]
        width = len(exact[0]) if exact else (columns or 0)
        if any(len(row) != width for row in exact):
            raise ValueError(f"the rows of a matrix need one length, received {sorted({len(r) for r in exact})}")
        floats = [[to_float_exactly(v) for v in row] for row in exact]
        if all(v is not None for row in floats for v in row):
            return cls.from_floats(np.array(floats, dtype=np.float64).reshape(len(exact), width))
        denominators = tuple(common_denominator(row) for row in exact)
        numerators = [[v.numerator * (d // v.denominator) for v in row]
                      for row, d in zip(exact, denominators, strict=True)]
        return cls((len(exact), width), None, (fmpz_mat(numerators), denominators))

    @classmethod
    def column(cls, values: Sequence[Fraction | int]) -> Matrix:
        """The one-column matrix of ``values``."""
        return cls.from_rationals([[v] for v in values], columns=1)

    @classmethod
    def zeros(cls, rows: int, columns: int) -> Matrix:
        """The zero matrix."""
        return cls.from_floats(np.zeros((rows, columns)))

    @classmethod
    def identity(cls, size: int) -> Matrix:
        """The identity matrix."""
        return cls.from_floats(np.eye(size))

    @property
    def is_dyadic(self) -> bool:
        """Whether every entry is a binary64 number, so that :meth:`approximate` is exact."""
        return self._floats is not None

    def approximate(self) -> FloatArray:
        """Read-only float64 array of the nearest binary64 numbers (ties to even): exact when :attr:`is_dyadic`,
        else off by at most ``2^-53`` relative plus ``2^-1075`` for each entry, or infinite for one beyond binary64.
        """
        if self._floats is not None:
            return self._floats
        array = np.array([[nearest_float(v) for v in row] for row in self.rows()], dtype=np.float64).reshape(self.shape)
        array.setflags(write=False)
        return array

    def row_integers(self) -> tuple[fmpz_mat, tuple[int, ...]]:
        """``(N, d)``: integers and one positive denominator a row, with entry ``(i, j) = N[i, j] / d[i]``."""
        if self._row_integers is None:
            assert self._floats is not None
            ratios = [[v.as_integer_ratio() for v in row] for row in self._floats.tolist()]
            denominators = [max((q for _, q in row), default=1) for row in ratios]  # powers of two: max is lcm
            numerators = [[p * (d // q) for p, q in row] for row, d in zip(ratios, denominators, strict=True)]
            flat = [v for row in numerators for v in row]
            self._row_integers = fmpz_mat(*self.shape, flat), tuple(denominators)
        return self._row_integers

    def integers(self) -> tuple[fmpz_mat, int]:
        """``(N, d)`` with one positive denominator for the whole matrix: entry ``(i, j) = N[i, j] / d``."""
        if self._integers is None:
            numerators, denominators = self.row_integers()
            denominator = math.lcm(*denominators)
            flat = [v * (denominator // d) for row, d in zip(numerators.tolist(), denominators, strict=True)
                    for v in row]
            self._integers = fmpz_mat(*self.shape, flat), denominator
        return self._integers

    def row(self, index: int) -> Point:
        """Row ``index`` as exact fractions."""
        if self._floats is not None:
            return tuple(Fraction(v) for v in self._floats[index].tolist())
        numerators, denominators = self.row_integers()
        return tuple(Fraction(int(numerators[index, j]), denominators[index]) for j in range(self.shape[1]))

    def rows(self) -> list[Point]:
        """All rows as exact fractions."""
        return [self.row(i) for i in range(self.shape[0])]

    def __matmul__(self, other: Matrix) -> Matrix:
        """Exact product."""
        if self.shape[1] != other.shape[0]:
            raise ValueError(f"cannot multiply matrices of shapes {self.shape} and {other.shape}")
        if 0 in self.shape or 0 in other.shape:
            return Matrix.zeros(self.shape[0], other.shape[1])
        left, row_denominators = self.row_integers()
        right, denominator = other.integers()
        product = (left * right).tolist()
        return Matrix.from_rationals([[Fraction(int(v), d * denominator) for v in row]
                                      for row, d in zip(product, row_denominators, strict=True)])

    def __add__(self, other: Matrix) -> Matrix:
        """Exact sum."""
        if self.shape != other.shape:
            raise ValueError(f"cannot add matrices of shapes {self.shape} and {other.shape}")
        return Matrix.from_rationals([[a + b for a, b in zip(r, s, strict=True)]
                                      for r, s in zip(self.rows(), other.rows(), strict=True)], self.shape[1])

    def apply(self, vector: fmpz_mat, denominator: int) -> tuple[fmpz_mat, int]:
        """Exact image of the column ``vector / denominator``, again as integers over one positive denominator."""
        numerators, own = self.integers()
        return numerators * vector, own * denominator

    def encode(self) -> bytes:
        """Canonical bytes: equal for equal matrices, different for different ones."""
        head = f"{self.shape[0]} {self.shape[1]} ".encode()
        if self._floats is not None:
            return head + b"binary64\n" + self._floats.astype("<f8").tobytes()
        text = "\n".join(" ".join(to_text(v) for v in row) for row in self.rows())
        return head + b"rational %d\n" % len(text) + text.encode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matrix) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        if self._floats is not None:
            return Matrix.from_floats, (np.array(self._floats),)
        return Matrix.from_rationals, (self.rows(), self.shape[1])

    def __repr__(self) -> str:
        return f"Matrix({self.shape[0]} x {self.shape[1]}, {'dyadic' if self.is_dyadic else 'rational'})"


def block_diagonal(first: Matrix, second: Matrix) -> Matrix:
    """The matrix with ``first`` and ``second`` on its diagonal and zeros elsewhere."""
    if first.is_dyadic and second.is_dyadic:
        rows, columns = (a + b for a, b in zip(first.shape, second.shape, strict=True))
        result = np.zeros((rows, columns))
        result[: first.shape[0], : first.shape[1]] = first.approximate()
        result[first.shape[0]:, first.shape[1]:] = second.approximate()
        return Matrix.from_floats(result)
    zero = Fraction(0)
    return Matrix.from_rationals([row + (zero,) * second.shape[1] for row in first.rows()]
                                 + [(zero,) * first.shape[1] + row for row in second.rows()])


def to_integers(point: Sequence[Fraction]) -> tuple[fmpz_mat, int]:
    """A point as a column of integers over one positive denominator."""
    denominator = common_denominator(point)
    return fmpz_mat(len(point), 1, [v.numerator * (denominator // v.denominator) for v in point]), denominator


def from_integers(vector: fmpz_mat, denominator: int | fmpz) -> Point:
    """The point that :func:`to_integers` encodes."""
    return tuple(Fraction(int(v), int(denominator)) for v in vector.entries())
