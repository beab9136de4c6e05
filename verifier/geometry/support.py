"""How far a set reaches, read off its generators.

A linear function is bounded above on ``conv(V) + cone(R) + span(L)`` exactly when it is nonpositive on R and zero on L,
and then its supremum is attained at a vertex.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from verifier.geometry.homogeneous import Generators, Vector, opposite, side, to_point
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Point, common_denominator, dot


def maximum(generators: Generators, objective: Sequence[Fraction]) -> Fraction | None:
    """``sup {objective . x}`` over a nonempty set; None for infinity."""
    denominator = common_denominator(objective)
    form = (0, *(c.numerator * (denominator // c.denominator) for c in objective))
    if any(side(form, r) > 0 for r in generators.rays) or any(side(form, r) for r in generators.lines):
        return None
    return max(Fraction(side(form, v), v[0] * denominator) for v in generators.vertices)


def bounding_box(generators: Generators, dimension: int) -> Box:
    """The smallest box that contains a nonempty set."""
    directions = (*generators.rays, *generators.lines, *map(opposite, generators.lines))
    columns = [[Fraction(v[j], v[0]) for v in generators.vertices] for j in range(1, dimension + 1)]
    return Box(tuple(None if any(d[j] < 0 for d in directions) else min(c) for j, c in enumerate(columns, 1)),
               tuple(None if any(d[j] > 0 for d in directions) else max(c) for j, c in enumerate(columns, 1)))


def point_beyond(generators: Generators, form: Vector) -> Point | None:
    """A point of the set where the form is negative, None when there is none."""
    for vertex in generators.vertices:
        if side(form, vertex) < 0:
            return to_point(vertex)
    for ray in (*generators.rays, *generators.lines, *map(opposite, generators.lines)):
        if side(form, ray) < 0:
            return move_beyond(form, to_point(generators.vertices[0]), to_point(ray))
    return None


def move_beyond(form: Vector, start: Point, ray: Point) -> Point:
    """A point ``start + k ray`` where the form is negative, which it is of the ray."""
    normal = tuple(map(Fraction, form[1:]))
    steps = max(Fraction(0), (form[0] + dot(normal, start)) / -dot(normal, ray)) + 1
    return tuple(v + steps * r for v, r in zip(start, ray, strict=True))
