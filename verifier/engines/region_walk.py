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
    Sound and complete.  At any moment the cells not yet returned are at most :meth:`RegionWalk.remaining`, the sum of
    bounds of the subtrees that are open (:mod:`verifier.engines.frontier`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial

from verifier.engines.frontier import Frontier
from verifier.engines.lp_cells import LpCell
from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Cell, Propagation, Region
from verifier.engines.unit_signs import SignFinder, local_bound
from verifier.geometry.ball import Ball, point_in_unit_ball
from verifier.geometry.chart import Chart, Homogeneous, Row, chart_of
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.nearest import nearest_point
from verifier.geometry.traversal import FloatCells, Walk
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Network

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
        self._ball = domain if isinstance(domain, Ball) else None
        self.euclidean = self._ball is not None and self._ball.norm == "2" and domain.dimension > 1
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
        return local_bound(self.network, self.box, self._ball, self.chart).refined

    @cached_property
    def _signs(self) -> SignFinder:
        return SignFinder(self.network, self.box, self._ball)

    def remaining(self) -> int:
        """An upper bound of the number of cells that no batch has had so far; call it between batches."""
        return self._open()

    def batches(self, collect: bool = True) -> Iterator[Batch]:
        """All cells; without ``collect`` they may be counted only."""
        space = self.propagation.space
        walk: Walk | LpWalk
        if self.by_vertices:
            walk = Walk(space, collect)
            walk.push([space.root()])
        else:
            walk = LpWalk(space, collect, ball=self.euclidean)
        frontier = Frontier(walk, lambda: self._signs)
        self._open = frontier.bound
        cells: list[Found] = []
        before = 0
        while not frontier.finished:
            cells += self._collected(frontier.step(BUDGET))
            if walk.settled or frontier.finished:
                yield Batch(walk.cells - before, cells)
                cells, before = [], walk.cells
        self._open = lambda: 0

    def _collected(self, found: FloatCells | list[LpCell] | None) -> Iterator[Found]:
        propagation = self.propagation
        if isinstance(found, FloatCells):
            for c, signs in enumerate(found.signs):
                yield Found(signs.tobytes() + propagation.trailing, partial(propagation.vertex_cell, found, c))
        else:
            for cell in found or ():
                yield Found(cell.signs + propagation.trailing, partial(propagation.lp_cell, cell))

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
        point = cell.chart_interior
        if not self.euclidean or sum(v * v for v in point[:-1]) < point[-1] ** 2:
            return point
        found = point_in_unit_ball(cell.constraints, point)
        assert found is not None, "a cell of a ball meets it"
        return found
