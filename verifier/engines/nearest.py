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
    too, and the separating hyperplane becomes one more row, which excludes that piece for good.
Property
    Exact; ends, because every round improves the radius to that of another piece, or excludes a piece.
"""

from __future__ import annotations

import time
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
class NearestPoint:
    """``x`` is a point of ``queries[query]``.  Nothing is nearer than ``radius``: one proof for each query that has a
    part there.  ``x`` is farther than ``radius`` where time ran out, or where the nearest point itself is not in a
    strict set.  ``never``: the proofs are of the whole queries, which have no points; then ``x`` is None."""

    radius: Fraction
    proofs: tuple[Proof, ...]
    query: int = 0
    x: Point | None = None
    never: bool = False
    finished: bool = True


@dataclass
class _Best:
    """The best known: the distance of a piece's closure, and a point of the query, near it or it."""

    radius: Fraction
    query: int
    x: Point


@dataclass
class NearestSearch:
    """One question.  ``options`` are those of :func:`verifier.engines.subtrees.search`; ``propose`` may be asked for a
    pattern where a near point is: ``propose(query number, disjunct, radius)``."""

    queries: Sequence[Query]
    geometry: Geometry
    deadline: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    propose: Callable[[int, int, Fraction], list[list[Mask]]] | None = None
    progress: Callable[[str], None] | None = None
    effort: Effort = field(default_factory=Effort)

    def run(self) -> NearestPoint:
        """See the module."""
        center = self.geometry.center
        for number, query in enumerate(self.queries):
            if query.satisfied_disjunct(center) is not None:
                return NearestPoint(Fraction(0), (), number, center)
        start = self._first_point()
        if isinstance(start, NearestPoint):
            return start
        best, reached = start
        if self.propose is not None:
            self._take_proposals(best, self.propose)
        if self.geometry.kind != "inf":
            reached = self._squeezed(best, reached)
        directions: list[list[Point]] = [[] for _ in self.queries]
        while best.radius > 0:
            proofs = self._nothing_nearer(best, directions)
            if proofs is None:
                continue
            if not self._out_of_time(proofs):
                return NearestPoint(best.radius, tuple(p for p in proofs if p is not None), best.query, best.x)
            return NearestPoint(reached.radius, reached.proofs, best.query, best.x, finished=False)
        return NearestPoint(Fraction(0), (), best.query, best.x)

    def _first_point(self) -> tuple[_Best, NearestPoint] | NearestPoint:
        """A point in a growing box, and what is proved of the boxes before; or the end of it all."""
        center = self.geometry.center
        scale = max([Fraction(1, 2**10), *map(abs, center)])
        squared = self.geometry.kind == "2"
        width = scale / FIRST_FRACTION
        reached = NearestPoint(Fraction(0), (), finished=False)
        while True:
            radius = width * width if squared else width
            parts = [self.geometry.part(query, radius, ()) for query in self.queries]
            whole = width > scale * LARGEST_BOX or all(
                part is None or _same_box(part, query) for part, query in zip(parts, self.queries, strict=True))
            proofs = []
            for number, query in enumerate(self.queries):
                part = query if whole else parts[number]
                if part is None:
                    continue
                found = self._search(part)
                if found.point is not None:
                    best = self._improved(number, found.point)
                    return best, reached
                if not found.finished:
                    return reached
                proofs.append(Proof((), found.blocks))
            if whole:
                return NearestPoint(Fraction(0), tuple(proofs), never=True)
            reached = NearestPoint(radius, tuple(proofs), finished=False)
            width *= GROWTH

    def _squeezed(self, best: _Best, reached: NearestPoint) -> NearestPoint:
        """A larger radius of which it is proved that nothing is nearer, by cubes around the balls: something to tell
        when time runs out.  Points that turn up on the way are taken."""
        low, high = reached.radius, best.radius
        for _ in range(CUBES):
            middle = (low + min(high, best.radius)) / 2
            proofs = []
            for number, query in enumerate(self.queries):
                part = self.geometry.part(query, middle, ())
                found = None if part is None else self._search(part)
                if found is None:
                    continue
                if not found.finished:
                    high = middle
                    if found.point is None:
                        return reached
                    better = self._improved(number, found.point)
                    if better.radius < best.radius:
                        best.radius, best.query, best.x = better.radius, better.query, better.x
                    break
                proofs.append(Proof((), found.blocks))
            else:
                low, reached = middle, NearestPoint(middle, tuple(proofs), finished=False)
        return reached

    def _nothing_nearer(self, best: _Best, directions: list[list[Point]]) -> list[Proof | None] | None:
        """Proofs for all queries (None last: time ran out), or None when the best changed or a direction was added."""
        proofs: list[Proof | None] = []
        for number, query in enumerate(self.queries):
            part = self.geometry.part(query, best.radius, directions[number])
            if part is None:
                continue
            while True:
                found = self._search(part, few_units=FEW_UNITS if self.geometry.kind == "inf" else TOUCHING_UNITS)
                if found.point is None:
                    break
                nearest = self._nearest_of(number, found.point)
                size = self.geometry.size(nearest.x)
                if size < best.radius:
                    better = self._improved(number, found.point)
                    best.radius, best.query, best.x = better.radius, better.query, better.x
                    return None
                directions[number].append(nearest.normal)
                part = self.geometry.part(query, best.radius, directions[number])
                assert part is not None, "directions change no box"
            if not found.finished:
                return [*proofs, None]
            proofs.append(Proof(tuple(directions[number]), found.blocks))
        return proofs

    def _nearest_of(self, number: int, point: Point) -> Nearest:
        query = self.queries[number]
        disjunct = query.satisfied_disjunct(point)
        assert disjunct is not None, "a part of a query has points of the query"
        found = self.geometry.project(query, disjunct, pattern_at(query.network, point))
        assert found is not None, "a piece contains the point that it was made from"
        return found

    def _improved(self, number: int, point: Point) -> _Best:
        """The nearest point of the piece of a point; if that is not in the query (strict rows), one beside it."""
        nearest = self._nearest_of(number, point)
        query = self.queries[number]
        x = nearest.x
        if query.satisfied_disjunct(x) is None:
            x = tuple(a + INSIDE * (b - a) for a, b in zip(x, point, strict=True))
            x = x if query.satisfied_disjunct(x) is not None else point
        return _Best(self.geometry.size(nearest.x), number, x)

    def _take_proposals(self, best: _Best,
                        propose: Callable[[int, int, Fraction], list[list[Mask]]]) -> None:
        for number, query in enumerate(self.queries):
            for disjunct in range(len(query.disjuncts)):
                for pattern in propose(number, disjunct, best.radius):
                    nearest = self.geometry.project(query, disjunct, pattern)
                    if nearest is not None and query.satisfied_disjunct(nearest.x) is not None:
                        size = self.geometry.size(nearest.x)
                        if size < best.radius:
                            best.radius, best.query, best.x = size, number, nearest.x

    def _search(self, query: Query, few_units: int = FEW_UNITS) -> SearchResult:
        found = search(query, deadline=self.deadline, few_units=few_units, **self.options)
        self.effort.add(found.effort)
        if self.progress is not None:
            self.progress(f"{self.effort.boxes:,} boxes")
        return found

    def _out_of_time(self, proofs: Sequence[Proof | None]) -> bool:
        return None in proofs or (self.deadline is not None and time.time() >= self.deadline and not proofs)


def _same_box(part: Query, query: Query) -> bool:
    return part.domain == query.domain
