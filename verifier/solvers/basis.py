"""The bridge between floats and exact numbers: the float view of a problem, and the exact solution of a basis.

A basis names n constraints of a problem in n variables that hold with equality: rows (those that are not basic) and
bounds (the variables that are not basic).  With the nonbasic variables at their bounds, the k basic variables solve the
k x k system of the k nonbasic rows, and the multipliers of these rows solve the transposed system; everything else is
zero.  Solved in integers, both are exact, whatever arithmetic found the basis.

The float view may be *magnified* about a point: in the variable ``2^k (x - centre)`` the same rows have the right-hand
sides ``2^k (b - a . centre)``, computed exactly and rounded once.  A violation of 1e-12 at the centre becomes one of
size one, which no solver overlooks (iterative refinement).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import fmpz_mat

from verifier.kernel.rational import Point, common_denominator
from verifier.solvers.highs import Basis, FloatLp, Position
from verifier.solvers.linear_program import ZERO, LinearProgram
from verifier.solvers.rows import to_float

COST_BITS = 32  # costs are magnified together with the point: reduced costs may be wrong by a hair as well


def float_view(lp: LinearProgram, centre: Sequence[Fraction] | None = None, factor: int = 1) -> FloatLp:
    """The problem in floats, in the variable ``factor * (x - centre)`` when a centre is given.

    Rows and objective are divided by powers of two, which changes neither the feasible set nor the bases.
    """
    matrix, right = lp.rows.floats()
    lower, upper = lp.box.lower, lp.box.upper
    if centre is not None:
        right = np.array([_float(-v * factor) for v in lp.rows.violations(centre)], dtype=np.float64)
        lower, upper = (tuple(None if v is None else (v - x) * factor for v, x in zip(side, centre, strict=True))
                        for side in (lower, upper))
    top = max((abs(c) for c in lp.objective), default=ZERO)
    exponent = top.numerator.bit_length() - top.denominator.bit_length()
    scale = Fraction(2) ** (exponent if centre is None else exponent - COST_BITS)
    return FloatLp(cost=np.array([_float(c / scale) for c in lp.objective], dtype=np.float64), matrix=matrix,
                   row_lower=np.where(np.array(lp.equality, dtype=bool), right, -np.inf), row_upper=right,
                   column_lower=np.array([-np.inf if v is None else _float(v) for v in lower], dtype=np.float64),
                   column_upper=np.array([np.inf if v is None else _float(v) for v in upper], dtype=np.float64))


def slack_basis(lp: LinearProgram) -> Basis:
    """The basis of the box alone: no row active, each variable at a bound (at 0 without bounds)."""
    columns = [Position.LOWER if lo is not None else Position.UPPER if hi is not None else Position.ZERO
               for lo, hi in zip(lp.box.lower, lp.box.upper, strict=True)]
    return Basis(np.array(columns, dtype=np.int8), np.full(lp.rows.count, Position.BASIC, dtype=np.int8))


def basic_solution(lp: LinearProgram, basis: Basis) -> tuple[Point, Point] | None:
    """The exact point and row multipliers of a basis; None when it is no basis of this problem.

    Solves the equations only: feasibility and optimality are for the caller to test.
    """
    if basis.columns.shape != (lp.rows.dimension,) or basis.rows.shape != (lp.rows.count,):
        return None
    free = [j for j, position in enumerate(basis.columns.tolist()) if position == Position.BASIC]
    tight = [i for i, position in enumerate(basis.rows.tolist()) if position != Position.BASIC]
    if len(free) != len(tight):
        return None
    x: list[Fraction | None] = list(map(_nonbasic_value, basis.columns.tolist(), lp.box.lower, lp.box.upper))
    for j in free:
        x[j] = ZERO
    fixed = [v for v in x if v is not None]
    if len(fixed) < len(x):
        return None
    multipliers = [ZERO] * lp.rows.count
    if free:
        rows = [lp.rows.entries[i] for i in tight]
        square = fmpz_mat(len(free), len(free), [row[j] for row in rows for j in free])
        scale = common_denominator(fixed)
        at_bound = [(j, v.numerator * (scale // v.denominator)) for j, v in enumerate(fixed) if v]
        right = [row[-1] * scale - sum(row[j] * v for j, v in at_bound) for row in rows]
        cost_scale = common_denominator(lp.objective)
        costs = [-int(lp.objective[j] * cost_scale) for j in free]
        try:
            point = _solve(square, right, scale)
            weights = _solve(square.transpose(), costs, cost_scale)
        except ZeroDivisionError:  # flint's word for a singular matrix
            return None
        for j, v in zip(free, point, strict=True):
            fixed[j] = v
        for i, w in zip(tight, weights, strict=True):
            multipliers[i] = w * lp.rows.denominators[i]
    return tuple(fixed), tuple(multipliers)


def magnification(lp: LinearProgram, x: Sequence[Fraction]) -> int:
    """A power of two that brings the largest violation at ``x`` to about one; 1 when there is none."""
    worst = max(lp.rows.violations(x), default=ZERO)
    if any(lp.equality):
        worst = max(worst, *(-v for v, equal in zip(lp.rows.violations(x), lp.equality, strict=True) if equal))
    for lo, value, hi in zip(lp.box.lower, x, lp.box.upper, strict=True):
        worst = max(worst, ZERO if lo is None else lo - value, ZERO if hi is None else value - hi)
    return 1 << max(0, worst.denominator.bit_length() - worst.numerator.bit_length()) if worst > 0 else 1


def _nonbasic_value(position: int, lower: Fraction | None, upper: Fraction | None) -> Fraction | None:
    if position == Position.LOWER:
        return lower
    if position == Position.UPPER:
        return upper
    return ZERO if position == Position.ZERO and lower is None and upper is None else None


def _solve(square: fmpz_mat, right: Sequence[int], denominator: int) -> list[Fraction]:
    solution: Any = square.solve(fmpz_mat(len(right), 1, list(right)))
    numerators, common = solution.numer_denom()
    return [Fraction(int(v), int(common) * denominator) for v in numerators.entries()]


def _float(value: Fraction) -> float:
    return to_float(value.numerator, value.denominator)
