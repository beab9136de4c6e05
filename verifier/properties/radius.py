r"""Radius: how far an input is from the nearest one on which something happens, in the maximum, L1 or L2 norm.

The set D in question is the union of the points of queries D_1, ..., D_k: for a classifier, the inputs on which another
output is at least as large as the one that is largest now (a tie counts as a change, so D is closed and the distance is
attained); for a property, its counterexamples.  Let c be the centre, ``|.|`` the norm and ``|.|*`` its dual norm
(maximum: L1; L1: maximum; L2: L2).

Theorem (nothing nearer).  For ``r > 0``, directions g != 0 and numbers ``u_g >= |g|* r`` let ``D_j(r)`` be the query
D_j with its box cut down to ``|x_i - c_i| <= w`` for some ``w >= r``, and the strict rows ``g . (x - c) < u_g`` added
to every disjunct.  If every D_j(r) is proved to have no point (or the two boxes do not meet), no point of D is nearer
to c than r.
Proof: ``|x - c| < r`` gives ``|x_i - c_i| < r <= w`` and, by Hoelder's inequality, ``g . (x - c) <= |g|* |x - c| <
u_g``.  So a nearer point of D_j would be a point of D_j(r).

For the maximum norm the directions are the unit vectors and their negatives: then D_j(r) is exactly the part of D_j in
the open ball.  For the other norms finitely many directions are enough, because D is a union of finitely many
polyhedra, and one direction keeps each of those away that are not nearer than r (the normal of a separating
hyperplane, which touches when the distance is r).

Theorem (distance).  If moreover x is a point of D with ``|x - c| = r``, then r is the distance.  Where x is farther,
the distance lies between r and ``|x - c|``.

Theorem (never).  If every D_j is proved to have no point, there is no such input, however far.

All of this is evaluated in rational numbers.  In the L2 norm the *squares* of r and of the distance are rational, and
they are what is computed; ``u_g`` is a rational number whose square is at least ``|g|^2 r^2``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from verifier.kernel.checker import NoPoint, PointIn, Theorem
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

ROOT_BITS = 128


class Norm(Enum):
    """A norm; the value is how it is written."""

    MAXIMUM = "inf"
    L1 = "1"
    L2 = "2"


@dataclass(frozen=True)
class Radius:
    """The distance lies in ``[lower, upper]``: both ends are the same number when it is attained at ``x``.

    In the L2 norm ``lower`` and ``upper`` are squares.  ``upper`` is None when no input of the kind is known; then
    ``infinite`` says whether it is proved that there is none.  ``y`` are the outputs at ``x``, ``query`` and
    ``disjunct`` what x is a point of.  ``reason`` says why an interval is not a number.
    """

    norm: Norm
    center: Point
    lower: Fraction
    upper: Fraction | None
    x: Point | None = None
    y: Point | None = None
    query: int = 0
    disjunct: int = 0
    infinite: bool = False
    reason: str = ""
    arithmetic: str = ""
    boxes: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether the distance is known."""
        return self.infinite or self.lower == self.upper


def changes(network: Network, domain: Box, label: int, smallest: bool = False) -> Query:
    """The query whose points are the inputs of the domain on which output ``label`` is not strictly the largest one
    (the smallest one, if so wished): one disjunct for each other output."""
    sign = -1 if smallest else 1
    disjuncts = []
    for other in range(network.outputs):
        if other != label:
            normal = [Fraction(0)] * (network.inputs + network.outputs)
            normal[network.inputs + label], normal[network.inputs + other] = Fraction(sign), Fraction(-sign)
            disjuncts.append((HalfSpace(tuple(normal), Fraction(0)),))
    return Query(network, domain, tuple(disjuncts))


def distance(norm: Norm, center: Sequence[Fraction], x: Sequence[Fraction]) -> Fraction:
    """``|x - c|``, in the L2 norm its square."""
    return _size(norm, [v - c for v, c in zip(x, center, strict=True)])


def within(query: Query, norm: Norm, center: Point, radius: Fraction, directions: Sequence[Point] = ()) -> Query | None:
    """``D_j(r)`` of the theorem, with these directions (and, for the maximum norm, all it needs); ``radius > 0`` is a
    square in the L2 norm.  None when the boxes do not meet."""
    width = _root_above(radius) if norm is Norm.L2 else radius
    low = [c - width if v is None else max(v, c - width) for v, c in zip(query.domain.lower, center, strict=True)]
    high = [c + width if v is None else min(v, c + width) for v, c in zip(query.domain.upper, center, strict=True)]
    if any(a > b for a, b in zip(low, high, strict=True)):
        return None
    used = list(directions)
    if norm is Norm.MAXIMUM:
        used += [tuple(Fraction(sign * (i == j)) for j in range(len(center)))
                 for i in range(len(center)) for sign in (1, -1)]
    outputs = (Fraction(0),) * query.network.outputs
    rows = []
    for g in used:
        if not any(g):
            raise ValueError("a direction other than 0 is needed")
        offset = sum((a * c for a, c in zip(g, center, strict=True)), _reach(norm, g, radius))
        rows.append(HalfSpace((*g, *outputs), offset, strict=True))
    return Query(query.network, Box(tuple(low), tuple(high)), tuple((*d, *rows) for d in query.disjuncts))


def conclude(queries: Sequence[Query], norm: Norm, center: Point, radius: Fraction,
             nothing_nearer: Sequence[tuple[Sequence[Point], Theorem]], point: Theorem | None = None,
             reason: str = "") -> Radius:
    """What the theorems of this module allow to be said: ``nothing_nearer`` has, for each query whose boxes meet, in
    order, the directions and the theorem that it has no point within ``radius``; nothing of it is looked at for radius
    0.  ``point`` is a point of one of the queries.  Raises ValueError when the theorems do not say that."""
    theorems = [theorem for _, theorem in nothing_nearer]
    if radius > 0:
        left = list(nothing_nearer)
        for query in queries:
            if within(query, norm, center, radius) is None:
                continue
            if not left:
                raise ValueError("a radius needs a theorem for each query")
            directions, theorem = left.pop(0)
            _require_no_point(theorem, within(query, norm, center, radius, directions))
    arithmetic, boxes = theorems[0].arithmetic if theorems else "", sum(t.branches for t in theorems)
    if point is None:
        return Radius(norm, center, radius, None, reason=reason, arithmetic=arithmetic, boxes=boxes)
    claim = point.claim
    if not isinstance(claim, PointIn):
        raise ValueError("a radius is attained at a point")
    number = next((i for i, query in enumerate(queries) if query.digest == claim.query.digest), None)
    disjunct = claim.query.satisfied_disjunct(claim.x)
    if number is None or disjunct is None:
        raise ValueError("a radius is attained at a point of one of the queries")
    upper = distance(norm, center, claim.x)
    return Radius(norm, center, radius, upper, claim.x, claim.query.network.evaluate(claim.x), number, disjunct,
                  reason=reason if upper != radius else "", arithmetic=arithmetic or point.arithmetic, boxes=boxes)


def conclude_never(queries: Sequence[Query], norm: Norm, center: Point, theorems: Sequence[Theorem]) -> Radius:
    """The theorem (never).  Raises ValueError when the theorems do not say that."""
    for query, theorem in zip(queries, theorems, strict=True):
        _require_no_point(theorem, query)
    return Radius(norm, center, Fraction(0), None, infinite=True, arithmetic=theorems[0].arithmetic if theorems else "",
                  boxes=sum(t.branches for t in theorems))


def _size(norm: Norm, vector: Sequence[Fraction]) -> Fraction:
    match norm:
        case Norm.MAXIMUM:
            return max(map(abs, vector), default=Fraction(0))
        case Norm.L1:
            return sum(map(abs, vector), Fraction(0))
        case Norm.L2:
            return sum((v * v for v in vector), Fraction(0))


def _reach(norm: Norm, g: Point, radius: Fraction) -> Fraction:
    """``u_g``: a number of at least ``|g|* r``."""
    match norm:
        case Norm.MAXIMUM:
            return _size(Norm.L1, g) * radius
        case Norm.L1:
            return _size(Norm.MAXIMUM, g) * radius
        case Norm.L2:
            return _root_above(_size(Norm.L2, g) * radius)


def _root_above(square: Fraction) -> Fraction:
    """A rational number of at least the square root of a nonnegative one: the root itself when it is rational, else
    above it by a relative 2^-ROOT_BITS or so."""
    p, q = square.numerator, square.denominator
    root = Fraction(math.isqrt(p), math.isqrt(q))
    if root * root == square:
        return root
    shift = max(0, ROOT_BITS + (q.bit_length() - p.bit_length()) // 2 + 1)
    root = Fraction(math.isqrt((p << 2 * shift) // q) + 1, 1 << shift)
    if root * root < square:
        raise AssertionError("a root was rounded to the wrong side")
    return root


def _require_no_point(theorem: Theorem, query: Query | None) -> None:
    if query is None or not isinstance(theorem.claim, NoPoint) or theorem.claim.query.digest != query.digest:
        raise ValueError("the theorem does not speak of this part of the domain")
