r"""The cells of a network over a domain, in batches, with a bound on the number of those that are not yet found.

Requirement
    A network with any negative-side slopes; a polytope, bounded or not, or a ball.
Return
    :class:`Found` cells in batches: each cell of the domain exactly once.
Method
    *Bounded polytopes*, to which balls of the 1- and maximum norm belong: :mod:`verifier.engines.propagate`.
    *Unbounded ones*, the whole space among them: :mod:`verifier.engines.whole_space` for few inputs, linear programs
    for more.
    *Euclidean balls*: the cells of the box around the ball, each kept if its squared distance from the centre is less
    than the squared radius; from nine inputs on, where the ball fills less than a hundredth of the box, linear
    programs in which only parts that meet the ball are followed.
Property
    Sound and complete.  At any moment the cells not yet returned are at most :meth:`RegionWalk.remaining`: the sum,
    over the subtrees that are open, of the bound of :mod:`verifier.engines.region_bounds` on the units that can still
    change their sign; of a cell by vertices these are found anew in the box around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np

from verifier.engines.adjacency import CellRows
from verifier.engines.lp_cells import ExactWalk, LpCell, interior_point
from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Cell, Propagation, Region, UnitFacet
from verifier.engines.region_bounds import LayerUnits, refined_upper
from verifier.engines.unit_signs import BOTH, Signs, counted, local_bound, unit_signs
from verifier.engines.whole_space import bounded_parts, without_last_units
from verifier.geometry.ball import Ball, meets_unit_ball, point_in_unit_ball
from verifier.geometry.chart import Chart, Homogeneous, Row, chart_of, integral
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.nearest import nearest_point
from verifier.geometry.traversal import FloatCells, OpenCell, Walk
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box

MOST_INPUTS = 5         # of a bounded polytope that is enumerated by vertices: beyond, programs are faster
MOST_BALL_INPUTS = 8    # of a Euclidean ball that is enumerated by vertices
MOST_SPACE_INPUTS = 7   # of an unbounded domain that is
BUDGET = 30_000_000     # of one step of a walk by vertices
LP_CELLS = 16           # of one batch of a walk by linear programs


Domain = Polytope | Ball


@dataclass(frozen=True, eq=False)
class Found:
    """A cell: its signs, one byte a unit (1: active, or without a phase), and what makes the rest of it."""

    signs: bytes
    make: Callable[[], Cell]


@dataclass(frozen=True)
class Batch:
    """``count`` new cells; ``cells`` is empty when they are only counted."""

    count: int
    cells: Sequence[Found] = ()


class RegionWalk:
    """One walk over a domain.  Raises EmptyDomainError for an empty one, ValueError for dimensions that disagree."""

    def __init__(self, network: Network, domain: Domain) -> None:
        self.network = network
        self.domain = domain
        ball = domain if isinstance(domain, Ball) and domain.norm == "2" and domain.dimension > 1 else None
        self.euclidean = ball is not None
        self.box, self.rows = domain.box, tuple(domain.rows)
        region = Region(network, self.box, self.rows)
        self.chart: Chart = chart_of(self.box, self.rows)
        self.maps = ExactMaps(network.layers, self.chart)
        bounded = all(self.chart.bounded)
        dimension = self.chart.dimension
        self._open: Callable[[], int] = lambda: self.total_bound
        most = MOST_BALL_INPUTS if ball else MOST_INPUTS if bounded else MOST_SPACE_INPUTS
        self.by_vertices = dimension <= most
        self.parts: tuple[Region, ...] | None = None
        if self.by_vertices and not bounded:
            self.parts = tuple(bounded_parts(network, self.box, self.rows, dimension))
        else:
            self._propagation = Propagation(region, "vertices" if self.by_vertices else "lp")

    @property
    def plain(self) -> Propagation | None:
        """The propagation whose cells are those of the domain, all of them: not for Euclidean balls, nor for unbounded
        domains in parts."""
        return self._propagation if self.parts is None and not self.euclidean else None

    @property
    def dimension(self) -> int:
        """The dimension of the domain."""
        return self.chart.dimension

    @cached_property
    def total_bound(self) -> int:
        """The bound for all cells together."""
        ball = self.domain if isinstance(self.domain, Ball) else None
        return local_bound(self.network, self.box, ball, self.chart).refined

    def remaining(self) -> int:
        """An upper bound of the number of cells that no batch has had so far; call it between batches."""
        return self._open()

    def batches(self, collect: bool = True) -> Iterator[Batch]:
        """All cells; without ``collect`` they may be counted only."""
        if self.parts is not None:
            yield from self._over_parts()
        elif self.by_vertices:
            yield from self._by_vertices(collect or self.euclidean)
        elif self.euclidean or not all(self.chart.bounded):
            yield from self._exactly()
        else:
            yield from self._by_programs(collect)
        self._open = lambda: 0

    def cells(self) -> Iterator[Cell]:
        """All cells, one after another."""
        for batch in self.batches():
            for found in batch.cells:
                yield found.make()

    # --- geometry in the chart ---------------------------------------------------------------------------------------

    def meets(self, rows: Sequence[Row], point: Homogeneous) -> bool:
        """Whether ``{rows >= 0}``, in chart coordinates, has points in the relative interior of the domain's ball;
        ``point`` is one of its points.  For polytopes that is left to the caller's geometry, and true."""
        if not self.euclidean or sum(v * v for v in point[:-1]) < point[-1] ** 2:
            return True
        return nearest_point(rows, self.dimension, Fraction(1)) is not None

    def interior(self, cell: Cell) -> Homogeneous:
        """A point in the interior of the cell and of the domain, in chart coordinates."""
        if not self.euclidean:
            return cell.chart_interior
        found = point_in_unit_ball(cell.constraints, cell.chart_interior)
        assert found is not None, "a cell of a ball meets it"
        return found

    # --- the walks ---------------------------------------------------------------------------------------------------

    def _by_vertices(self, collect: bool) -> Iterator[Batch]:
        propagation = self._propagation
        walk = Walk(propagation.space, collect)
        walk.push([propagation.space.root()])
        signs = unit_signs(self.network, self.box, self.domain if isinstance(self.domain, Ball) else None)
        self._open = lambda: _open_bound(walk, propagation.region, self.dimension, signs)
        before = 0
        while not walk.finished:
            batch = walk.step(BUDGET)
            if collect and batch is not None:
                cells = [Found(batch.signs[c].tobytes() + propagation.trailing,
                               partial(propagation.vertex_cell, batch, c)) for c in self._kept(batch)]
                yield Batch(len(cells), cells)
            elif not collect and walk.settled:
                yield Batch(walk.cells - before)
                before = walk.cells

    def _kept(self, batch: FloatCells) -> list[int]:
        """The numbers of the cells that meet the ball; all of them when there is none."""
        if not self.euclidean:
            return list(range(len(batch.signs)))
        meets = meets_unit_ball(batch.x, batch.radius, batch.start)
        return [c for c, answer in enumerate(meets.tolist())
                if answer > 0 or (answer == 0 and self._touches(self._propagation.vertex_cell(batch, c)))]

    def _touches(self, cell: Cell) -> bool:
        return nearest_point(cell.constraints, self.dimension, Fraction(1)) is not None

    def _by_programs(self, collect: bool) -> Iterator[Batch]:
        propagation = self._propagation
        walk = LpWalk(propagation.space, collect)
        signs = unit_signs(self.network, self.box, self.domain if isinstance(self.domain, Ball) else None)

        def bound() -> int:
            cells = walk.unload()
            walk.push(cells)
            return sum(_subtree_bound(propagation.splitting, self.dimension, cell.signs, signs) for cell in cells)

        self._open = bound
        cells: list[Found] = []
        before = 0
        while not walk.finished:
            cells += [Found(found.signs + propagation.trailing, partial(propagation.lp_cell, found))
                      for found in walk.step(BUDGET)]
            if walk.settled or walk.finished:
                yield Batch(walk.cells - before, cells)
                cells, before = [], walk.cells

    def _exactly(self) -> Iterator[Batch]:
        """Unbounded domains and Euclidean balls in many dimensions, by exact programs."""
        propagation = self._propagation
        box = self.chart.box

        def in_ball(rows: tuple[Row, ...]) -> Homogeneous | None:
            point = interior_point(rows, box)
            return None if point is None else point_in_unit_ball(rows, point)

        walk = ExactWalk(propagation.splitting, self.chart, self.maps, find=in_ball if self.euclidean else None)
        signs = unit_signs(self.network, self.box, self.domain if isinstance(self.domain, Ball) else None)
        self._open = lambda: sum(_subtree_bound(propagation.splitting, self.dimension, cell.signs, signs)
                                 for cell in walk.stack)
        cells: list[Found] = []
        steps = 0
        while walk.stack:
            found = walk.step()
            steps += 1
            if found is not None:
                cells.append(Found(found.signs + propagation.trailing, partial(propagation.lp_cell, found)))
            if len(cells) >= LP_CELLS or steps >= LP_CELLS * 16 or not walk.stack:
                yield Batch(len(cells), cells)
                cells, steps = [], 0

    def _over_parts(self) -> Iterator[Batch]:
        assert self.parts is not None
        seen: set[bytes] = set()
        bounds = [local_bound(part.network, part.box, None, chart_of(part.box, part.rows)).refined
                  for part in self.parts]
        domain = dict(zip(self.chart.facets, self.chart.rows, strict=True))
        for number, part in enumerate(self.parts):
            propagation = Propagation(part, "vertices")
            later = sum(bounds[number + 1:])
            walk = Walk(propagation.space, collect=True)
            walk.push([propagation.space.root()])
            signs = unit_signs(part.network, part.box)
            self._open = partial(lambda w, r, s, rest: _open_bound(w, r, self.dimension, s) + rest,
                                 walk, part, signs, later)
            kept = part.network.layers[:len(part.splitting)]
            trailing = bytes([1]) * sum(layer.units for layer in self.network.layers[len(kept):])
            while not walk.finished:
                batch = walk.step(BUDGET)
                if batch is None:
                    continue
                cells = []
                for c, own in enumerate(without_last_units(batch.signs, kept)):
                    pattern = own.tobytes() + trailing
                    if pattern not in seen:
                        seen.add(pattern)
                        cells.append(Found(pattern, partial(self._space_cell, pattern, propagation, batch, c, domain)))
                yield Batch(len(cells), cells)

    def _space_cell(self, signs: bytes, propagation: Propagation, batch: FloatCells, c: int,
                    domain: dict[Any, Row]) -> Cell:
        """A cell of an unbounded domain, by all its different rows."""
        *x, t = propagation.vertex_cell(batch, c).interior
        point = self.chart.coordinates([v / t for v in x])
        rows = CellRows(self.maps, signs)
        first = np.cumsum([0, *(layer.units for layer in self.network.layers)])
        units = [units[0] for row, units in rows.multiples.items() if any(row[:-1])]
        facets = [UnitFacet(k, u - int(first[k])) for u in units
                  for k in [int(np.searchsorted(first, u, side="right")) - 1]]
        body = LpCell(signs, (), (), (integral([*point, Fraction(1)]),))
        return Cell(signs, (*self.chart.facets, *facets), self.maps, domain, body)


def _open_bound(walk: Walk, region: Region, dimension: int, signs: Sequence[Signs]) -> int:
    """The bound for all open subtrees of a settled walk by vertices."""
    cells = walk.unload()
    walk.push(cells)
    total = 0
    for cell in cells:
        local = unit_signs(region.network, _box_around(cell, walk.space.chart))
        narrowed = [tuple(a if b == BOTH else b for a, b in zip(here, whole, strict=True))
                    for here, whole in zip(local, signs, strict=True)]
        total += _subtree_bound(region.splitting, dimension, cell.signs.tobytes(), narrowed)
    return total


def _box_around(cell: OpenCell, chart: Chart) -> Box:
    """A box of inputs that contains the cell, whose vertices are off by at most their radius."""
    lower = np.nan_to_num(np.nextafter(cell.x - cell.radius, -np.inf), nan=-1.0).min(axis=1)
    upper = np.nan_to_num(np.nextafter(cell.x + cell.radius, np.inf), nan=1.0).max(axis=1)
    ends = [(Fraction(max(lo, -1.0)), Fraction(min(hi, 1.0))) for lo, hi in zip(lower.tolist(), upper.tolist(),
                                                                               strict=True)]
    basis, origin = chart.linear()
    sides = [[sorted((a * lo, a * hi)) for a, (lo, hi) in zip(row, ends, strict=True)] for row in basis]
    return Box(tuple(o + sum((s[0] for s in side), Fraction(0)) for o, side in zip(origin, sides, strict=True)),
               tuple(o + sum((s[1] for s in side), Fraction(0)) for o, side in zip(origin, sides, strict=True)))


def _subtree_bound(layers: Sequence[Layer], rank: int, known: bytes, signs: Sequence[Signs]) -> int:
    """The bound for the cells below one whose first units have the ``known`` signs (another byte: open); ``signs`` are
    proved for the whole domain."""
    units: list[LayerUnits] = []
    first = 0
    for layer, whole in zip(layers, signs, strict=False):
        own = known[first:first + layer.units]
        first += layer.units
        found = [sign if sign in (0, 1) else BOTH for sign in own] + list(whole[len(own):])
        units.append(counted(layer, [a if b == BOTH else b for a, b in zip(found, whole, strict=True)]))
    return refined_upper(rank, units)
