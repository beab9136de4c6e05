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
    """The least value of ``objective . x`` over the set, with a point or a ray that proves it."""
    rows = [(*(-v for v in row[1:]), row[0]) for row in (*given.inequalities, *given.equations)]
    flags = (False,) * len(given.inequalities) + (True,) * len(given.equations)
    size = len(objective)
    return solve(LinearProgram(tuple(map(Fraction, objective)), Rows.from_integers(rows, size), Box.whole_space(size),
                               flags))


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
