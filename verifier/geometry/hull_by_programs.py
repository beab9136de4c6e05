"""The generators of a set of which only linear programs are known, exactly.

A polyhedron P of R^m is given by an oracle that minimises linear functions over it, with a point or a ray.  The hull of
the points and rays seen so far lies in P.  Each of its facets is either valid for P, which one program proves, or the
program returns a point or ray beyond it, and the hull grows.  When all facets are valid the hull is P.

Why it ends: the oracle answers with images of basic solutions, of which there are finitely many, and every answer but
the proofs is new.  A set with v vertices and f facets takes about v + f programs, whatever the dimension of the space
that the programs live in: that is what projecting costs when there are few coordinates to project on.

Reference: Lassez and Lassez, *Quantifier elimination for conjunctions of linear constraints via a convex hull
algorithm* (1992).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from verifier.geometry.homogeneous import Constraints, Generators, Vector, from_point, primitive_of
from verifier.geometry.representation import constraints_of, minimal_generators
from verifier.solvers.linear_program import Infeasible, Optimal, Unbounded

Oracle = Callable[[Sequence[int]], Optimal | Infeasible | Unbounded]
"""Minimises ``objective . y`` over the set."""


def generators_by_programs(dimension: int, least: Oracle) -> Generators:
    """The minimal generators of the set of R^m, m = ``dimension``."""
    first = least((0,) * dimension)
    if isinstance(first, Infeasible):
        return Generators((), minimal=True)
    seen = Generators((from_point(first.x),))
    valid: set[Vector] = set()
    while True:
        hull = constraints_of(dimension, seen)
        grown = _beyond(hull, seen, valid, least)
        if grown == seen:
            return minimal_generators(dimension, seen, hull)
        seen = grown


def _beyond(hull: Constraints, seen: Generators, valid: set[Vector], least: Oracle) -> Generators:
    """``seen`` and what lies beyond the facets of its hull; facets with nothing beyond are added to ``valid``."""
    vertices, rays = dict.fromkeys(seen.vertices), dict.fromkeys(seen.rays)
    for form in hull.as_inequalities:
        if form in valid:
            continue
        answer = least(form[1:])
        assert not isinstance(answer, Infeasible), "the set has a point"
        if isinstance(answer, Unbounded):
            vertices[from_point(answer.x)] = None
            rays[primitive_of((0, *answer.ray))] = None
        elif answer.value < -form[0]:
            vertices[from_point(answer.x)] = None
        else:
            valid.add(form)
    return Generators(tuple(vertices), tuple(rays))
