"""Input domains of partitions, and the coordinates of their affine hulls.

A :class:`Polytope` is a box with further half-spaces; a :class:`Ball` is one in the 1-norm or the Euclidean norm (in
the maximum norm it is a box).  Cells do not depend on whether a domain is open or closed.

Theory.  No *function* of a polytope is positive on it.  So when a combination of some functions with positive
multipliers is identically 0, each of them is 0 on all of the polytope: they are implicit equations.  That these are all
needs no proof of its own: a point at which all other functions are negative shows it, and every cell has one.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import fmpq_mat, fmpz_mat

from verifier.kernel.cell_maps import Homogeneous, Row, primitive
from verifier.kernel.certificate import InvalidCertificate
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Point, common_denominator, dot


@dataclass(frozen=True)
class Polytope:
    """``{x in box: every row}``; rows are not strict.  Raises ValueError when they are, or have another dimension."""

    box: Box
    rows: tuple[HalfSpace, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row.normal) != self.box.dimension or row.strict for row in self.rows):
            raise ValueError("the rows of a domain are not strict and have one coefficient for each input")

    @property
    def dimension(self) -> int:
        """Number n of inputs."""
        return self.box.dimension

    def functions(self) -> tuple[Row, ...]:
        """``(a_1, ..., a_n, t)``, coprime integers, for a positive multiple of each function ``a . x + t``, in the
        order of CERTIFICATE.md, section 9."""
        found: list[Point] = []
        for i, bounds in enumerate(zip(self.box.lower, self.box.upper, strict=True)):
            for sign, bound in zip((-1, 1), bounds, strict=True):
                if bound is not None:
                    found.append((*(Fraction(sign * (i == j)) for j in range(self.dimension)), -sign * bound))
        return tuple(map(_integral, (*found, *((*row.normal, -row.offset) for row in self.rows))))


@dataclass(frozen=True)
class Ball:
    """The points at a distance of at most ``radius`` from ``centre`` in the 1-norm or the 2-norm.

    Raises ValueError for another norm and a radius that is not positive.
    """

    centre: Point
    radius: Fraction
    norm: int

    def __post_init__(self) -> None:
        if self.norm not in (1, 2) or self.radius <= 0:
            raise ValueError("a ball has norm 1 or 2 and a positive radius")

    @property
    def dimension(self) -> int:
        """Number n of inputs."""
        return len(self.centre)

    def contains_inside(self, x: Sequence[Fraction]) -> bool:
        """Whether the distance is less than the radius."""
        away = [abs(v - c) for v, c in zip(x, self.centre, strict=True)]
        return sum(away) < self.radius if self.norm == 1 else dot(away, away) < self.radius**2

    def never_positive(self, function: Row) -> bool:
        """Whether ``a . x + t <= 0`` for all x of the ball: its support function."""
        *a, t = map(Fraction, function)
        at_centre = dot(a, self.centre) + t
        if self.norm == 1:
            return -at_centre >= self.radius * max(map(abs, a), default=0)
        return at_centre <= 0 and at_centre**2 >= self.radius**2 * dot(a, a)


Domain = Polytope | Ball


@dataclass(frozen=True, eq=False)
class Hull:
    """Coordinates of a domain's affine hull: some of the inputs, ``free``, on which the others depend.

    ``table``, of shape (n + 1, k + 1), and ``denominator`` are as in :class:`~verifier.kernel.cell_maps.CellMaps`.
    ``rows`` (``>= 0`` on the domain) are the functions of a polytope that are no equations.
    """

    domain: Domain
    free: tuple[int, ...]
    table: fmpz_mat
    denominator: int
    rows: tuple[Row, ...]

    def contains_inside(self, point: Homogeneous) -> bool:
        """Whether a point in these coordinates is one of the domain's interior (relative to its hull)."""
        if isinstance(self.domain, Ball):
            return self.domain.contains_inside([Fraction(p, point[-1]) for p in point[:-1]])
        return all(value(row, point) > 0 for row in self.rows)

    def never_positive(self, function: Row) -> bool:
        """Whether a function that is not constant is proved to be ``<= 0`` on the domain.  For polytopes that is the
        business of their rows."""
        return isinstance(self.domain, Ball) and self.domain.never_positive(function)


def value(row: Row, point: Homogeneous) -> int:
    """A positive multiple of the function at the point."""
    return sum(a * p for a, p in zip(row, point, strict=True))


def hull_of(domain: Domain, weights: Mapping[int, int]) -> Hull:
    """The hull in which those functions of a polytope are 0 that have a multiplier, by their numbers.

    Raises InvalidCertificate unless the multipliers prove that they are.
    """
    functions = domain.functions() if isinstance(domain, Polytope) else ()
    if not weights.keys() <= set(range(len(functions))) or min(weights.values(), default=1) <= 0:
        raise InvalidCertificate("the multipliers of the equations are not positive, or not of functions of the domain")
    equations = [functions[number] for number in weights]
    if any(sum(map(operator.mul, weights.values(), column)) for column in zip(*equations, strict=True)):
        raise InvalidCertificate("the multipliers do not prove that the equations hold on the domain")
    n = domain.dimension
    pivots = _reduced(equations, n)
    if n in pivots:
        raise InvalidCertificate("the equations of the domain contradict each other")
    free = tuple(j for j in range(n) if j not in pivots)
    identity = {j: [Fraction(j == i) for i in (*free, n)] for j in (*free, n)}
    rows = [identity[i] if i in identity else [-pivots[i][j] for j in (*free, n)] for i in range(n + 1)]
    denominator = common_denominator([v for row in rows for v in row])
    table = fmpz_mat(n + 1, len(free) + 1, [int(v * denominator) for row in rows for v in row])
    others = [function for number, function in enumerate(functions) if number not in weights]
    inside = fmpz_mat(len(others), n + 1, [v for function in others for v in function]) * table
    return Hull(domain, free, table, denominator, tuple(primitive([-int(v) for v in row]) for row in inside.tolist()))


def _reduced(equations: Sequence[Row], n: int) -> dict[int, Point]:
    """The reduced row echelon form, by pivot column."""
    if not equations:
        return {}
    table, rank = fmpq_mat(len(equations), n + 1, [v for row in equations for v in row]).rref()
    rows = [tuple(Fraction(int(v.p), int(v.q)) for v in row) for row in table.tolist()[:rank]]
    return {next(j for j, v in enumerate(row) if v): row for row in rows}


def _integral(function: Point) -> Row:
    scale = common_denominator(function)
    return primitive([int(v * scale) for v in function])
