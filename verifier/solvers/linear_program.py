r"""A linear program over the rationals, its three possible answers, and what proves each.

    minimise  c . x   subject to   a_i . x <= b_i,   a_j . x = b_j,   lo <= x <= hi  (each bound may be missing)

For multipliers ``m`` that are nonnegative on inequalities (free on equalities) and every feasible ``x``,

    c . x  >=  c . x + sum m_i (a_i . x - b_i)  >=  inf over the box of the middle  =:  D(m).

* *Optimal*: a feasible ``x`` with ``c . x = D(m)``.
* *Infeasible*: ``D(m) > 0`` for ``c = 0`` (Farkas).
* *Unbounded*: a feasible point, and a ray ``d`` with ``a_i . d <= 0``, ``a_j . d = 0``, ``d`` in the recession cone of
  the box, and ``c . d < 0``.

Bounds of variables need no multipliers: ``D`` uses the support function of the box, which is minus infinity when the
combined coefficient of a variable points to a missing bound.  So a free variable forces its combined coefficient to be
exactly zero, which no rounding survives.  By strong duality one of the three answers exists, and over rational data a
rational one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix, Point, dot
from verifier.solvers.rows import Rows

ZERO = Fraction(0)


class LpError(RuntimeError):
    """No solver proposed an answer that exact arithmetic confirms.  Never a statement about the problem."""


@dataclass(frozen=True, eq=False)
class LinearProgram:
    """Minimise ``objective . x`` over the x in ``box`` with ``rows``; row i is an equation where ``equality[i]``.

    Raises ValueError when the numbers of variables or rows disagree.
    """

    objective: Point
    rows: Rows
    box: Box
    equality: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not len(self.objective) == self.rows.dimension == self.box.dimension:
            raise ValueError(f"an objective of {len(self.objective)} entries, rows of {self.rows.dimension} and a box "
                             f"of {self.box.dimension} coordinates do not fit")
        if len(self.equality) != self.rows.count:
            raise ValueError(f"{self.rows.count} rows need as many equality flags, received {len(self.equality)}")

    @classmethod
    def from_matrix(cls, objective: Sequence[Fraction | int], rows: Matrix, box: Box,
                    equality: Sequence[bool] | None = None) -> LinearProgram:
        """``rows`` has shape (m, n + 1): ``a_i`` and, last, ``b_i``.  Without flags every row is an inequality."""
        flags = (False,) * rows.shape[0] if equality is None else tuple(equality)
        return cls(tuple(Fraction(c) for c in objective), Rows.from_matrix(rows), box, flags)


@dataclass(frozen=True)
class Optimal:
    """``x`` is feasible with ``objective . x = value = D(row_multipliers)``."""

    value: Fraction
    x: Point
    row_multipliers: Point


@dataclass(frozen=True)
class Infeasible:
    """No feasible point: ``D(row_multipliers) > 0`` for the objective 0."""

    row_multipliers: Point


@dataclass(frozen=True)
class Unbounded:
    """``x + t ray`` is feasible for every ``t >= 0``, and ``objective . ray < 0``."""

    x: Point
    ray: Point


def is_feasible(lp: LinearProgram, x: Sequence[Fraction]) -> bool:
    """Whether ``x`` satisfies the rows and the box, exactly."""
    return lp.box.contains(x) and _signs_hold(lp, lp.rows.residuals(x))


def lower_bound(lp: LinearProgram, multipliers: Sequence[Fraction],
                objective: Sequence[Fraction] | None = None) -> Fraction | None:
    """``D(m)``, exactly; None for minus infinity, or when an inequality has a negative multiplier.

    ``objective`` replaces that of ``lp`` (zeros, to test for infeasibility).  Raises ValueError when the number of
    multipliers is not that of the rows.
    """
    if len(multipliers) != lp.rows.count:
        raise ValueError(f"{lp.rows.count} rows need as many multipliers, received {len(multipliers)}")
    if any(m.numerator < 0 and not equal for m, equal in zip(multipliers, lp.equality, strict=True)):
        return None
    normal, offset = lp.rows.combination(multipliers)
    cost = lp.objective if objective is None else objective
    least = lp.box.minimum([c + a for c, a in zip(cost, normal, strict=True)])
    return None if least is None else least - offset


def is_ray(lp: LinearProgram, ray: Sequence[Fraction]) -> bool:
    """Whether ``ray`` is a direction of recession along which the objective falls, exactly."""
    return (recession_cone(lp.box).contains(ray) and dot(lp.objective, ray) < 0
            and _signs_hold(lp, lp.rows.residuals(ray, homogeneous=True)))


def recession_cone(box: Box) -> Box:
    """The directions in which one can leave for infinity inside the box."""
    return Box(tuple(None if v is None else ZERO for v in box.lower),
               tuple(None if v is None else ZERO for v in box.upper))


def _signs_hold(lp: LinearProgram, residuals: Sequence[int]) -> bool:
    return all(r == 0 if equal else r <= 0 for r, equal in zip(residuals, lp.equality, strict=True))
