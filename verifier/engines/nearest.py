"""The nearest point of queries to a centre, and a proof that nothing is nearer.

Requirement
    Queries on one network (any boxes, disjuncts, strictness), a centre, a norm.
Return
    A point, a radius, and for each query the directions and blocks that prove the theorem (nothing nearer) of
    ``properties/radius.py``; or a proof that there is no point at all.
Method
    Boxes around the centre grow until one has a point.  The nearest point of that point's piece is computed exactly:
    on a piece the network is affine, so the piece and the disjunct are one polyhedron
    (:mod:`verifier.solvers.projection`).  Then branch and bound is asked for a point that is strictly nearer.  In the
    maximum norm its answer is a better point, or the proof.  In the other norms balls are no polyhedra; there the
    question is put for a polyhedron around the ball, and a point found may be too far.  Then its piece is projected,
    too, and the separating hyperplane becomes one more row.
Property
    Exact.  Ends: let Q be the closed piece, together with the closed disjunct, of a point that branch and bound found,
    and x its nearest point.  Either Q is nearer than the best.  Then its distance is the radius from now on, and as
    radii only shrink, no piece is the best twice.  Or it is not.  Then a hyperplane with normal g excludes Q, hence
    the point, from all later polyhedra.  In the L2 norm ``g = x - c``, and every v in Q has ``g . (v - c) >= |g|^2 >=
    u_g``; in the others ``g . (v - c) >= |g|* |x - c| >= |g|* r = u_g``.  There are finitely many pieces, and each
    search ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from verifier.engines.branch_and_bound import FEW_UNITS, TOUCHING_UNITS, Effort
from verifier.engines.exact_leaf import pattern_at, piece
from verifier.engines.subtrees import SearchResult, search
from verifier.kernel.branches import Mask
from verifier.kernel.query import Query
from verifier.kernel.rational import Point
from verifier.solvers.projection import Nearest, nearest_by_program, nearest_l2

GROWTH = 4            # factor between boxes
FIRST_FRACTION = 64   # of the scale of the inputs: the first box
LARGEST_BOX = 2**12   # of the scale of the inputs: beyond it the domain is searched whole
CUBES = 4             # steps towards the largest cube without a point, in norms whose balls are none
INSIDE = Fraction(1, 2**30)  # how far towards a known point one goes from a nearest point that is not in an open set


@dataclass(frozen=True)
class Geometry:
    """What a norm means, as functions of ``properties/radius.py`` that the caller passes (engines see no intentions).

    ``part(query, radius, directions)`` is the part of a query in a polyhedron around the open ball, None when there is
    none; ``size(x)`` the distance of x; sizes are squares when ``squared``.
    """

    center: Point
    part: Callable[[Query, Fraction, Sequence[Point]], Query | None]
    size: Callable[[Point], Fraction]
    kind: str  # "inf", "1" or "2"

    def project(self, query: Query, disjunct: int, pattern: Sequence[Mask]) -> Nearest | None:
        """The nearest point of the closure of a disjunct on the closed piece of a pattern."""
        linear = piece(query, pattern)
        rows = list(linear.signs)
        for h in query.disjuncts[disjunct]:
            function = linear.on_inputs(h.normal)
            assert function is not None, "every unit of a piece is decided"
            rows.append((function[0], h.offset - function[1]))
        n = query.network.inputs
        for i, (low, high) in enumerate(zip(query.domain.lower, query.domain.upper, strict=True)):
            for sign, bound in ((-1, low), (1, high)):
                if bound is not None:
                    rows.append((tuple(Fraction(sign * (i == j)) for j in range(n)), sign * bound))
        if self.kind == "2":
            return nearest_l2(rows, self.center)
        return nearest_by_program(rows, self.center, self.kind == "inf")


@dataclass(frozen=True)
class Proof:
    """For one query, the directions of ``part`` and the blocks that prove that the part has no point."""

    directions: tuple[Point, ...]
    blocks: tuple[bytes, ...]


@dataclass(frozen=True)
class Nothing:
    """Nothing is nearer than ``radius``: one proof for each query that has a part there.  Without a radius: the proofs
    are of the whole queries, which have no points."""

    radius: Fraction | None
    proofs: tuple[Proof, ...]


@dataclass(frozen=True)
class Best:
    """The best known: ``x`` is a point of ``queries[query]``, and ``radius`` its distance, or that of ``limit``, which
    is nearer and to which points tend on the way from x (strict half-spaces)."""

    radius: Fraction
    query: int
    x: Point
    limit: Point | None = None


class OutOfTime(Exception):
    """The deadline passed."""


@dataclass
class NearestSearch:
    """One question.  ``confirm`` is told what is proved, every time that it is more.  ``options`` are those of
    :func:`verifier.engines.subtrees.search`; ``propose`` may be asked for a pattern where a near point is:
    ``propose(query number, disjunct, radius)``."""

    queries: Sequence[Query]
    geometry: Geometry
    confirm: Callable[[Nothing], None]
    deadline: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    propose: Callable[[int, int, Fraction], list[list[Mask]]] | None = None
    progress: Callable[[str], None] | None = None
    effort: Effort = field(default_factory=Effort)
    best: Best | None = None
    directions: list[list[Point]] = field(init=False)

    def __post_init__(self) -> None:
        self.directions = [[] for _ in self.queries]

    def run(self) -> Best | None:
        """The best point known.  If there was time, ``confirm`` was told that nothing is nearer, or that there is
        nothing; a point at distance 0 needs no proof."""
        center = self.geometry.center
        for number, query in enumerate(self.queries):
            if query.satisfied_disjunct(center) is not None:
                return Best(Fraction(0), number, center)
        with contextlib.suppress(OutOfTime):
            reached = self._find_first()
            if self.best is not None and self.propose is not None:
                self._take_proposals(self.propose)
            if self.best is not None and self.geometry.kind != "inf":
                self._squeeze(reached)
            while self.best is not None and self.best.radius > 0:
                if self._nothing_nearer():
                    break
        return self.best

    def _find_first(self) -> Fraction:
        """A point in a growing box; returns the radius that was proved before.  Without a point it is the end."""
        scale = max([Fraction(1, 2**10), *map(abs, self.geometry.center)])
        width, reached = scale / FIRST_FRACTION, Fraction(0)
        while True:
            radius = width * width if self.geometry.kind == "2" else width
            parts = [self.geometry.part(query, radius, ()) for query in self.queries]
            whole = width > scale * LARGEST_BOX or all(
                part is None or part.domain == query.domain for part, query in zip(parts, self.queries, strict=True))
            proofs = self._proofs(self.queries if whole else parts)
            if proofs is None:
                return reached
            self.confirm(Nothing(None if whole else radius, proofs))
            if whole:
                return reached
            reached = radius
            width *= GROWTH

    def _squeeze(self, low: Fraction) -> None:
        """A larger radius of which it is proved that nothing is nearer, by cubes around the balls: something to tell
        when time runs out.  Points that turn up on the way are taken."""
        assert self.best is not None
        high = self.best.radius
        for _ in range(CUBES):
            middle = (low + min(high, self.best.radius)) / 2
            if middle <= 0:
                return
            proofs = self._proofs([self.geometry.part(query, middle, ()) for query in self.queries])
            if proofs is None:
                high = middle
            else:
                self.confirm(Nothing(middle, proofs))
                low = middle

    def _proofs(self, parts: Sequence[Query | None]) -> tuple[Proof, ...] | None:
        """Proofs that these parts of the queries, without directions, have no points; None when one has, which is
        taken."""
        proofs = []
        for number, part in enumerate(parts):
            if part is not None:
                found = self._search(part)
                if found.point is not None:
                    self._take(number, found.point)
                    return None
                proofs.append(Proof((), found.blocks))
        return tuple(proofs)

    def _nothing_nearer(self) -> bool:
        """Whether nothing is nearer than the best, with proof; if not, a point was found and taken."""
        assert self.best is not None
        proofs = []
        for number in range(len(self.queries)):
            part = self._part(number)
            if part is None:
                continue
            found = self._search(part, touches=self.geometry.kind != "inf")
            if found.point is not None:
                self._take(number, found.point)
                return False
            proofs.append(Proof(tuple(self.directions[number]), found.blocks))
        self.confirm(Nothing(self.best.radius, tuple(proofs)))
        return True

    def _part(self, number: int) -> Query | None:
        assert self.best is not None
        if self.best.radius == 0:
            return None
        return self.geometry.part(self.queries[number], self.best.radius, self.directions[number])

    def _take(self, number: int, point: Point) -> None:
        """A point was found: its piece is nearer than the best, or excluded from now on."""
        query = self.queries[number]
        disjunct = query.satisfied_disjunct(point)
        assert disjunct is not None, "a part of a query has points of the query"
        nearest = self.geometry.project(query, disjunct, pattern_at(query.network, point))
        assert nearest is not None, "a piece contains the point that it was made from"
        size = self.geometry.size(nearest.x)
        if self.best is not None and size >= self.best.radius:
            self.directions[number].append(nearest.normal)
        elif query.satisfied_disjunct(nearest.x) is not None:
            self.best = Best(size, number, nearest.x)
        else:  # on the way to the point all strict rows hold
            x = tuple(a + INSIDE * (b - a) for a, b in zip(nearest.x, point, strict=True))
            self.best = Best(size, number, x, nearest.x)

    def _take_proposals(self, propose: Callable[[int, int, Fraction], list[list[Mask]]]) -> None:
        for number, query in enumerate(self.queries):
            for disjunct in range(len(query.disjuncts)):
                assert self.best is not None
                for pattern in propose(number, disjunct, self.best.radius):
                    nearest = self.geometry.project(query, disjunct, pattern)
                    if nearest is not None and query.satisfied_disjunct(nearest.x) is not None:
                        size = self.geometry.size(nearest.x)
                        if size < self.best.radius:
                            self.best = Best(size, number, nearest.x)

    def _search(self, query: Query, touches: bool = False) -> SearchResult:
        """Raises OutOfTime.  ``touches``: the domain's own rows touch along faces, in the middle of many cells; then
        bisection may be much the faster way, also where there are few."""
        found = search(query, deadline=self.deadline, few_units=TOUCHING_UNITS if touches else FEW_UNITS,
                       to_the_end=not touches, **self.options)
        self._count(found)
        if found.point is None and not found.finished:
            raise OutOfTime
        return found

    def _count(self, found: SearchResult) -> None:
        self.effort.add(found.effort)
        if self.progress is not None:
            self.progress(f"{self.effort.boxes:,} boxes")
