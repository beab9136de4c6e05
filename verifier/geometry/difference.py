"""What is left of a polyhedron when others are taken away.

Theory.  Take the part ``{f_1 >= 0, ..., f_k >= 0}`` away from a piece: cut off ``{f_1 <= 0}``, then ``{f_2 <= 0}`` from
the rest, and so on; what is left in the end lies in the part.  A cut is made only where ``f_i`` has both signs on the
rest, so every piece has the dimension of the first one, and its relative interior lies strictly outside of the part.
The pieces that are left after all parts have disjoint relative interiors, and their union is the closure of the
difference.

*Why closed pieces are exact.*  Let P be convex and the parts closed.  ``P minus the parts`` is relatively open in P, so
it is empty or has the dimension of P, and then a piece is left.  So inclusion is decided without strict inequalities,
and the interior point of any piece is a witness against it.  Flat parts need no special treatment: an equation is two
inequalities, and cuts the piece in two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from verifier.geometry.homogeneous import Vector, side
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.split import split


def difference(polyhedron: Polyhedron, parts: Sequence[Polyhedron]) -> Iterator[Polyhedron]:
    """The pieces of ``polyhedron`` that no part covers; none exactly when the union of the parts includes it.

    They come depth-first and one at a time: the first one is found without the others.  Sets are cut through their
    generators, whatever the dimension.
    """
    if not polyhedron.any_generators.vertices:
        return
    stack = [iter((polyhedron,))]  # level k: pieces from which the first k parts are taken away
    while stack:
        piece = next(stack[-1], None)
        if piece is None:
            stack.pop()
        elif len(stack) > len(parts):
            yield piece
        else:
            stack.append(_outside(piece, parts[len(stack) - 1]))


def _outside(piece: Polyhedron, part: Polyhedron) -> Iterator[Polyhedron]:
    if not part.any_generators.vertices or _separated(piece, part):
        yield piece
        return
    rest = piece
    for form in part.constraints.as_inequalities:
        below, above = _signs(rest, form)
        if below and not above:
            yield rest
            return
        if below:
            outside, rest = split(rest, form)
            yield outside


def _separated(piece: Polyhedron, part: Polyhedron) -> bool:
    """Whether a facet of one of the two shows that the part does not meet the relative interior of the piece."""
    for form in part.constraints.as_inequalities:
        below, above = _signs(piece, form)
        if below and not above:
            return True
    return any(not _signs(part, form)[1] and _signs(piece, form)[1] for form in piece.any_constraints.inequalities)


def _signs(polyhedron: Polyhedron, form: Vector) -> tuple[bool, bool]:
    """Whether the form is negative and whether it is positive somewhere on the set."""
    generators = polyhedron.any_generators
    values = [side(form, g) for g in (*generators.vertices, *generators.rays)]
    turning = any(side(form, line) for line in generators.lines)
    return turning or min(values) < 0, turning or max(values) > 0
