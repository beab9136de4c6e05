r"""The point of a polyhedron that is nearest to the origin, exactly.

Problem.  Minimise ``|u|^2`` over ``{u : a_i . u + t_i >= 0}``: a convex quadratic program with one solution, which is
rational when the rows are.  Squared distances are therefore compared as rationals, and touching is not meeting.

Method.  The dual active-set method (Goldfarb and Idnani, *A numerically stable dual method for solving strictly convex
quadratic programs*, 1983), in exact arithmetic.  It keeps a set A of independent rows and multipliers ``m >= 0`` with
``u = sum m_i a_i`` the nearest point of ``{a_i . u + t_i >= 0, i in A}``, on all hyperplanes of A.  It begins with
A empty, ``u = 0``.  A row p violated at u is moved towards equality, along ``z = a_p - sum r_i a_i`` with ``r`` the
coefficients of the projection of ``a_p`` on the span of A, and rows whose multiplier reaches 0 leave A.

*Termination.*  Every full step strictly increases ``|u|^2``, the optimum over A, so no A returns; between two full
steps A only shrinks.  *Bounds.*  ``|u|^2`` at a full step is a lower bound of the optimum, so the search may stop as
soon as it reaches a limit.  *Infeasibility.*  If ``z = 0`` and no ``r_i`` is positive, ``a_p - sum r_i a_i = 0`` is a
nonnegative combination, of functions that cannot all be nonnegative: the set is empty (Farkas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import fmpq, fmpq_mat, fmpz

from verifier.geometry.chart import Row
from verifier.kernel.rational import Point


@dataclass(frozen=True)
class Nearest:
    """The nearest ``point``, and what proves it: it is the sum of ``multipliers[i] a_i``, all positive, and the rows i
    vanish at it.  Hence ``sum multipliers[i] (a_i . u + t_i) = point . u - |point|^2``."""

    point: Point
    multipliers: dict[int, Fraction]


@dataclass(frozen=True)
class Nowhere:
    """There is no point: ``sum multipliers[i] (a_i . u + t_i)``, none negative, is a negative constant."""

    multipliers: dict[int, Fraction]


def nearest_point(rows: Sequence[Row], dimension: int, limit: Fraction | None = None) -> Point | None:
    """The point of ``{u : row . (u, 1) >= 0 for every row}`` nearest to 0.

    None when the set is empty or, with a ``limit``, when no point of it has ``|u|^2 < limit``.
    """
    found = nearest(rows, dimension, limit)
    return found.point if isinstance(found, Nearest) else None


def nearest(rows: Sequence[Row], dimension: int, limit: Fraction | None = None) -> Nearest | Nowhere | None:
    """The same with its proof; None when the limit is reached."""
    most = None if limit is None else fmpq(limit.numerator, limit.denominator)
    floats = _steepness(rows)
    u = [fmpq(0)] * dimension
    active: list[int] = []
    multipliers: list[fmpq] = []
    while True:
        if most is not None and sum((v * v for v in u), fmpq(0)) >= most:
            return None
        violated = _most_violated(rows, u, floats)
        if violated is None:
            return Nearest(tuple(map(_fraction, u)), {i: _fraction(m) for i, m in
                                                      zip(active, multipliers, strict=True) if m})
        contradiction = _enforce(rows, violated, u, active, multipliers)
        if contradiction is not None:
            return Nowhere({i: _fraction(m) for i, m in contradiction.items() if m})


def _fraction(value: fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _steepness(rows: Sequence[Row]) -> list[int]:
    """A power of two near the largest coefficient of each row: violations are compared in this scale."""
    return [max((abs(v) for v in row[:-1]), default=0).bit_length() for row in rows]


def _value(row: Row, u: Sequence[fmpq]) -> fmpq:
    return sum((a * v for a, v in zip(row, u, strict=False)), fmpq(row[-1]))


def _most_violated(rows: Sequence[Row], u: Sequence[fmpq], scale: Sequence[int]) -> int | None:
    """The number of a violated row, None when there is none; which one matters for speed alone."""
    common = fmpz(1)
    for v in u:
        common = common.lcm(v.q)
    point = [int(v.p * (common // v.q)) for v in u] + [int(common)]
    worst, chosen = 0, None
    for number, row in enumerate(rows):
        value = sum(a * p for a, p in zip(row, point, strict=True))
        if value < 0:
            violation = (-value << 40) >> scale[number]
            if chosen is None or violation > worst:
                worst, chosen = violation, number
    return chosen


def _enforce(rows: Sequence[Row], p: int, u: list[fmpq], active: list[int], multipliers: list[fmpq]
             ) -> dict[int, fmpq] | None:
    """Add the violated row ``p`` to the active set, moving ``u``; multipliers of a contradiction if there is one."""
    normal = [fmpq(v) for v in rows[p][:-1]]
    own = fmpq(0)
    while True:
        r = _projection(rows, active, normal)
        z = list(normal)
        for coefficient, i in zip(r, active, strict=True):
            z = [v - coefficient * a for v, a in zip(z, rows[i], strict=False)]
        ratios = [(m / c, k) for k, (m, c) in enumerate(zip(multipliers, r, strict=True)) if c > 0]
        least = min(ratios, default=None)
        slope = sum((a * b for a, b in zip(z, normal, strict=True)), fmpq(0))
        full = -_value(rows[p], u) / slope if slope else None
        if full is None and least is None:
            return {p: fmpq(1), **{i: -c for i, c in zip(active, r, strict=True)}}
        step = full if full is not None and (least is None or full <= least[0]) else least[0] if least else full
        assert step is not None
        if full is not None:
            u[:] = [v + step * d for v, d in zip(u, z, strict=True)]
        multipliers[:] = [m - step * c for m, c in zip(multipliers, r, strict=True)]
        own += step
        if step == full:
            active.append(p)
            multipliers.append(own)
            return None
        assert least is not None
        del active[least[1]], multipliers[least[1]]


def _projection(rows: Sequence[Row], active: Sequence[int], normal: Sequence[fmpq]) -> list[fmpq]:
    """The coefficients of the projection of ``normal`` on the span of the active normals, which are independent."""
    if not active:
        return []
    vectors = [rows[i][:-1] for i in active]
    gram = fmpq_mat(len(active), len(active), [fmpq(sum(a * b for a, b in zip(v, w, strict=True)))
                                               for v in vectors for w in vectors])
    right = fmpq_mat(len(active), 1, [sum((a * b for a, b in zip(normal, v, strict=True)), fmpq(0)) for v in vectors])
    return list(gram.solve(right).entries())
