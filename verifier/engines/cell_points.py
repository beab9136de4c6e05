r"""Which cells have points of a query, exactly.

Theory.  On a cell the network is affine, so a disjunct is a polyhedron there: the cell's rows, and the half-spaces of
the disjunct pulled back to chart coordinates.  Whether it has a point, strict half-spaces included, is decided by two
exact linear programs (:mod:`verifier.solvers.two_lps`).

*A filter before them.*  With all phases decided, the backward substitution of :mod:`verifier.kernel.bounds` has no
relaxation gap: it returns numbers ``(g, k)`` and a bound e of all rounding errors with

    normal . (x, N(x)) - offset  >=  g . x + k - e      on the cell.

A linear function is least at a vertex.  With ``x = B u + o`` and a vertex u of which ``|U - u|_inf <= r`` is known, ``g
. x + k`` exceeds ``(g B) U + (g o + k)`` in floats minus ``|g B|_1 r`` minus ``gamma (|g| (|B| 1 + |o|) + |k|)``, since
``|u_j| <= 1``.  A half-space that is false at all vertices by more than that is false on the cell, and its disjunct
has no point there.  What remains, every tie among it, goes to the linear programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from verifier.engines.cell_units import Batch
from verifier.engines.propagate import Cell, Propagation
from verifier.geometry.homogeneous import Constraints
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised
from verifier.geometry.traversal import FloatCells
from verifier.kernel.bounds import FloatBounds, Slopes, default_slopes
from verifier.kernel.branches import Branches, Indices, Mask
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, Point, dot, nearest_float
from verifier.solvers.two_lps import Witness, strict_feasibility

PROGRAM_WORK = 200_000  # of one question to the linear programs
AT_A_TIME = 64          # cells filtered together


@dataclass(frozen=True)
class Found:
    """A cell (by its signs, as in :class:`verifier.engines.propagate.Cell`) on which a disjunct has the point ``x``."""

    signs: bytes
    disjunct: int
    x: Point


@dataclass(frozen=True, eq=False)
class Part:
    """The closure of a disjunct's points on a cell, in input space."""

    signs: bytes
    disjunct: int
    region: Polyhedron


@dataclass(frozen=True)
class PointsOf:
    """The visit that finds a point of the query in every cell and disjunct that has one."""

    query: Query

    def __call__(self, batch: Batch) -> tuple[list[Found], int]:
        """See :class:`verifier.engines.cell_units.Visit`."""
        found = []
        asked, work = _suspects(self.query, batch)
        for cell, disjunct in asked:
            x = point_in(cell, self.query, disjunct)
            if x is not None:
                found.append(Found(cell.signs, disjunct, x))
        return found, work


@dataclass(frozen=True)
class PartsOf:
    """The visit that finds, for every cell and disjunct with a point, the closure of all its points there."""

    query: Query

    def __call__(self, batch: Batch) -> tuple[list[Part], int]:
        """See :class:`verifier.engines.cell_units.Visit`."""
        asked, work = _suspects(self.query, batch)
        found = [Part(cell.signs, disjunct, part_of(cell, self.query, disjunct)) for cell, disjunct in asked
                 if point_in(cell, self.query, disjunct) is not None]
        for part in found:
            # remembered: what is asked of every part is found where parts are dealt to processes
            part.region.bounding_box()
            part.region.dimension  # noqa: B018
        return found, work


def point_in(cell: Cell, query: Query, disjunct: int) -> Point | None:
    """A point of the disjunct in the closed cell, None when there is none.  Exact."""
    chart = cell.chart
    if chart.dimension == 0:
        x = chart.point((1,))
        vector = x + query.network.evaluate(x)
        return x if all(h.contains(vector) for h in query.disjuncts[disjunct]) else None
    own = _rows(cell, query, disjunct)
    rows = own + [[*(Fraction(-v) for v in row[:-1]), Fraction(row[-1])] for row in cell.constraints]
    strict = [h.strict for h in query.disjuncts[disjunct]] + [False] * len(cell.facets)
    answer = strict_feasibility(Matrix.from_rationals(rows, chart.dimension + 1), strict, chart.box)
    if not isinstance(answer, Witness):
        return None
    basis, origin = chart.linear()
    return tuple(dot(row, answer.x) + o for row, o in zip(basis, origin, strict=True))


def part_of(cell: Cell, query: Query, disjunct: int) -> Polyhedron:
    """The points of the cell, in input space, that satisfy the disjunct's half-spaces as weak ones."""
    chart = cell.chart
    basis, origin = chart.linear()
    if chart.dimension == 0:
        return Polyhedron.from_points([origin])
    forms = [(row[-1], *row[:-1]) for row in cell.constraints]
    closed = Polyhedron.from_matrix(Matrix.from_rationals(_rows(cell, query, disjunct), chart.dimension + 1))
    there = Polyhedron(chart.dimension, normalised(Constraints(tuple(forms)))).intersection(closed)
    weight, constant = chart.inverse()
    back = there.preimage(Matrix.from_rationals(weight, len(basis)), Matrix.column(constant))
    hull = chart.equations()
    if not hull:
        return back
    return back.intersection(Polyhedron.from_matrix(Matrix.from_rationals(hull, len(basis) + 1), [True] * len(hull)))


def _rows(cell: Cell, query: Query, disjunct: int) -> list[list[Fraction]]:
    """The half-spaces as rows ``(a, b)`` of ``a . u <= b`` in chart coordinates."""
    basis, origin = cell.chart.linear()
    weight, constant = cell.affine_map
    linear, shift = [*basis, *weight], [*origin, *constant]
    rows = []
    for h in query.disjuncts[disjunct]:
        used = [(c, row, s) for c, row, s in zip(h.normal, linear, shift, strict=True) if c]
        normal = [sum((c * row[j] for c, row, _ in used), Fraction(0)) for j in range(cell.chart.dimension)]
        rows.append([*normal, h.offset - sum((c * s for c, _, s in used), Fraction(0))])
    return rows


def _suspects(query: Query, batch: Batch) -> tuple[list[tuple[Cell, int]], int]:
    """The cells and disjuncts that the filter leaves, and the work that they and the filter make."""
    many = range(len(query.disjuncts))
    if isinstance(batch.found, FloatCells) and batch.propagation.chart.dimension:
        possible = _filter(query, batch.propagation).possible(batch.found)
    else:
        possible = np.ones((len(batch), len(many)), dtype=bool)
    chosen = np.flatnonzero(possible.any(axis=1))
    left = [(cell, d) for c, cell in zip(chosen.tolist(), batch.cells(chosen), strict=True) for d in many
            if possible[c, d]]
    units = sum(layer.units * layer.inputs for layer in query.network.layers)
    rows = sum(map(len, query.disjuncts))
    return left, len(batch) * rows * units // 4 + len(left) * (PROGRAM_WORK + 100 * units)


@lru_cache(maxsize=4)
def _filter(query: Query, propagation: Propagation) -> _Filter:
    return _Filter(query, propagation)


class _Filter:
    """The filter of this module, for cells of a bounded domain."""

    def __init__(self, query: Query, propagation: Propagation) -> None:
        self.bounds = FloatBounds(query)
        self.root = Branches.root(query)
        slopes: list[Slopes] = []
        for layer, negative in enumerate(self.bounds.slope):
            lower, upper = self.root.lower[layer], self.root.upper[layer]
            branch, unit = self.root.undecided(layer)
            for bound, sign in ((lower, 1.0), (upper, -1.0)):
                found = self.bounds.unit_bounds(self.root, layer, branch, unit, np.full(len(unit), sign), slopes)
                bound[branch, unit] = sign * found.lower
            self.bounds.calibrate(self.root)
            slopes.append(Slopes(*default_slopes(lower, upper, negative)))
        basis, origin = propagation.chart.linear()
        self.basis = np.array([[nearest_float(v) for v in row] for row in basis])
        self.origin = np.array([nearest_float(v) for v in origin])
        inputs, k = self.basis.shape
        self.gamma = 4 * (inputs + k + 16) * 2.0**-53

    def possible(self, found: FloatCells) -> Mask:
        """Shape (cells, disjuncts): False only where the disjunct has no point in the cell."""
        parts = [self._some(found, begin, min(begin + AT_A_TIME, len(found.signs)))
                 for begin in range(0, len(found.signs), AT_A_TIME)]
        return np.concatenate(parts)

    def _some(self, found: FloatCells, begin: int, end: int) -> Mask:
        count, disjunct = end - begin, self.bounds.row_disjunct
        possible = np.ones((count, len(self.bounds.query.disjuncts)), dtype=bool)
        rows = len(disjunct)
        if not rows:
            return possible
        branches, slopes = self._branches(found.signs[begin:end])
        branch: Indices = np.repeat(np.arange(count), rows)
        row: Indices = np.tile(np.arange(rows), count)
        bound = self.bounds.row_bounds(branches, row, branch, slopes)
        start = found.start[begin:end + 1]
        span = slice(int(start[0]), int(start[-1]))
        owner = np.repeat(np.arange(count), np.diff(start))
        with np.errstate(invalid="ignore", over="ignore"):
            slope = bound.linear @ self.basis
            shift = bound.constant + bound.linear @ self.origin
            reach = np.abs(bound.linear) @ (np.abs(self.basis).sum(axis=1) + np.abs(self.origin))
            slack = bound.error + self.gamma * (reach + np.abs(bound.constant)) + 2.0**-900
            norm = np.abs(slope).sum(axis=1) * (1 + self.gamma)
            for r in range(rows):
                at = owner * rows + r
                value = (slope[at] * found.x[:, span].T).sum(axis=1) + shift[at] - slack[at]
                least = np.minimum.reduceat(value - norm[at] * found.radius[span], start[:-1] - start[0])
                possible[:, disjunct[r]] &= ~((least >= 0) if self.bounds.row_strict[r] else (least > 0))
        return possible

    def _branches(self, signs: Any) -> tuple[Branches, list[Slopes]]:
        """The cells as branches on which every unit is decided."""
        count, first = len(signs), 0
        lower, upper, slopes = [], [], []
        for layer, phase in enumerate(self.bounds.has_phase):
            width = len(phase)
            # linear layers at the end have no signs in a walk
            own = signs[:, first:first + width] if first < signs.shape[1] else np.ones((count, width))
            active = own.astype(bool) | ~phase
            first += width
            low, high = self.root.lower[layer], self.root.upper[layer]
            lower.append(np.where(active, np.maximum(low, 0.0), low) * phase)
            upper.append(np.where(active, high, np.minimum(high, 0.0)) * phase)
            slopes.append(Slopes(*default_slopes(lower[-1], upper[-1], self.bounds.slope[layer])))
        lo, hi = (np.repeat(a, count, axis=0) for a in (self.root.lo, self.root.hi))
        return Branches(lo, hi, lower, upper, np.ones((count, 1), dtype=bool)), slopes
