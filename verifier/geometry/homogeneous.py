"""Constraints and generators of polyhedra as integer vectors.

Theory.  Put a polyhedron of R^n into the hyperplane ``t = 1`` of R^(n+1).  A constraint ``b + a . x >= 0`` becomes the
linear form ``(b, a)``, a point v the vector ``(1, v)``, a direction r the vector ``(0, r)``, and all of them matter up
to a positive factor only.  So each is kept as a tuple of integers without common divisor, which is canonical: equal
constraints and equal points are equal tuples.  Which side of a constraint a point lies on, and whether a constraint
bounds a direction, is the sign of one integer inner product.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import mul

from flint import fmpz_mat

from verifier.kernel.polyhedron import HalfSpace
from verifier.kernel.rational import Point, common_denominator, to_fraction

Vector = tuple[int, ...]
"""``(b, a_1, ..., a_n)``, the constraint ``b + a . x >= 0`` (or ``= 0``); or ``(t, v_1, ..., v_n)``: the point
``v / t`` for ``t > 0``, the direction v for ``t = 0``."""


@dataclass(frozen=True)
class Constraints:
    """The polyhedron of the points that satisfy every inequality and every equation."""

    inequalities: tuple[Vector, ...]
    equations: tuple[Vector, ...] = ()

    @property
    def all(self) -> tuple[Vector, ...]:
        """Inequalities and equations."""
        return self.inequalities + self.equations

    @property
    def as_inequalities(self) -> tuple[Vector, ...]:
        """Each equation as two inequalities."""
        return (*self.inequalities, *self.equations, *map(opposite, self.equations))


@dataclass(frozen=True)
class Generators:
    """The polyhedron ``conv(vertices) + cone(rays) + span(lines)``; empty without vertices.

    ``minimal`` says that none can be left out, and that the vertices of a polygon come counterclockwise.
    """

    vertices: tuple[Vector, ...]
    rays: tuple[Vector, ...] = ()
    lines: tuple[Vector, ...] = ()
    minimal: bool = False

    @property
    def all(self) -> tuple[Vector, ...]:
        """Vertices, rays and lines."""
        return self.vertices + self.rays + self.lines


def side(form: Sequence[int], vector: Sequence[int]) -> int:
    """The inner product: for a constraint and a point, positive inside, zero on the boundary, negative outside."""
    return sum(map(mul, form, vector))


def opposite(vector: Sequence[int]) -> Vector:
    """The complementary constraint or direction."""
    return tuple(-v for v in vector)


def primitive(vector: Sequence[int]) -> Vector:
    """The shortest integer vector in the same direction (zeros stay zeros)."""
    divisor = math.gcd(*vector)
    return tuple(v // divisor for v in vector) if divisor > 1 else tuple(vector)


def primitive_of(values: Sequence[Fraction | int | float]) -> Vector:
    """The primitive vector in the direction of rational values."""
    exact = [to_fraction(v) for v in values]
    denominator = common_denominator(exact)
    return primitive([v.numerator * (denominator // v.denominator) for v in exact])


def unsigned(vector: Sequence[int]) -> Vector:
    """One of a vector and its opposite: the canonical form of equations and lines."""
    first = next((v for v in vector if v), 0)
    return opposite(vector) if first < 0 else tuple(vector)


def from_point(point: Sequence[Fraction | int | float]) -> Vector:
    """The vector of a point."""
    return primitive_of((1, *point))


def to_point(vector: Sequence[int]) -> Point:
    """The point of a vector with ``t > 0``, or the coordinates of a direction."""
    denominator = vector[0] or 1
    return tuple(Fraction(v, denominator) for v in vector[1:])


def to_half_space(form: Vector) -> HalfSpace:
    """The half-space ``normal . x <= offset`` of a constraint."""
    return HalfSpace(tuple(Fraction(-a) for a in form[1:]), Fraction(form[0]))


def distinct(vectors: Iterable[Vector]) -> tuple[Vector, ...]:
    """Without repetitions, in the order of first appearance."""
    return tuple(dict.fromkeys(vectors))


def rank(vectors: Collection[Sequence[int]]) -> int:
    """The dimension of the linear span."""
    if len(vectors) < 2:
        return int(any(any(v) for v in vectors))
    rows = list(vectors)
    return int(fmpz_mat(len(rows), len(rows[0]), [x for row in rows for x in row]).rank())


def determinant(rows: Sequence[Sequence[int]]) -> int:
    """The exact determinant of a square matrix."""
    size = len(rows)
    return int(fmpz_mat(size, size, [x for row in rows for x in row]).det())


def echelon(vectors: Collection[Sequence[int]]) -> tuple[list[Vector], list[int]]:
    """A basis of the span in reduced row echelon form, as primitive integer rows, and its pivot columns."""
    rows = list(vectors)
    if not rows:
        return [], []
    reduced, _, size = fmpz_mat(len(rows), len(rows[0]), [x for row in rows for x in row]).rref()
    basis = [primitive([int(v) for v in row]) for row in reduced.tolist()[:size]]
    basis = [unsigned(row) for row in basis]
    return basis, [next(j for j, v in enumerate(row) if v) for row in basis]
