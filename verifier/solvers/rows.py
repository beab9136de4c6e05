"""Rows ``a . x <= b`` (or ``= b``) as integers: the exact side of every linear program.

A row over the rationals is a row of integers over one positive denominator.  Two products decide everything that a
linear program needs to have decided: *rows times a point* tells whether the point is feasible, *multipliers times
rows* gives the one inequality that a certificate consists of.  Both run on flint integers; fractions appear only at
the ends, where a row or a column is left.

The floating-point view divides each row by a power of two close to its largest coefficient.  That leaves the set and
the bases of the problem as they are, and keeps the absolute tolerances of a solver meaningful.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import fmpz_mat

from verifier.kernel.rational import FloatArray, Matrix, Point, common_denominator, to_integers


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows ``(a_1, ..., a_n, b)``: ``entries[i]`` are n + 1 integers, over ``denominators[i] > 0``."""

    entries: Sequence[Sequence[int]]
    denominators: tuple[int, ...]
    dimension: int

    @classmethod
    def from_matrix(cls, matrix: Matrix) -> Rows:
        """The rows of a matrix of shape (m, n + 1), whose last column holds the right-hand sides."""
        integers, denominators = matrix.row_integers()
        width = matrix.shape[1]
        flat = [int(v) for v in integers.entries()]
        return cls([flat[i * width:(i + 1) * width] for i in range(matrix.shape[0])], denominators, width - 1)

    @classmethod
    def from_integers(cls, entries: Sequence[Sequence[int]], dimension: int) -> Rows:
        """Integer rows of ``dimension + 1`` entries."""
        return cls(entries, (1,) * len(entries), dimension)

    @property
    def count(self) -> int:
        """Number m of rows."""
        return len(self.entries)

    @cached_property
    def integers(self) -> fmpz_mat:
        """The entries as a matrix of shape (m, n + 1)."""
        return fmpz_mat(self.count, self.dimension + 1, [v for row in self.entries for v in row])

    @cached_property
    def magnitudes(self) -> tuple[int, ...]:
        """For each row a power of two above its coefficients (above its right-hand side when it has none)."""
        tops = [max(max(row[:-1], default=0), -min(row[:-1], default=0)) or abs(row[-1]) for row in self.entries]
        return tuple(1 << top.bit_length() for top in tops)

    def residuals(self, x: Sequence[Fraction], homogeneous: bool = False) -> list[int]:
        """Integers with the signs of ``a . x - b`` (of ``a . x`` when homogeneous), one a row."""
        vector, denominator = to_integers(x)
        column = fmpz_mat(len(x) + 1, 1, [*vector.entries(), 0 if homogeneous else -denominator])
        return [int(v) for v in (self.integers * column).entries()]

    def violations(self, x: Sequence[Fraction]) -> list[Fraction]:
        """``a . x - b`` of each row in the scale of :meth:`floats`."""
        denominator = common_denominator(x)
        return [Fraction(r, denominator * scale) for r, scale in zip(self.residuals(x), self.magnitudes, strict=True)]

    def combination(self, multipliers: Sequence[Fraction]) -> tuple[Point, Fraction]:
        """``sum m_i a_i`` and ``sum m_i b_i``, exactly."""
        used = [i for i, m in enumerate(multipliers) if m]
        weights = [multipliers[i] / self.denominators[i] for i in used]
        common = common_denominator(weights)
        row = fmpz_mat(1, len(used), [w.numerator * (common // w.denominator) for w in weights])
        width = self.dimension + 1
        picked = fmpz_mat(len(used), width, [v for i in used for v in self.entries[i]])
        total = [Fraction(int(v), common) for v in (row * picked).entries()] if used else [Fraction(0)] * width
        return tuple(total[:-1]), total[-1]

    def floats(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (m, n), within [-1, 1], and right-hand sides (m,); row i is divided by ``magnitudes[i]``."""
        values = [[to_float(v, scale) for v in row] for row, scale in zip(self.entries, self.magnitudes, strict=True)]
        array = np.array(values, dtype=np.float64).reshape(self.count, self.dimension + 1)
        return array[:, :-1], array[:, -1]

    def with_column(self, coefficients: Sequence[int]) -> Rows:
        """The integer rows (denominators dropped) with one more variable, whose coefficients are given."""
        return Rows.from_integers([(*row[:-1], c, row[-1]) for row, c in zip(self.entries, coefficients, strict=True)],
                                  self.dimension + 1)


def to_float(numerator: int, denominator: int = 1) -> float:
    """The nearest binary64 number, an infinity when the quotient is beyond their range."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf
