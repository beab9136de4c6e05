"""From constraints to generators and back, exactly and without redundancy.

Theory.  By Minkowski and Weyl a polyhedron has both descriptions.  In one and two dimensions the convex hull of an
ordered list of points gives the constraints of a bounded set; everything else is double description (cddlib).

*Which generators are needed* is read off the incidences.  Let the polyhedron contain no line.  A generator lies in the
relative interior of one face of the homogenised cone, and the constraints that are tight at it are those of the face.
If the face is an extreme ray no other generator has all of them; otherwise the extreme rays of the face have all of
them.  (The constraint ``t >= 0`` is one of the cone's.)

*No cheap test is needed for emptiness*: a polyhedron is empty exactly when it has no vertices in the sense of
``conv(vertices) + cone(rays) + span(lines)``, which every answer of this module respects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction

from verifier.geometry import low_dimension
from verifier.geometry.homogeneous import (
    Constraints,
    Generators,
    Vector,
    distinct,
    opposite,
    primitive_of,
    rank,
    side,
    unsigned,
)
from verifier.solvers.cdd import Description, Table, dual_description


def empty_constraints(dimension: int) -> Constraints:
    """``-1 >= 0``."""
    return Constraints(((-1, *(0,) * dimension),))


def generators_of(dimension: int, given: Constraints) -> Generators:
    """The minimal generators of a set given by constraints."""
    rows = (*given.inequalities, *given.equations)
    if not rows:
        return Generators((origin(dimension),), (), _units(dimension), minimal=True)
    table = Table(rows, range(len(given.inequalities), len(rows)))
    dual = dual_description(table, Description.CONSTRAINTS)
    linear, free = _split(dual)
    vertices = tuple(v for v in free if v[0])
    if not vertices:
        if any(row[0] for row in rows):
            return Generators((), minimal=True)
        vertices = (origin(dimension),)
    return in_order(dimension, vertices, [v for v in free if not v[0]], [unsigned(v) for v in linear])


def constraints_of(dimension: int, given: Generators) -> Constraints:
    """The minimal constraints of a set given by generators: its facets, and equations of its affine hull."""
    if not given.vertices:
        return empty_constraints(dimension)
    if dimension <= 2 and not given.rays and not given.lines:
        return low_dimension.constraints(given.vertices if given.minimal else low_dimension.hull(given.vertices))
    table = Table(given.all, range(len(given.vertices) + len(given.rays), len(given.all)))
    equations, inequalities = _split(dual_description(table, Description.GENERATORS))
    return Constraints(tuple(row for row in inequalities if any(row[1:])), tuple(map(unsigned, equations)))


def minimal_generators(dimension: int, given: Generators, facets: Constraints | None = None) -> Generators:
    """The minimal generators of a set given by generators; ``facets``: its minimal constraints if they are known."""
    if dimension <= 2 and not given.rays and not given.lines:
        return in_order(dimension, given.vertices, ())
    if not given.vertices:
        return Generators((), minimal=True)
    vectors = distinct((*given.vertices, *given.rays))
    if len(vectors) == 1 and not given.lines:
        return Generators(vectors, minimal=True)
    known = facets or constraints_of(dimension, given)
    if given.lines or (given.rays and _has_line(dimension, known)):
        return generators_of(dimension, known)
    tight = incidence(vectors, (*known.inequalities, (1, *(0,) * dimension)))
    extreme = [v for i, v in enumerate(vectors)
               if not any(tight[i] & other == tight[i] for j, other in enumerate(tight) if j != i)]
    return in_order(dimension, [v for v in extreme if v[0]], [v for v in extreme if not v[0]])


def in_order(dimension: int, vertices: Collection[Vector], rays: Sequence[Vector],
             lines: Sequence[Vector] = ()) -> Generators:
    """Generators that are minimal already, or of a polygon or an interval: these are put in order."""
    if dimension <= 2 and not rays and not lines:
        return Generators(low_dimension.hull(vertices), minimal=True)
    return Generators(tuple(vertices), tuple(rays), tuple(lines), minimal=True)


def incidence(vectors: Iterable[Vector], forms: Sequence[Vector]) -> list[int]:
    """For each vector the bit mask of the forms that vanish at it."""
    return [sum(1 << k for k, form in enumerate(forms) if side(form, vector) == 0) for vector in vectors]


def origin(dimension: int) -> Vector:
    """The point 0."""
    return (1, *(0,) * dimension)


def normalised(given: Constraints) -> Constraints:
    """Primitive integers, no repetitions, no constraint that is true everywhere, no pair of opposite inequalities."""
    inequalities = dict.fromkeys(row for row in given.inequalities if any(row[1:]) or row[0] < 0)
    pairs = {unsigned(row) for row in inequalities if opposite(row) in inequalities}
    equations = distinct(unsigned(row) for row in (*given.equations, *pairs) if any(row))
    return Constraints(tuple(row for row in inequalities if unsigned(row) not in pairs), equations)


def _has_line(dimension: int, given: Constraints) -> bool:
    """Whether some direction changes no constraint; rays may span one together."""
    return rank([row[1:] for row in (*given.inequalities, *given.equations)]) < dimension


def _units(dimension: int) -> tuple[Vector, ...]:
    return tuple(tuple(int(j == i) for j in range(dimension + 1)) for i in range(1, dimension + 1))


def _split(table: Table) -> tuple[list[Vector], list[Vector]]:
    """Linear and other rows as primitive vectors."""
    linear: list[Vector] = []
    free: list[Vector] = []
    for index, row in enumerate(table.rows):
        exact: Sequence[Fraction | int] = row
        (linear if index in table.linear else free).append(primitive_of(exact))
    return linear, free
