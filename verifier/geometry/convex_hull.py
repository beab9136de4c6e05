"""The convex hull of several polyhedra: of bounded ones, the hull of all their vertices.

With unbounded sets the hull need not be closed (a line and a point beside it); its closure is a polyhedron, generated
by all vertices, rays and lines together.
"""

from __future__ import annotations

from collections.abc import Iterable

from verifier.geometry.homogeneous import Generators, distinct
from verifier.geometry.polytope import Polyhedron


def convex_hull(polyhedra: Iterable[Polyhedron]) -> Polyhedron:
    """The closure of the convex hull of at least one set (of bounded sets: the convex hull)."""
    parts = list(polyhedra)
    if not parts:
        raise ValueError("a convex hull needs at least one set, received none")
    filled = [p.any_generators for p in parts if p.any_generators.vertices]
    for part in parts:
        part.require_same_space(parts[0])
    return Polyhedron(parts[0].ambient_dimension, None,
                      Generators(distinct(v for g in filled for v in g.vertices),
                                 distinct(v for g in filled for v in g.rays),
                                 distinct(v for g in filled for v in g.lines)))
