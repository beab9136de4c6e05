"""A polyhedron cut in two by a hyperplane that passes through it.

Theory.  With the generators and all facets known, a cut is one step of the double description method.  The generators
on either side stay, and new ones appear where the hyperplane crosses an edge, that is between p and q on different
sides of it that are adjacent: no third generator lies on all the facets that p and q have in common.  (The test is
right in degenerate position, where counting common facets is not.)  A crossing is ``|f(q)| p + |f(p)| q``.  Redundant
inequalities among the facets do no harm, so no half needs another conversion.

Why not cddlib: it would start from the constraints alone, and exact differences make one cut after the other.
Reference: Fukuda, Prodon, *Double description method revisited* (1996).
"""

from __future__ import annotations

from verifier.geometry.homogeneous import Constraints, Vector, opposite, primitive, side
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import in_order, incidence


def split(polyhedron: Polyhedron, form: Vector) -> tuple[Polyhedron, Polyhedron]:
    """The parts where the form is at most zero, and at least zero.  It must take both signs on the polyhedron."""
    generators = polyhedron.generators
    if polyhedron.is_polygonal or generators.lines:
        return polyhedron.constrained(Constraints((opposite(form),))), polyhedron.constrained(Constraints((form,)))
    vectors = generators.vertices + generators.rays
    known = polyhedron.any_constraints
    tight = incidence(vectors, (*known.inequalities, (1, *(0,) * polyhedron.ambient_dimension)))
    touched = [row for k, row in enumerate(known.inequalities) if any(mask >> k & 1 for mask in tight)]
    values = [side(form, v) for v in vectors]
    crossings = [primitive([a * w - b * v for v, w in zip(vectors[i], vectors[j], strict=True)])
                 for i, a in enumerate(values) if a > 0 for j, b in enumerate(values) if b < 0
                 and _adjacent(i, j, tight, polyhedron.dimension)]
    halves = []
    for sign in (-1, 1):
        kept = [v for v, value in zip(vectors, values, strict=True) if sign * value >= 0] + crossings
        halves.append(Polyhedron(
            polyhedron.ambient_dimension,
            Constraints((*touched, tuple(sign * c for c in form)), known.equations),
            in_order(polyhedron.ambient_dimension, [v for v in kept if v[0]], [v for v in kept if not v[0]])))
    return halves[0], halves[1]


def _adjacent(i: int, j: int, tight: list[int], dimension: int) -> bool:
    common = tight[i] & tight[j]
    if common.bit_count() < dimension - 1:  # necessary, and quick
        return False
    return not any(mask & common == common for k, mask in enumerate(tight) if k not in (i, j))
