"""Distances by brute force, with nothing of the tool but its nouns: every piece, every vertex.

The nearest point of a polyhedron lies where the projection of the centre on the intersection of some of its rows does
(L2), or, as the norm is linear between its folds, on a vertex of the arrangement of rows and folds (maximum norm, L1).
So all of these are tried, in rational numbers.  For one to three inputs and a dozen rows that is nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

from tests import reference
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

Row = tuple[Point, Fraction]
"""``a . x <= b``."""


def distance(query: Query, center: Point, norm: str) -> Fraction | None:
    """The infimum of distances of points of the query (bounded domain); of squares in the L2 norm; None without points.
    """
    best: list[Fraction] = []
    for rows, strict in _polyhedra(query):
        corners = [x for x in _vertices([*rows, *strict]) if _inside(x, [*rows, *strict])]
        if not corners:
            continue
        middle = [sum(values, Fraction(0)) / len(corners) for values in zip(*corners, strict=True)]
        if all(_dot(a, middle) < b for a, b in strict):  # else a strict row is an equation on all of the polyhedron
            best += [size(center, x, norm) for x in _candidates([*rows, *strict], center, norm)
                     if _inside(x, [*rows, *strict])]
    return min(best, default=None)


def size(center: Sequence[Fraction], x: Sequence[Fraction], norm: str) -> Fraction:
    """The distance, in the L2 norm its square."""
    steps = [abs(a - b) for a, b in zip(x, center, strict=True)]
    return max(steps) if norm == "inf" else sum(steps, Fraction(0)) if norm == "1" else _dot(steps, steps)


def _polyhedra(query: Query) -> Iterator[tuple[list[Row], list[Row]]]:
    """For every piece of the domain and every disjunct its rows, and the strict ones."""
    n = query.network.inputs
    bounds = list(zip(query.domain.lower, query.domain.upper, strict=True))
    free = [i for i, (low, high) in enumerate(bounds) if low != high]
    box = [(_unit(n, i, sign), sign * bound) for i, pair in enumerate(bounds)
           for sign, bound in zip((-1, 1), pair, strict=True) if bound is not None]
    for cell in reference.cells(query.network, query.domain):
        own = [(_embed(n, free, [-Fraction(v) for v in row[:-1]]), Fraction(row[-1])) for row in cell.constraints]
        for disjunct in query.disjuncts:
            rows, strict = [*box, *own], []
            for h in disjunct:
                normal, offset = list(h.normal[:n]), h.offset
                for c, weight, constant in zip(h.normal[n:], cell.weight, cell.constant, strict=True):
                    normal = [v + c * w for v, w in zip(normal, _embed(n, free, weight), strict=True)]
                    offset -= c * constant
                (strict if h.strict else rows).append((tuple(normal), offset))
            yield rows, strict


def _candidates(rows: Sequence[Row], center: Point, norm: str) -> Iterator[Point]:
    n = len(center)
    if norm == "2":
        for count in range(n + 1):
            for some in itertools.combinations(rows, count):
                # x = c + sum of multiples of the normals, on all of these rows
                table = [[*(_dot(a, other) for other, _ in some), b - _dot(a, center)] for a, b in some]
                weights = _solve(table)
                if weights is not None:
                    yield tuple(c + sum((w * a[i] for w, (a, _) in zip(weights, some, strict=True)), Fraction(0))
                                for i, c in enumerate(center))
        return
    folds = [_unit(n, i, 1) for i in range(n)]
    if norm == "inf":
        folds += [tuple(u + s * v for u, v in zip(_unit(n, i, 1), _unit(n, j, 1), strict=True))
                  for i, j in itertools.combinations(range(n), 2) for s in (1, -1)]
    yield from _vertices([*rows, *((a, _dot(a, center)) for a in folds)])


def _vertices(rows: Sequence[Row]) -> Iterator[Point]:
    """The points at which as many rows as there are inputs are equations, and have one solution."""
    for some in itertools.combinations(dict.fromkeys(rows), len(rows[0][0])):
        x = _solve([[*a, b] for a, b in some])
        if x is not None:
            yield x


def _solve(table: Sequence[Sequence[Fraction]]) -> Point | None:
    """The solution of a square system with its right side, None when there is none or more than one."""
    rows = [list(row) for row in table]
    for i in range(len(rows)):
        pivot = next((k for k in range(i, len(rows)) if rows[k][i]), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for k in range(len(rows)):
            if k != i and rows[k][i]:
                rows[k] = [v - rows[k][i] * w for v, w in zip(rows[k], rows[i], strict=True)]
    return tuple(row[-1] for row in rows)


def _inside(x: Sequence[Fraction], rows: Sequence[Row]) -> bool:
    return all(_dot(a, x) <= b for a, b in rows)


def _unit(n: int, i: int, sign: int) -> Point:
    return tuple(Fraction(sign * (i == j)) for j in range(n))


def _embed(n: int, free: Sequence[int], values: Sequence[Fraction]) -> Point:
    by_input = dict(zip(free, values, strict=True))
    return tuple(by_input.get(i, Fraction(0)) for i in range(n))


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((v * w for v, w in zip(a, b, strict=True)), Fraction(0))
