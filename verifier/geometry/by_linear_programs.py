"""Questions about a set given by constraints, by exact linear programs instead of its vertices.

The number of vertices may be exponential in the dimension; linear programs are not afraid of 20 inputs.

*Interior and implicit equations in one program.*  Maximise ``sum s_i`` subject to ``0 <= s_i <= 1``, ``l >= 1``,
``b_i l + a_i . y >= s_i`` for the inequalities and ``b_j l + a_j . y = 0`` for the equations.  If a point of the set
satisfies an inequality strictly, scaling up ``(l, y)`` lets its slack reach 1, and scaled points add up: so at the
optimum ``s_i`` is 0 when the inequality is an equation in disguise, and 1 otherwise.  The point ``y / l`` is in the
relative interior.  Reference: Freund, Roundy, Todd, *Identifying the set of always-active constraints in a system of
linear inequalities by a single linear program* (1985).

*Redundancy* is asked of one inequality after the other: is it still true when it is left out?  Once the implicit
equations are known no two inequalities describe the same facet unless one of them is redundant, so the order decides
which of them remains, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.geometry.homogeneous import Constraints, Vector, echelon
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Point
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import Infeasible, LinearProgram, Optimal, Unbounded
from verifier.solvers.rows import Rows


def minimise(given: Constraints, objective: Sequence[Fraction | int]) -> Optimal | Infeasible | Unbounded:
    """The least value of ``objective . x`` over the set, with a point or a ray that proves it; multipliers are those of
    the constraints on several coordinates."""
    box, rest = _bounds(given, len(objective))
    rows = [(*(-v for v in row[1:]), row[0]) for row in rest.all]
    flags = (False,) * len(rest.inequalities) + (True,) * len(rest.equations)
    return solve(LinearProgram(tuple(map(Fraction, objective)), Rows.from_integers(rows, len(objective)), box, flags))


def _bounds(given: Constraints, dimension: int) -> tuple[Box, Constraints]:
    """Constraints on one coordinate as a box, which costs a program nothing, and the others; all as they are when the
    box would be empty."""
    lower: list[Fraction | None] = [None] * dimension
    upper: list[Fraction | None] = [None] * dimension
    rest: tuple[list[Vector], list[Vector]] = [], []
    for several, forms, signs in zip(rest, (given.inequalities, given.equations), ((1,), (1, -1)), strict=True):
        for form in forms:
            places = [j for j, v in enumerate(form[1:]) if v]
            if len(places) != 1:
                several.append(form)
                continue
            j = places[0]
            bound = Fraction(-form[0], form[1 + j])
            for sign in signs:
                ends, closer = (lower, max) if sign * form[1 + j] > 0 else (upper, min)
                ends[j] = closer(v for v in (bound, ends[j]) if v is not None)
    if any(lo is not None and hi is not None and lo > hi for lo, hi in zip(lower, upper, strict=True)):
        return Box.whole_space(dimension), given
    return Box(tuple(lower), tuple(upper)), Constraints(tuple(rest[0]), tuple(rest[1]))


@dataclass(frozen=True)
class RelativeInterior:
    """A point of the relative interior, and all equations, implicit ones included, that hold on the set."""

    point: Point
    equations: tuple[Vector, ...]


def relative_interior(given: Constraints, dimension: int) -> RelativeInterior | None:
    """None when the set is empty."""
    m = len(given.inequalities)
    rows = [(*(-v for v in row[1:]), -row[0], *(int(k == i) for k in range(m)), 0)
            for i, row in enumerate(given.inequalities)]
    rows += [(*row[1:], row[0], *(0,) * m, 0) for row in given.equations]
    zero, one = Fraction(0), Fraction(1)
    box = Box((*(None,) * dimension, one, *(zero,) * m), (*(None,) * dimension, None, *(one,) * m))
    objective = (zero,) * (dimension + 1) + (-one,) * m
    flags = (False,) * m + (True,) * len(given.equations)
    best = solve(LinearProgram(objective, Rows.from_integers(rows, dimension + 1 + m), box, flags))
    if isinstance(best, Infeasible):
        return None
    assert isinstance(best, Optimal), "at most one for each inequality"
    scale, slack = best.x[dimension], best.x[dimension + 1:]
    implicit = tuple(row for row, s in zip(given.inequalities, slack, strict=True) if s == 0)
    return RelativeInterior(tuple(v / scale for v in best.x[:dimension]), (*given.equations, *implicit))


def without_redundancy(given: Constraints, inside: RelativeInterior) -> Constraints:
    """A minimal part of the constraints of a nonempty set, and independent equations of its affine hull."""
    equations = tuple(echelon(inside.equations)[0])
    kept = [row for row in dict.fromkeys(given.inequalities) if row not in set(inside.equations)]
    for row in tuple(kept):
        others = [other for other in kept if other != row]
        answer = minimise(Constraints(tuple(others), equations), row[1:])
        if isinstance(answer, Optimal) and answer.value + row[0] >= 0:
            kept = others
    return Constraints(tuple(kept), equations)
