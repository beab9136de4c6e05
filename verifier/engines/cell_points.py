r"""Which cells have points of a query, exactly.

Theory.  On a cell the network is affine, so a disjunct is a polyhedron there: the cell's rows, and the half-spaces of
the disjunct pulled back to chart coordinates.  Whether it has a point, strict half-spaces included, is decided by two
exact linear programs (:mod:`verifier.solvers.two_lps`).

*A filter before them.*  On a cell ``normal . (x, N(x)) - offset`` is one affine function, known in floats with its
error (:mod:`verifier.geometry.float_maps`).  It is least at a vertex, and vertices are known with their errors.  A
half-space that is proved to be false at all vertices is false on the cell, and its disjunct has no point there.  What
remains, every tie among it, goes to the linear programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from verifier.engines.cell_units import Batch
from verifier.engines.propagate import Cell, Propagation
from verifier.geometry.homogeneous import Constraints
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised
from verifier.geometry.traversal import FloatCells
from verifier.kernel.branches import Mask
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, Matrix, Point, dot, nearest_float
from verifier.solvers.two_lps import Witness, strict_feasibility

PROGRAM_WORK = 200_000  # of one question to the linear programs


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
        self.propagation = propagation
        self.disjuncts = len(query.disjuncts)
        inputs = query.network.inputs
        basis, origin = propagation.chart.linear()
        columns = list(zip(*basis, strict=True))
        rows = [(d, h) for d, disjunct in enumerate(query.disjuncts) for h in disjunct]
        self.disjunct, self.strict = [d for d, _ in rows], [h.strict for _, h in rows]
        self.weight = _floats([h.normal[inputs:] for _, h in rows], query.network.outputs)
        self.linear = _floats([[dot(h.normal[:inputs], column) for column in columns] for _, h in rows], len(columns))
        self.constant = _floats([[dot(h.normal[:inputs], origin) - h.offset] for _, h in rows], 1)[0]

    @np.errstate(over="ignore", invalid="ignore")
    def possible(self, found: FloatCells) -> Mask:
        """Shape (cells, disjuncts): False only where the disjunct has no point in the cell."""
        possible = np.ones((len(found.signs), self.disjuncts), dtype=bool)
        if not self.disjunct:
            return possible
        maps = self.propagation.float_maps(found).combined(self.weight, self.linear, self.constant)
        value, error = maps.at(found.owner, found.x, found.radius)
        least = np.minimum.reduceat(value - error, found.start[:-1])
        for r, (disjunct, strict) in enumerate(zip(self.disjunct, self.strict, strict=True)):
            possible[:, disjunct] &= ~(least[:, r] >= 0 if strict else least[:, r] > 0)
        return possible


def _floats(rows: Sequence[Sequence[Fraction]], columns: int) -> FloatArray:
    """The transposed rows, rounded to nearest."""
    return np.array([[nearest_float(v) for v in row] for row in rows]).reshape(len(rows), columns).T
