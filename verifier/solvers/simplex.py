"""Exact pivots for small linear programs: the last resort when no basis of a float solver passes the exact tests.

**Dictionaries.**  Minimise ``c . x`` subject to the slacks ``s_i = b_i - a_i . x >= 0``.  A dictionary writes the
*basic* variables and the objective as affine functions of as many *nonbasic* ones as there are ``x``.  At first these
are the ``x`` themselves, which have no sign and so are exchanged for slacks one by one.  An ``x`` on which no slack
depends stays at 0: it spans a line of the feasible set.  From then on, with the nonbasic variables at 0, the dictionary
is optimal when no basic slack and no coefficient of the objective is negative; the coefficients are the multipliers.

**Criss-cross rule** (Terlaky; Wang).  Take the variable of least index that breaks one of the two conditions.  A
negative basic slack is exchanged for the first nonbasic one that raises it; a nonbasic slack with a negative
coefficient for the first basic one that falls with it.  If there is none the problem is infeasible or unbounded.  The
rule needs no feasible start, no phases and no ratios, and it *cannot cycle*, however degenerate the problem is.

**Integers.**  All entries are integers over one positive denominator D, the last pivot; after a pivot p they are
``(p T_ij - T_ic T_rj) / D``, which leaves no remainder: they are subdeterminants of the given integers (Edmonds;
Bareiss).  So their lengths stay within Hadamard's bound.

*Why not cddlib's solver:* it tries floats first, even in exact arithmetic, and is not safe when they go astray; see
:mod:`verifier.solvers.cdd`.

*Limits.*  Every pivot costs the whole table.  From nowhere the number of pivots grows fast: 30 with 5 variables and 30
rows, 2,000 with 20 and 100.  So the pivots start from the basis of a float solver where there is one; then few are
needed, and only their number depends on it.

References: Terlaky, *A convergent criss-cross method* (1985); Wang, *A finite conformal-elimination free algorithm over
oriented matroid programming* (1987); Fukuda, Terlaky, *Criss-cross methods: a fresh view on pivot algorithms* (1997).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from verifier.kernel.rational import common_denominator


@dataclass(frozen=True)
class ExactProposal:
    """A point, and one multiplier for each row that was passed in."""

    x: tuple[Fraction, ...]
    multipliers: tuple[Fraction, ...]


def solve_exact(objective: Sequence[Fraction], rows: Sequence[Sequence[Fraction]],
                tight: Collection[int] = ()) -> ExactProposal | None:
    """Minimise ``objective . x`` subject to ``a . x <= b`` for each row ``(a_1, ..., a_n, b)``.

    ``tight``: numbers of rows that are expected to hold with equality at the optimum; the pivots start from there.
    The multipliers ``m >= 0`` satisfy ``objective + sum m_i a_i = 0``, and ``sum m_i (a_i . x - b_i) = 0``.
    Returns None when there is no optimum: the problem is infeasible or unbounded.
    """
    cost_scale, scales = common_denominator(objective), [common_denominator(row) for row in rows]
    dictionary = _Dictionary([[*(-int(v * d) for v in row[:-1]), int(row[-1] * d)]
                              for row, d in zip(rows, scales, strict=True)], [int(c * cost_scale) for c in objective])
    if not dictionary.start(tight) or not dictionary.optimise():
        return None
    values, prices = dictionary.solution()
    return ExactProposal(tuple(values), tuple(price * d / cost_scale for price, d in zip(prices, scales, strict=True)))


class _Dictionary:
    """The rows of ``table`` are the basic variables and, last, the objective; its columns the nonbasic variables and,
    last, the constant; all over ``denominator``.  Variable j < n is ``x_j``, variable n + i the slack of row i."""

    def __init__(self, slacks: list[list[int]], objective: list[int]) -> None:
        self.n = len(objective)
        self.nonbasic = np.arange(self.n)
        self.basic = np.arange(self.n, self.n + len(slacks))
        self.table: npt.NDArray[np.object_] = np.array([*slacks, [*objective, 0]], dtype=object)
        self.denominator = 1

    def start(self, tight: Collection[int]) -> bool:
        """Exchange the ``x`` for slacks, those of ``tight`` first; False when a line lowers the objective."""
        for rows in (np.isin(self.basic - self.n, list(tight)), True):
            for column in np.flatnonzero(self.nonbasic < self.n).tolist():
                row = self._first(self.basic, (self.table[:-1, column] != 0) & rows)
                if row is not None:
                    self._exchange(row, column)
        return not self.table[-1, :-1][self.nonbasic < self.n].any()

    def optimise(self) -> bool:
        """Pivot until the dictionary is optimal; False when none is."""
        while True:
            row = self._first(self.basic, self.table[:-1, -1] < 0)
            column = self._first(self.nonbasic, self.table[-1, :-1] < 0)
            if row is None and column is None:
                return True
            if column is None or (row is not None and self.basic[row] < self.nonbasic[column]):
                column = self._first(self.nonbasic, self.table[row, :-1] > 0)
            else:
                row = self._first(self.basic, self.table[:-1, column] < 0)
            if row is None or column is None:
                return False
            self._exchange(row, column)

    def solution(self) -> tuple[list[Fraction], list[Fraction]]:
        """The values of the ``x``, and the coefficients of the slacks in the objective."""
        values, prices = [Fraction(0)] * self.n, [Fraction(0)] * len(self.basic)
        for variable, value in zip(self.basic.tolist(), self.table[:-1, -1], strict=True):
            if variable < self.n:
                values[variable] = Fraction(value, self.denominator)
        for variable, price in zip(self.nonbasic.tolist(), self.table[-1, :-1], strict=True):
            if variable >= self.n:
                prices[variable - self.n] = Fraction(price, self.denominator)
        return values, prices

    def _first(self, variables: npt.NDArray[np.int64], marked: npt.NDArray[np.bool_]) -> int | None:
        """The place of the slack of least index among the marked ones."""
        places = np.flatnonzero(np.asarray(marked, dtype=bool) & (variables >= self.n))
        return int(places[variables[places].argmin()]) if len(places) else None

    def _exchange(self, row: int, column: int) -> None:
        pivot_row, pivot_column = self.table[row].copy(), self.table[:, column].copy()
        pivot = pivot_row[column]
        self.table = (pivot * self.table - np.multiply.outer(pivot_column, pivot_row)) // self.denominator
        self.table[row], self.table[:, column] = -pivot_row, pivot_column
        self.table[row, column] = self.denominator
        if pivot < 0:
            self.table = -self.table
        self.denominator = abs(pivot)
        self.basic[row], self.nonbasic[column] = self.nonbasic[column], self.basic[row]
