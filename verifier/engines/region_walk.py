r"""The cells of a network over a domain, in batches, with a bound on the number of those that are not yet found.

Requirement
    A network with any negative-side slopes; a polytope, bounded or not, or a ball.
Return
    :class:`Found` cells in batches: each cell of the domain exactly once.
Method
    *Bounded polytopes* of few inputs, to which balls of the 1- and maximum norm belong: by vertices
    (:mod:`verifier.geometry.traversal`).  *All else*, more inputs, unbounded polyhedra with the whole space among them,
    and Euclidean balls: by programs (:mod:`verifier.engines.lp_walk`); in a ball only parts that meet it are followed.
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

import numpy as np

from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Cell, Propagation, Region
from verifier.engines.region_bounds import LayerUnits, refined_upper
from verifier.engines.unit_signs import BOTH, Signs, counted, local_bound, unit_signs
from verifier.geometry.ball import Ball, point_in_unit_ball
from verifier.geometry.chart import Chart, Homogeneous, Row, chart_of
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.nearest import nearest_point
from verifier.geometry.traversal import OpenCell, Walk
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box

MOST_INPUTS = 5      # of a bounded polytope that is enumerated by vertices: beyond, programs are faster
BUDGET = 30_000_000  # of one step


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
        self.chart: Chart = chart_of(self.box, self.rows)
        self.maps = ExactMaps(network.layers, self.chart)
        self.by_vertices = not self.euclidean and all(self.chart.bounded) and self.chart.dimension <= MOST_INPUTS
        self.propagation = Propagation(Region(network, self.box, self.rows), "vertices" if self.by_vertices else "lp")
        self._open: Callable[[], int] = lambda: self.total_bound

    @property
    def plain(self) -> Propagation | None:
        """The propagation whose cells are those of the domain, all of them: not for Euclidean balls."""
        return None if self.euclidean else self.propagation

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
        yield from self._by_vertices(collect) if self.by_vertices else self._by_programs(collect)
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
        propagation = self.propagation
        walk = Walk(propagation.space, collect)
        walk.push([propagation.space.root()])
        signs = self._signs()
        self._open = lambda: _open_bound(walk, propagation.region, self.dimension, signs)
        before = 0
        while not walk.finished:
            batch = walk.step(BUDGET)
            if collect and batch is not None:
                cells = [Found(batch.signs[c].tobytes() + propagation.trailing,
                               partial(propagation.vertex_cell, batch, c)) for c in range(len(batch.signs))]
                yield Batch(len(cells), cells)
            elif not collect and walk.settled:
                yield Batch(walk.cells - before)
                before = walk.cells

    def _by_programs(self, collect: bool) -> Iterator[Batch]:
        propagation = self.propagation
        walk = LpWalk(propagation.space, collect, ball=self.euclidean)
        signs = self._signs()

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

    def _signs(self) -> tuple[Signs, ...]:
        return unit_signs(self.network, self.box, self.domain if isinstance(self.domain, Ball) else None)


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
