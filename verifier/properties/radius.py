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

Theorem (limit).  Let p be a point of D_j, x another one of its box, such that no unit is positive at one of them and
negative at the other, and such that x satisfies the half-spaces of a disjunct that is true at p, the strict ones
perhaps with equality.  Then all ``x + t (p - x)`` with ``0 < t <= 1`` are points of D_j.  So the distance is at most
``|x - c|``, as an infimum that x itself need not attain.
Proof: layer by layer, the pre-activations are affine in t and do not change their signs, so the activations are affine
in t.  Hence so is each ``normal . (x, N(x)) - offset``; it is at most 0 at ``t = 0`` and satisfies its half-space at
``t = 1``, therefore for all t between, strict ones included.

Theorem (never).  If every D_j is proved to have no point, there is no such input, however far.

All of this is evaluated in rational numbers.  In the L2 norm the *squares* of r and of the distance are rational, and
they are what is computed.  ``u_g`` is then a rational number whose square is at least ``|g|^2 r^2``, and at most
``|g|^2`` where ``|g| >= r``: ``g . (x - c) < u_g`` excludes all that lies beyond ``c + g``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
class Change:
    """The question whether a classifier's decision changes among the inputs of ``domain``: whether output ``label`` is
    not strictly the largest one any more (with ``smallest``: not strictly the smallest)."""

    label: int
    smallest: bool
    domain: Box


@dataclass(frozen=True)
class Radius:
    """The distance lies in ``[lower, upper]``: both ends are the same number when it is known.

    In the L2 norm ``lower`` and ``upper`` are squares.  ``upper`` is None when no input of the kind is known; then
    ``infinite`` says whether it is proved that there is none.  ``x`` is at distance ``upper``, ``y`` are its outputs,
    ``query`` and ``disjunct`` what it is a point of; if not ``attained`` it is a limit of such points only, all those
    on the way from it to ``inside``.  ``reason`` says why an interval is not a number.
    """

    norm: Norm
    center: Point
    lower: Fraction
    upper: Fraction | None
    x: Point | None = None
    y: Point | None = None
    query: int = 0
    disjunct: int = 0
    attained: bool = True
    inside: Point | None = None
    infinite: bool = False
    reason: str = ""
    arithmetic: str = ""
    boxes: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether the distance is known."""
        return self.infinite or self.lower == self.upper

    @property
    def says_something(self) -> bool:
        """Whether anything is known, be it an interval."""
        return self.infinite or self.lower > 0 or self.upper is not None


def changes(network: Network, change: Change) -> Query:
    """The query whose points are the inputs on which the decision changes: one disjunct for each other output."""
    sign = -1 if change.smallest else 1
    disjuncts = []
    for other in range(network.outputs):
        if other != change.label:
            normal = [Fraction(0)] * (network.inputs + network.outputs)
            normal[network.inputs + change.label] = Fraction(sign)
            normal[network.inputs + other] = Fraction(-sign)
            disjuncts.append((HalfSpace(tuple(normal), Fraction(0)),))
    return Query(network, change.domain, tuple(disjuncts))


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
        if not any(g) or len(g) != len(center):
            raise ValueError(f"a direction other than 0 of {len(center)} coordinates is needed")
        offset = sum((a * c for a, c in zip(g, center, strict=True)), _reach(norm, g, radius))
        rows.append(HalfSpace((*g, *outputs), offset, strict=True))
    return Query(query.network, Box(tuple(low), tuple(high)), tuple((*d, *rows) for d in query.disjuncts))


def conclude(queries: Sequence[Query], norm: Norm, center: Point, radius: Fraction,
             nothing_nearer: Sequence[tuple[Sequence[Point], Theorem]], point: Theorem | None = None,
             limit: Point | None = None, reason: str = "") -> Radius:
    """What the theorems of this module allow to be said: ``nothing_nearer`` has, for each query whose boxes meet, in
    order, the directions and the theorem that it has no point within ``radius``; nothing of it is looked at for radius
    0.  ``point`` is a point of one of the queries, ``limit`` an input that is related to it as in theorem (limit).
    Raises ValueError when the theorems do not say that."""
    if radius < 0:
        raise ValueError("a radius is not negative")
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
    query, p = claim.query, claim.x
    number = next((i for i, other in enumerate(queries) if other.digest == query.digest), None)
    disjunct = query.satisfied_disjunct(p) if limit is None else _tending_to(query, p, limit)
    if number is None or disjunct is None:
        raise ValueError("a radius is attained at a point of one of the queries, or at a limit of such points")
    x, inside = (p, None) if limit is None else (limit, p)
    upper = distance(norm, center, x)
    if upper < radius:
        raise ValueError("no point is nearer than the radius")
    return Radius(norm, center, radius, upper, x, query.network.evaluate(x), number, disjunct, limit is None,
                  inside, reason=reason if upper != radius else "", arithmetic=arithmetic or point.arithmetic,
                  boxes=boxes)


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
            square = _size(Norm.L2, g)
            root = _root_above(square * radius)
            return min(root, square) if square >= radius else root


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


def _tending_to(query: Query, p: Point, x: Point) -> int | None:
    """The disjunct whose points tend to x on the way from p, by theorem (limit); None when it does not say so."""
    network = query.network
    apart = any(phase and a * b < 0
                for layer, at_p, at_x in zip(network.layers, network.pre_activations(p), network.pre_activations(x),
                                             strict=True)
                for phase, a, b in zip(layer.has_phase, at_p, at_x, strict=True))
    if apart or not query.domain.contains(x):
        return None
    start, end = p + network.evaluate(p), x + network.evaluate(x)
    return next((number for number, disjunct in enumerate(query.disjuncts)
                 if all(h.contains(start) and replace(h, strict=False).contains(end) for h in disjunct)), None)
