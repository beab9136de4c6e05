"""The nearest point of a polyhedron to a centre, exactly, with what proves it.

*L2*: the dual method of Goldfarb and Idnani (1983) for the identity as quadratic form, in rational numbers.  It starts
at the centre with no constraint and adds violated ones; the active rows stay linearly independent and their multipliers
nonnegative.  A step moves along the projection z of the new row's normal on what the active rows leave free; when a
multiplier would fall below 0 first, its row is dropped.  Every full step increases the distance, so no active set comes
back, and with exact numbers the method ends.  The result x satisfies ``(x - c) . (v - x) >= 0`` for every v of the
polyhedron: x - c is the normal of a separating hyperplane.

*Maximum norm and L1* are linear programs in x and the bounds of ``|x_i - c_i|``; the multipliers of these bounds are
such a normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import fmpq, fmpq_mat

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix, Point, dot
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import ZERO, LinearProgram, Optimal

ONE = Fraction(1)
Rows = Sequence[tuple[Sequence[Fraction], Fraction]]
"""``a . x <= b`` for each ``(a, b)``."""


@dataclass(frozen=True)
class Nearest:
    """``x`` is the nearest point, and ``normal . (v - c) >= normal . (x - c) = |normal|* |x - c|`` for all points v."""

    x: Point
    normal: Point


def nearest_l2(rows: Rows, center: Point) -> Nearest | None:
    """The nearest point of ``{x: rows}`` in the L2 norm; None when the polyhedron is empty."""
    normals = [[-v for v in a] for a, _ in rows]  # as a . x >= b, moved to the centre
    sides = [-b + dot(a, center) for a, b in rows]
    x: list[Fraction] = [ZERO] * len(center)
    active: list[int] = []
    multipliers: list[Fraction] = []
    while True:
        slack = [dot(a, x) - b for a, b in zip(normals, sides, strict=True)]
        worst = min(range(len(slack)), key=slack.__getitem__, default=None)
        if worst is None or slack[worst] >= 0:
            point = tuple(v + c for v, c in zip(x, center, strict=True))
            return Nearest(point, tuple(x))
        own = ZERO
        violation = slack[worst]
        while True:
            weights = _least_squares([normals[i] for i in active], normals[worst])
            z = list(normals[worst])
            for i, w in zip(active, weights, strict=True):
                z = [v - w * a for v, a in zip(z, normals[i], strict=True)]
            length = dot(z, z)
            partial = min(((u / w, k) for k, (u, w) in enumerate(zip(multipliers, weights, strict=True)) if w > 0),
                          default=None)
            full = None if length == 0 else -violation / length
            if full is None and partial is None:
                return None
            step = full if partial is None or (full is not None and full <= partial[0]) else partial[0]
            assert step is not None
            multipliers = [u - step * w for u, w in zip(multipliers, weights, strict=True)]
            own += step
            x = [v + step * w for v, w in zip(x, z, strict=True)]
            violation += step * length
            if step == full:
                active.append(worst)
                multipliers.append(own)
                break
            assert partial is not None
            del active[partial[1]], multipliers[partial[1]]


def nearest_by_program(rows: Rows, center: Point, maximum: bool) -> Nearest | None:
    """The nearest point of ``{x: rows}`` in the maximum norm, or in L1; None when the polyhedron is empty."""
    n = len(center)
    bounds = 1 if maximum else n
    table = []
    for i, c in enumerate(center):
        for sign in (1, -1):
            row = [Fraction(sign * (i == j)) for j in range(n)] + [ZERO] * bounds
            row[n if maximum else n + i] = -ONE
            table.append([*row, sign * c])
    table += [[*a, *([ZERO] * bounds), b] for a, b in rows]
    found = solve(LinearProgram.from_matrix([ZERO] * n + [ONE] * bounds, Matrix.from_rationals(table, n + bounds + 1),
                                            Box.whole_space(n + bounds)))
    if not isinstance(found, Optimal):
        return None  # infeasible: a sum of distances is bounded below
    pairs = found.row_multipliers[:2 * n]
    return Nearest(found.x[:n], tuple(pairs[2 * i] - pairs[2 * i + 1] for i in range(n)))


def _least_squares(rows: Sequence[Sequence[Fraction]], target: Sequence[Fraction]) -> list[Fraction]:
    """The weights of linearly independent rows whose combination is nearest to the target."""
    if not rows:
        return []
    size = len(rows)
    gram: Any = fmpq_mat(size, size, [_rational(dot(a, b)) for a in rows for b in rows])
    right = fmpq_mat(size, 1, [_rational(dot(a, target)) for a in rows])
    return [Fraction(int(v.p), int(v.q)) for v in gram.solve(right).entries()]


def _rational(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)
