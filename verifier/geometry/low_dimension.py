"""Intervals and convex polygons: hulls, constraints and clipping without double description.

In one and two dimensions vertices have an order, and everything follows from the sign of ``det(p, q, r)``, which is
positive when r lies to the left of the line from p to q.  For vectors ``(t, x, y)`` with ``t > 0`` the line through p
and q is their cross product.  A polygon is the list of its vertices counterclockwise, without collinear triples;
segments and points are lists of two and one.  An interval is the list of its ends.

Why: reachable sets with two outputs are what people draw, and come in tens of thousands of polygons.
Reference for the hull: Andrew, *Another efficient algorithm for convex hulls in two dimensions* (1979).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import cmp_to_key
from itertools import pairwise
from operator import itemgetter

from verifier.geometry.homogeneous import Constraints, Generators, Vector, opposite, primitive, side, unsigned


def cross(p: Sequence[int], q: Sequence[int]) -> Vector:
    """The form that is nonnegative to the left of the line from p to q."""
    return (p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0])


def hull(points: Collection[Vector]) -> tuple[Vector, ...]:
    """The vertices of the convex hull of points of R^1 or R^2, in order; exact."""
    ordered = _sorted(set(points))
    if len(ordered) < 3:
        return tuple(ordered)
    if len(ordered[0]) == 2:
        return ordered[0], ordered[-1]
    lower, upper = _chain(ordered), _chain(ordered[::-1])
    return (*lower[:-1], *upper[:-1])


def _sorted(points: Collection[Vector]) -> list[Vector]:
    """Lexicographically by coordinates; with one common denominator the integers are compared as they are."""
    if len({p[0] for p in points}) <= 1:
        return sorted(points, key=itemgetter(slice(1, None)))
    return sorted(points, key=cmp_to_key(_compare))


def _compare(p: Vector, q: Vector) -> int:
    return next((d for a, b in zip(p[1:], q[1:], strict=True) if (d := a * q[0] - b * p[0])), 0)


def _chain(ordered: Sequence[Vector]) -> list[Vector]:
    chain: list[Vector] = []
    for point in ordered:
        while len(chain) > 1 and side(cross(chain[-2], chain[-1]), point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def constraints(vertices: Sequence[Vector]) -> Constraints:
    """The facets and equations of the hull that :func:`hull` returned (at least one vertex)."""
    if len(vertices) == 1:
        point = vertices[0]
        return Constraints((), tuple(unsigned(primitive([-v if j == 0 else point[0] if j == i else 0
                                                         for j in range(len(point))]))
                                     for i, v in enumerate(point) if i))
    if len(vertices) == 2:
        p, q = vertices
        direction = [b * p[0] - a * q[0] for a, b in zip(p[1:], q[1:], strict=True)]
        ends = tuple(primitive([-sum(d * v for d, v in zip(step, end[1:], strict=True)), *(d * end[0] for d in step)])
                     for end, step in ((p, direction), (q, [-d for d in direction])))
        return Constraints(ends, (unsigned(primitive(cross(p, q))),) if len(p) == 3 else ())
    return Constraints(tuple(primitive(cross(p, q)) for p, q in
                             zip(vertices, (*vertices[1:], vertices[0]), strict=True)))


def clip(vertices: Sequence[Vector], form: Vector) -> tuple[Vector, ...]:
    """The vertices, in order, of the part where ``form`` is nonnegative."""
    values = [side(form, v) for v in vertices]
    if min(values, default=0) >= 0:
        return tuple(vertices)
    kept: list[Vector] = []
    for k, (vertex, value) in enumerate(zip(vertices, values, strict=True)):
        if value >= 0:
            kept.append(vertex)
        if value * values[k - 1] < 0:
            a, b = abs(values[k - 1]), abs(value)
            crossing = primitive([a * v + b * w for v, w in zip(vertex, vertices[k - 1], strict=True)])
            kept.insert(len(kept) - (value > 0), crossing)
    return tuple(dict.fromkeys(kept))  # a segment, read as a polygon of two sides, is crossed twice


def area(vertices: Sequence[Vector]) -> Fraction:
    """The area of a polygon, or the length of an interval (0 for one vertex, and for a segment of the plane)."""
    if len(vertices) < 2:
        return Fraction(0)
    if len(vertices[0]) == 2:
        (t, a), (u, b) = vertices
        return Fraction(b, u) - Fraction(a, t)
    apex = vertices[0]
    return sum((Fraction(side(cross(apex, p), q), 2 * apex[0] * p[0] * q[0])
                for p, q in pairwise(vertices[1:])), Fraction(0))


def clip_all(generators: Generators, forms: Constraints) -> Generators:
    """A bounded set of R^1 or R^2, given by minimal generators, cut by constraints."""
    vertices = generators.vertices
    for form in (*forms.inequalities, *(f for e in forms.equations for f in (e, opposite(e)))):
        if not vertices:
            break
        vertices = clip(vertices, form)
    return Generators(vertices, minimal=True)
