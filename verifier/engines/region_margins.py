r"""How far a point is from the boundary of its region: the largest ball around it on which nothing changes.

Requirement
    A network over all of R^n, a point, the 1-, 2- or maximum norm.
Return
    The exact distance (its square for the 2-norm) to the boundary of an activation region and of a linear region that
    contain the point; None when the region is all of space.
Method
    *Activation region.*  The distance to the boundary of a cell is the least distance to the hyperplane of one of its
    rows, ``|g(x)|`` over the dual norm of the gradient: redundant rows are never nearer than those of facets.
    *Linear region.*  From the cell of the point facets are crossed in the order of their distances, until the nearest
    facet left leads to a cell with another affine map.  A facet waits with the distance of its hyperplane; when it
    comes to the front its own distance is computed: by a linear program, or :mod:`verifier.geometry.nearest`.
Property
    Exact.  The facets crossed lead to cells with the same map, so the union of the cells visited is in the region; its
    boundary nearer than the answer has been crossed.  A point on the boundary has distance 0.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from verifier.engines.adjacency import CellRows, facet_point
from verifier.engines.lp_cells import LpCell, interior_point
from verifier.engines.propagate import Cell, UnitFacet
from verifier.geometry.ball import Norm
from verifier.geometry.chart import Row, chart_of, integral
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.nearest import nearest_point
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Point
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import LinearProgram, Optimal
from verifier.solvers.rows import Rows


@dataclass(frozen=True)
class Margins:
    """Distances to the boundaries of the activation and of the linear region; *squared* for the 2-norm; None: there is
    no boundary."""

    activation: Fraction | None
    linear: Fraction | None


@dataclass
class MarginFinder:
    """Margins of points for one network and one norm."""

    network: Network
    norm: Norm
    _maps: ExactMaps = field(init=False)
    _far: ExactMaps = field(init=False)
    _space: Box = field(init=False)

    def __post_init__(self) -> None:
        self._space = Box.whole_space(self.network.inputs)
        chart = chart_of(self._space)
        self._maps, self._far = ExactMaps(self.network.layers, chart), ExactMaps(self.network.layers, chart)
        self._first = np.cumsum([0, *(layer.units for layer in self.network.layers)])

    def margins(self, x: Sequence[Fraction]) -> Margins:
        """The distances from ``x``."""
        start = self._cell_at(x)
        return Margins(self._activation(x, start[1]), self._linear(x, *start))

    def activation(self, x: Sequence[Fraction]) -> Fraction | None:
        """The first of them alone, which is the distance to the nearest boundary of all."""
        return self._activation(x, self._cell_at(x)[1])

    def _activation(self, x: Sequence[Fraction], rows: CellRows) -> Fraction | None:
        return min((self._to_hyperplane(row, x) for row in rows.multiples if any(row[:-1])), default=None)

    def _cell_at(self, x: Sequence[Fraction]) -> tuple[bytes, CellRows]:
        """Some cell that contains the point: where rows vanish, signs are chosen one by one so that an interior is
        left."""
        signs = b""
        rows: tuple[Row, ...] = ()
        for number, layer in enumerate(self.network.layers):
            for unit, phase in enumerate(layer.has_phase):
                row = self._maps.row(number, unit, signs[:int(self._first[number])])
                at = sum((a * v for a, v in zip(row, x, strict=False)), Fraction(row[-1]))
                if not phase:
                    signs += b"\1"
                elif not any(row[:-1]) or at:
                    signs += b"\1" if at > 0 else b"\0"
                    rows = (*rows, row if at > 0 else tuple(-v for v in row)) if any(row[:-1]) else rows
                else:
                    active = interior_point((*rows, row), self._space) is not None
                    signs += b"\1" if active else b"\0"
                    rows = (*rows, row if active else tuple(-v for v in row))
        return signs, CellRows(self._maps, signs)

    def _linear(self, x: Sequence[Fraction], signs: bytes, rows: CellRows) -> Fraction | None:
        key = self._maps.key(signs)
        counter = itertools.count()
        waiting: list[tuple[Fraction, int, bool, Cell, CellRows, int]] = []
        visited = {signs}

        def expect(cell: Cell, own: CellRows) -> None:
            for place, row in enumerate(cell.constraints):
                heapq.heappush(waiting, (self._to_hyperplane(row, x), next(counter), False, cell, own, place))

        expect(self._cell(signs, rows), rows)
        while waiting:
            distance, _, exact, cell, own, place = heapq.heappop(waiting)
            constraints = cell.constraints
            row = constraints[place]
            if not exact:
                if facet_point(cell, place, constraints) is not None:
                    true = self._to_face((*constraints, tuple(-v for v in row)), x)
                    heapq.heappush(waiting, (true, next(counter), True, cell, own, place))
                continue
            beyond = own.across(row, self._far)
            if beyond in visited:
                continue
            if self._far.key(beyond) != key:
                return distance
            visited.add(beyond)
            there = CellRows(self._maps, beyond)
            expect(self._cell(beyond, there), there)
        return None

    def _cell(self, signs: bytes, rows: CellRows) -> Cell:
        """The cell with all its different rows; its interior is found when it is needed."""
        facets = tuple(self._facet(units[0]) for row, units in rows.multiples.items() if any(row[:-1]))
        oriented = tuple(row for row in self._oriented(signs, rows))
        inside = interior_point(oriented, self._space)
        assert inside is not None, "a cell has an interior"
        return Cell(signs, facets, self._maps, {}, LpCell(signs, oriented, (), (inside,)))

    def _oriented(self, signs: bytes, rows: CellRows) -> Iterator[Row]:
        for row, units in rows.multiples.items():
            own = rows.rows[units[0]]
            if any(row[:-1]) and own is not None:
                yield own if signs[units[0]] else tuple(-v for v in own)

    def _facet(self, unit: int) -> UnitFacet:
        layer = int(np.searchsorted(self._first, unit, side="right")) - 1
        return UnitFacet(layer, unit - int(self._first[layer]))

    def _to_hyperplane(self, row: Row, x: Sequence[Fraction]) -> Fraction:
        height = abs(sum((a * v for a, v in zip(row, x, strict=False)), Fraction(row[-1])))
        if self.norm == "2":
            return height * height / sum(a * a for a in row[:-1])
        return height / (max(map(abs, row[:-1])) if self.norm == "1" else sum(map(abs, row[:-1])))

    def _to_face(self, rows: Sequence[Row], x: Sequence[Fraction]) -> Fraction:
        """The distance from ``x`` to the nonempty set ``rows >= 0``."""
        n = len(x)
        moved = [integral([*map(Fraction, row[:-1]),
                           sum((a * v for a, v in zip(row, x, strict=False)), Fraction(row[-1]))]) for row in rows]
        if self.norm == "2":
            foot = nearest_point(moved, n)
            assert foot is not None, "a facet is not empty"
            return sum((v * v for v in foot), Fraction(0))
        return _by_program(moved, n, self.norm == "1")


def _by_program(rows: Sequence[Row], n: int, one: bool) -> Fraction:
    """The least norm of a point of ``rows >= 0``: ``|u_i| <= s_i`` with the sum of the s, or one s, least."""
    slacks = n if one else 1
    entries = [(*(-a for a in row[:-1]), *(0,) * slacks, row[-1]) for row in rows]
    for i in range(n):
        for sign in (1, -1):
            column = [0] * (n + slacks)
            column[i], column[n + (i if one else 0)] = sign, -1
            entries.append((*column, 0))
    objective: Point = (*(Fraction(0),) * n, *(Fraction(1),) * slacks)
    size = n + slacks
    best = solve(LinearProgram(objective, Rows.from_integers(entries, size), Box.whole_space(size),
                               (False,) * len(entries)))
    assert isinstance(best, Optimal), "a norm has a least value on a nonempty set"
    return best.value
