r"""The exact volume of a polytope, and the relative volume of a flat one.

Theory.  *Pulling triangulation.*  A d-polytope is the union of the pyramids from one of its vertices over the facets
that do not contain it, with disjoint interiors; recursion over faces ends at simplices, each with volume
``|det(v_1 - v_0, ..., v_d - v_0)| / d!``.  With ``v = (t, x)`` in integers the determinant of the differences is
``det(v_0, ..., v_d) / (t_0 ... t_d)``.  A face is the set of its vertices, a bit mask; the facets of a face are the
maximal sets among its proper intersections with the facets of the polytope.  So no face is found by numbers: the exact
incidences between vertices and facets say everything, degenerate positions included.

*Flat sets.*  Let the columns of B be a basis of the directions of the affine hull, d of them, and let B_J be d of its
rows that are independent.  The projection onto the coordinates J is injective on the hull and divides d-volumes by
``sqrt(det(B^T B)) / |det B_J|``, so the square of the relative volume is rational.

Reference: Bueler, Enge, Fukuda, *Exact volume computation for polytopes: a practical study* (2000).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from verifier.geometry.homogeneous import Generators, Vector, determinant, echelon, primitive
from verifier.geometry.low_dimension import area, hull
from verifier.geometry.representation import constraints_of, incidence, minimal_generators

MOST_DIMENSIONS = 5


def require_few(dimension: int) -> None:
    """Raises ValueError for more dimensions than volumes are computed in."""
    if dimension > MOST_DIMENSIONS:
        raise ValueError(f"volumes are computed in up to {MOST_DIMENSIONS} dimensions, received {dimension}")


def full_dimensional_volume(vertices: Sequence[Vector], facets: Sequence[Vector]) -> Fraction:
    """The volume of a polytope with interior, given by all its vertices and all its facets (and perhaps further
    inequalities that hold on it)."""
    if len(vertices[0]) <= 3:
        return area(hull(vertices))
    columns = [sum(1 << i for i, tight in enumerate(incidence(vertices, facets)) if tight >> k & 1)
               for k in range(len(facets))]
    total = exact_sum([Fraction(abs(determinant([vertices[i] for i in simplex])),
                                math.prod(vertices[i][0] for i in simplex))
                       for simplex in _simplices((1 << len(vertices)) - 1, columns)])
    return total / math.factorial(len(vertices[0]) - 1)


def _simplices(face: int, cuts: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The simplices of the pulling triangulation of a face, as vertex numbers; ``cuts`` are faces whose intersections
    with it include its facets."""
    apex = (face & -face).bit_length() - 1
    if face == 1 << apex:
        yield (apex,)
        return
    proper = {face & cut for cut in cuts if face & cut != face}
    facets = [f for f in proper if not any(f != g and f & g == f for g in proper)]
    for facet in facets:
        if not facet >> apex & 1:
            for simplex in _simplices(facet, facets):
                yield (apex, *simplex)


def relative_volume_squared(vertices: Sequence[Vector], dimension: int) -> Fraction:
    """The square of the volume of the hull of points inside its affine hull, which has the given dimension (a point has
    volume 1, nothing has volume 0)."""
    if dimension <= 0:
        return Fraction(dimension + 1)
    first = vertices[0]
    directions = [[b * first[0] - a * v[0] for a, b in zip(first[1:], v[1:], strict=True)] for v in vertices[1:]]
    basis, pivots = echelon(directions)
    gram = determinant([[sum(x * y for x, y in zip(u, v, strict=True)) for v in basis] for u in basis])
    stretch = Fraction(gram, determinant([[row[j] for j in pivots] for row in basis]) ** 2)
    shadow = Generators(tuple(primitive((v[0], *(v[1 + j] for j in pivots))) for v in vertices))
    facets = constraints_of(dimension, shadow)
    corners = minimal_generators(dimension, shadow, facets).vertices
    return full_dimensional_volume(corners, facets.inequalities) ** 2 * stretch


def exact_sum(values: Sequence[Fraction]) -> Fraction:
    """The sum, by halves: denominators grow, and a running total would carry the largest one through every step."""
    if len(values) <= 2:
        return sum(values, Fraction(0))
    middle = len(values) // 2
    return exact_sum(values[:middle]) + exact_sum(values[middle:])


def rational_root(value: Fraction) -> Fraction | None:
    """The square root of a nonnegative rational when it is rational."""
    p, q = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(p, q) if p * p == value.numerator and q * q == value.denominator else None
