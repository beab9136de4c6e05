"""How much of a set lies in parts of it: exact shares of volume, for flat sets too.

Theory.  Let the pieces of the whole have dimension k at most; those of dimension k count.  Let their affine hulls be
parallel (they are one hull, mostly: the domain's).  A projection onto k coordinates that is injective on the hull
divides all k-volumes in it and in its parallels by the same number.  So the share is a quotient of volumes in k
dimensions, rational, and no root is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from verifier.geometry.homogeneous import Vector, echelon, side
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.geometry.volume import MOST_DIMENSIONS, exact_sum


def share(groups: Sequence[Sequence[Polyhedron]], whole: Sequence[Polyhedron], disjoint: bool,
          stop: Callable[[], bool] = lambda: False) -> Fraction | None:
    """``vol(union of all groups) / vol(union of the whole)``; None when ``stop()`` came first.

    All parts lie in the whole.  ``disjoint`` promises that parts of different groups have no interior in common.

    Raises ValueError when the whole is empty, unbounded or has more than five dimensions, or when the hulls of its
    largest pieces are not parallel.
    """
    dimension = max((piece.dimension for piece in whole), default=-1)
    if not 0 <= dimension <= MOST_DIMENSIONS:
        raise ValueError(f"shares are computed of sets of 0 to {MOST_DIMENSIONS} dimensions, received {dimension}")
    solid = [piece for piece in whole if piece.dimension == dimension]
    for piece in solid:
        if not piece.is_bounded():
            raise ValueError("an unbounded set has no volume; it goes on along "
                             f"({', '.join(map(str, piece.direction() or ()))})")
    spans = [_directions(piece) for piece in solid]
    if any(span != spans[0] for span in spans):
        raise ValueError("the parts of the set lie in different directions, so their volumes cannot be compared")
    pivots = [next(j for j, v in enumerate(row) if v) for row in spans[0]]
    total, inside = Fraction(0), Fraction(0)
    for hull in dict.fromkeys(piece.constraints.equations for piece in solid):
        total += _volume([p for p in solid if _lies_in(p, hull)], pivots)
        found = [[p for p in group if p.dimension == dimension and _lies_in(p, hull)] for group in groups]
        volumes: list[Fraction] = []
        for together in found if disjoint else [[p for group in found for p in group]]:
            if stop():
                return None
            volumes.append(_volume(together, pivots))
        inside += exact_sum(volumes)
    return inside / total


def _directions(piece: Polyhedron) -> tuple[Vector, ...]:
    """The canonical basis of the linear space parallel to a bounded set."""
    first, *others = piece.any_generators.vertices
    return tuple(echelon([[b * first[0] - a * v[0] for a, b in zip(first[1:], v[1:], strict=True)] for v in others])[0])


def _lies_in(piece: Polyhedron, equations: Sequence[Vector]) -> bool:
    return all(side(form, v) == 0 for form in equations for v in piece.any_generators.vertices)


def _volume(parts: Sequence[Polyhedron], pivots: Sequence[int]) -> Fraction:
    """The volume of the union in the coordinates ``pivots``; of points, their number."""
    if not pivots:
        return Fraction(len({v for part in parts for v in part.generators.vertices}))
    if not parts:
        return Fraction(0)
    flat = parts if len(pivots) == parts[0].ambient_dimension else [part.projection(pivots) for part in parts]
    return flat[0].volume() if len(flat) == 1 else UnionOfPolyhedra(len(pivots), tuple(flat)).volume()
