r"""All cells of a network over an input domain, layer by layer, neuron by neuron, exactly.

# Problem requirement A chain of layers with any negative-side slopes; a box, or a polytope ``{x in box: rows}`` with
rational data, flat or not. The representation by vertices needs two bounds for every input; the one by linear programs
does not.

# Return
:class:`Cell` objects, one after another, or their number.

# Method
A cell of the first layers is cut by the units of the next one, whose pre-activations are affine functions on it (Xiang,
Tran and Johnson 2017; star sets, Tran et al. 2019).  Nothing is projected: a set is the input cell and the affine map.
Two representations of a cell answer the only question there is, which signs a function takes in its interior:

* *vertices* with their facet incidence, for few inputs (:mod:`verifier.geometry.traversal`): the work grows with the
  number of vertices, 2^n and more;
* *lp*, rows with linear programs whose answers are proved (:mod:`verifier.engines.lp_walk`), for more inputs: no
  vertices, but a cost that grows slowly with the number of inputs.

Depth-first: memory is that of one path and one batch of results.

# Property Sound and complete: every sign is exact, so the cells returned are all cells, each full-dimensional in the
affine hull of the domain, with interiors that do not meet.  A unit that is zero on a whole cell counts as inactive
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Literal, NamedTuple

import numpy as np

from verifier.engines.executor import MapExecutor
from verifier.engines.lp_cells import LpCell
from verifier.engines.lp_walk import LpWalk, OpenRows
from verifier.geometry.chart import Chart, DomainFacet, Homogeneous, Row, chart_of
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.float_maps import FloatMaps, FloatNetwork
from verifier.geometry.traversal import FloatCells, OpenCell, Space, Statistics, Walk
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import FloatArray, Point

Representation = Literal["auto", "vertices", "lp"]
# By measurement (benchmarks/cells.py).  Where cells are handed out, vertices are worth more than speed: the image of a
# cell by rows takes 10 to 80 times as long.  For counting alone programs overtake them earlier.
MOST_VERTEX_INPUTS = 10
MEASURED_INPUTS = (6, 8)   # where a trial decides how to count: vertices below, programs above
TRIAL_BUDGET = 3_000_000   # some milliseconds
LP_COST = 4.0              # what the work for a split takes by programs, when it takes 1 by vertices
FIRST_BUDGET = 20_000_000  # work before subtrees are handed out, and of each unit: at most half a second
UNIT_BUDGET = 60_000_000
UNITS = 16


class UnitFacet(NamedTuple):
    """The hyperplane where a unit's pre-activation vanishes."""

    layer: int
    unit: int


Facet = DomainFacet | UnitFacet


@dataclass(frozen=True)
class Region:
    """What is partitioned: the first ``layers`` layers of a network over ``{x in box: rows}``."""

    network: Network
    box: Box
    rows: tuple[HalfSpace, ...] = ()
    layers: int | None = None

    def __post_init__(self) -> None:
        if self.box.dimension != self.network.inputs:
            raise ValueError(f"the network has {self.network.inputs} inputs, the box {self.box.dimension} coordinates")
        if self.layers is not None and not 0 <= self.layers <= len(self.network.layers):
            raise ValueError(f"the network has {len(self.network.layers)} layers, received layers={self.layers}")

    @property
    def kept(self) -> tuple[Layer, ...]:
        """The layers that count."""
        return self.network.layers[:self.layers]

    @property
    def splitting(self) -> tuple[Layer, ...]:
        """The kept layers up to the last one with a phase."""
        layers = self.kept
        while layers and not layers[-1].has_phase.any():
            layers = layers[:-1]
        return layers


@dataclass(frozen=True, eq=False)
class Cell:
    """A full-dimensional cell.  What is exact is computed when it is asked for.

    ``signs`` has one byte for each unit of the kept layers: 1 active (or without a phase), 0 inactive.
    ``facets`` are hyperplanes whose half-spaces on the cell's side together are the cell; a few may be redundant.
    """

    signs: bytes
    facets: tuple[Facet, ...]
    _maps: ExactMaps
    _domain: dict[DomainFacet, Row]
    _body: _VertexBody | LpCell

    @property
    def chart(self) -> Chart:
        """Coordinates ``u`` of the domain's affine hull; ``x = chart.point(u)``."""
        return self._maps.chart

    @property
    def pattern(self) -> tuple[tuple[bool, ...], ...]:
        """For every kept layer and unit: active?  Units without a phase say True."""
        result, first = [], 0
        for layer in self._maps.layers:
            result.append(tuple(map(bool, self.signs[first:first + layer.units])))
            first += layer.units
        return tuple(result)

    @property
    def affine_map(self) -> tuple[tuple[Point, ...], Point]:
        """``(weight, constant)``: the kept layers' output is ``weight u + constant`` on the cell, exactly."""
        return self._maps.outputs(self.signs)

    @property
    def constraints(self) -> tuple[Row, ...]:
        """One integer row a facet: the cell is ``row . (u, 1) >= 0`` for all of them."""
        return tuple(self._constraint(facet) for facet in self.facets)

    def _constraint(self, facet: Facet) -> Row:
        if isinstance(facet, DomainFacet):
            return tuple(-v for v in self._domain[facet])
        first = sum(layer.units for layer in self._maps.layers[:facet.layer])
        row = self._maps.row(facet.layer, facet.unit, self.signs)
        return row if self.signs[first + facet.unit] else tuple(-v for v in row)

    @property
    def interior(self) -> Point:
        """An interior input, exactly."""
        return self.chart.point(self.chart_interior)

    @property
    def chart_interior(self) -> Homogeneous:
        """An interior point in chart coordinates, exactly."""
        return self._body.interior(self)

    @property
    def maps(self) -> ExactMaps:
        """The exact affine maps of all cells of the propagation (shared)."""
        return self._maps

    @property
    def has_vertices(self) -> bool:
        """Whether this is the representation by vertices."""
        return not isinstance(self._body, LpCell)

    @property
    def vertices(self) -> tuple[Point, ...]:
        """The vertices as inputs, exactly.  Raises ValueError in the representation by linear programs."""
        return tuple(self.chart.point(u) for u in self.chart_vertices)

    @property
    def _own(self) -> _VertexBody:
        if isinstance(self._body, LpCell):
            raise ValueError("a cell by linear programs has rows and no vertices: convert its constraints")
        return self._body

    def vertex(self, place: int) -> Point:
        """One of the vertices.  Raises ValueError in the representation by linear programs."""
        return self.chart.point(self._own.vertex(self, place))

    @property
    def chart_vertices(self) -> tuple[Homogeneous, ...]:
        """The vertices in chart coordinates, exactly.  Raises ValueError in the representation by linear programs."""
        return self._own.exact(self)

    @property
    def float_vertices(self) -> tuple[FloatArray, FloatArray]:
        """Approximate vertices in chart coordinates, shape (vertices, k), and rigorous error bounds (maximum norm)."""
        return self._own.x.T, self._own.radius

    @property
    def incidence(self) -> tuple[tuple[int, ...], ...]:
        """For every vertex the indices of the ``facets`` it lies on."""
        return self._own.on


@dataclass(frozen=True, eq=False)
class _VertexBody:
    x: FloatArray
    radius: FloatArray
    on: tuple[tuple[int, ...], ...]
    space: Space
    numbers: tuple[int, ...]

    def exact(self, cell: Cell) -> tuple[Homogeneous, ...]:
        return tuple(self.vertex(cell, place) for place in range(len(self.on)))

    def vertex(self, cell: Cell, place: int) -> Homogeneous:
        return self.space.vertex([self.numbers[i] for i in self.on[place]], cell.signs)

    def interior(self, cell: Cell) -> Homogeneous:
        points = [[Fraction(p, v[-1]) for p in v] for v in self.exact(cell)]
        mean = [sum(column, Fraction(0)) / len(points) for column in zip(*points, strict=True)]
        scale = np.lcm.reduce(np.array([v.denominator for v in mean], dtype=object))
        return tuple(int(v * scale) for v in mean)


class Propagation:
    """A region prepared: its chart, its layers, and the representation in which it is walked.

    Raises EmptyDomainError for an empty domain, ValueError when the representation cannot hold the domain.
    """

    def __init__(self, region: Region, representation: Representation = "auto") -> None:
        self.region = region
        self.chart = chart_of(region.box, region.rows)
        bounded = all(self.chart.bounded)
        self.chosen = representation == "auto"
        if representation == "auto":
            representation = "vertices" if bounded and self.chart.dimension <= MOST_VERTEX_INPUTS else "lp"
        if representation not in ("vertices", "lp"):
            raise ValueError(f'a representation is "auto", "vertices" or "lp", received {representation!r}')
        if representation == "vertices" and not bounded:
            raise ValueError("an unbounded domain has no representation by vertices: give every input two bounds")
        self.representation = representation
        self.splitting = region.splitting
        self.maps = ExactMaps(region.kept, self.chart)
        self.trailing = bytes([1]) * sum(layer.units for layer in region.kept[len(self.splitting):])
        self.domain = dict(zip(self.chart.facets, self.chart.rows, strict=True))
        self.statistics = Statistics()
        self._space: Space | None = None
        self._floats: FloatNetwork | None = None

    @property
    def space(self) -> Space:
        """The float and exact forms that the walk by vertices needs."""
        if self._space is None:
            self._space = Space(self.splitting, self.chart)
        return self._space

    def float_maps(self, found: FloatCells) -> FloatMaps:
        """The affine maps of the kept layers on the cells of a batch, in floats with their errors."""
        if self._floats is None:
            self._floats = FloatNetwork(self.region.kept, self.chart, self.maps)
        ones = np.frombuffer(self.trailing, dtype=np.uint8)
        return self._floats.maps(np.concatenate([found.signs, np.tile(ones, (len(found.signs), 1))], axis=1))

    def cells(self, progress: Callable[[int], None] | None = None) -> Iterator[Cell]:
        """All cells, depth-first; ``progress(found)`` is called between batches."""
        if self.representation == "lp":
            programs = LpWalk(self.space, collect=True)
            while not programs.finished:
                found = programs.step()
                self.statistics = programs.statistics
                yield from map(self.lp_cell, found)
                if progress is not None:
                    progress(programs.cells)
            return
        walk = Walk(self.space, collect=True)
        walk.push([self.space.root()])
        while not walk.finished:
            batch = walk.step()
            self.statistics = walk.statistics
            if batch is not None:
                for c in range(len(batch.signs)):
                    yield self.vertex_cell(batch, c)
            if progress is not None:
                progress(walk.cells)

    def count(self, progress: Callable[[int], None] | None = None, executor: MapExecutor | None = None) -> int:
        """The number of cells; with an executor the subtrees are counted through it."""
        walk = self._counting_walk()
        if executor is None:
            while not walk.finished:
                walk.step()
                if progress is not None:
                    progress(walk.cells)
            self.statistics = walk.statistics
            return walk.cells
        while not walk.finished and not (walk.settled and walk.work >= FIRST_BUDGET):
            walk.step(FIRST_BUDGET)
        found = walk.cells
        waiting: list[OpenCell | OpenRows] = [] if walk.finished else [*walk.unload()]
        while waiting:
            units, waiting = waiting[:UNITS], waiting[UNITS:]
            for count, rest in executor.map(partial(count_subtree, self.region), units):
                found += count
                waiting.extend(rest)
            if progress is not None:
                progress(found)
        return found

    def _counting_walk(self) -> Walk | LpWalk:
        """The walk to count with: what was asked for, else the one that a trial finds to be faster.

        A trial runs both for the same work, which is counted and not timed, so the choice is always the same.
        """
        least, most = MEASURED_INPUTS
        by_vertices = self.representation == "vertices" and (not self.chosen or self.chart.dimension <= most)
        trial = self.chosen and by_vertices and self.chart.dimension >= least
        if not by_vertices:
            return LpWalk(self.space, collect=False)
        walk = Walk(self.space, collect=False)
        walk.push([self.space.root()])
        if not trial:
            return walk
        other = LpWalk(self.space, collect=False)
        for either in (walk, other):
            while not either.finished and either.work < TRIAL_BUDGET:
                either.step(TRIAL_BUDGET)
            if either.finished:
                return either
        rates = [w.statistics.splits / w.work for w in (walk, other)]
        return walk if rates[0] * LP_COST > rates[1] else other

    def lp_cell(self, found: LpCell) -> Cell:
        """The cell that a walk by linear programs found."""
        first = np.cumsum([0, *(layer.units for layer in self.splitting)])
        facets: list[Facet] = []
        for label in found.facets:
            if isinstance(label, DomainFacet):
                facets.append(label)
            else:
                layer = int(np.searchsorted(first, label, side="right")) - 1
                facets.append(UnitFacet(layer, label - int(first[layer])))
        return Cell(found.signs + self.trailing, tuple(facets), self.maps, self.domain, found)

    def vertex_cell(self, batch: FloatCells, c: int) -> Cell:
        """Cell number ``c`` of a batch that a walk by vertices found."""
        plan = self.space.plan
        domain = len(self.chart.rows)
        span = slice(int(batch.start[c]), int(batch.start[c + 1]))
        incidence = batch.incidence[span]
        used = np.bitwise_or.reduce(incidence, axis=0).tolist() if len(incidence) else []
        bits = [64 * k + b for k, word in enumerate(used) for b in range(64) if word >> b & 1]
        numbers = tuple(int(batch.table[c, bit]) for bit in bits)
        facets: list[Facet] = []
        for number in numbers:
            if number < domain:
                facets.append(self.chart.facets[number])
            else:
                layer = int(np.searchsorted(plan.first, number, side="right")) - 1
                facets.append(UnitFacet(layer, number - int(plan.first[layer])))
        on = tuple(tuple(i for i, bit in enumerate(bits) if words[bit >> 6] >> (bit & 63) & 1)
                   for words in incidence.tolist())
        body = _VertexBody(batch.x[:, span], batch.radius[span], on, self.space, numbers)
        return Cell(batch.signs[c].tobytes() + self.trailing, tuple(facets), self.maps, self.domain, body)


def count_subtree(region: Region, unit: OpenCell | OpenRows) -> tuple[int, list[OpenCell] | list[OpenRows]]:
    """The work unit: cells counted below an open cell within a budget, and what is left open.  Pure and picklable."""
    walk: Walk | LpWalk
    if isinstance(unit, OpenRows):
        walk = LpWalk(_space(region), collect=False, start=[unit])
    else:
        walk = Walk(_space(region), collect=False)
        walk.push([unit])
    while not walk.finished and not (walk.settled and walk.work >= UNIT_BUDGET):
        walk.step(UNIT_BUDGET)
    return walk.cells, [] if walk.finished else walk.unload()


@lru_cache(maxsize=4)
def _space(region: Region) -> Space:
    return Space(region.splitting, chart_of(region.box, region.rows))


def cells(network: Network, box: Box, rows: Sequence[HalfSpace] = (), *, layers: int | None = None,
          representation: Representation = "auto", progress: Callable[[int], None] | None = None) -> Iterator[Cell]:
    """All cells of the first ``layers`` layers (default: all) over ``{x in box: rows}``, one after another.

    Raises EmptyDomainError for an empty domain, ValueError for dimensions that disagree or an unbounded domain with
    ``representation="vertices"``.
    """
    return Propagation(Region(network, box, tuple(rows), layers), representation).cells(progress)


def count_cells(network: Network, box: Box, rows: Sequence[HalfSpace] = (), *, layers: int | None = None,
                representation: Representation = "auto", progress: Callable[[int], None] | None = None,
                executor: MapExecutor | None = None) -> int:
    """The number of cells (activation regions); the fastest path, in memory for one path of the tree.

    Raises as :func:`cells`.
    """
    return Propagation(Region(network, box, tuple(rows), layers), representation).count(progress, executor)
