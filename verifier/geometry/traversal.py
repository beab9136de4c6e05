"""A depth-first walk over the cells by vertices: the compiled loop, the exact answers it asks for, and work units.

The compiled loop decides signs in floating point where a rigorous bound allows.  Where it does not, it stops and asks.
The answer is exact: the vertex is the intersection of the hyperplanes it lies on, whose rows are integers
(:class:`ExactMaps`), and the sign is that of an integer.  What was computed is kept by the vertex's serial number, and
the vertex gets the nearest float and its half ulp as radius, so that later questions about it are answered by the
filter.

An :class:`OpenCell` is a cell on its way, with all that its subtree depends on besides the network and the domain: any
process can walk it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpz_mat

from verifier.geometry import cells_compiled as compiled
from verifier.geometry.chart import Chart, Homogeneous, Row, primitive
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.filtered_network import Bytes, Indices, Plan, make_plan
from verifier.geometry.just_in_time import Forms
from verifier.geometry.vertex_cell import domain_cell
from verifier.kernel.network import Layer
from verifier.kernel.rational import FloatArray

VERTICES = 4096      # rooms to begin with; they double when they are too small
OUTPUT_CELLS = 256
BUDGET = 30_000_000  # of one compiled call: some hundredths of a second
REMEMBERED = 20_000  # exact vertices
EXACT_WORK = 10_000  # what an exact sign counts as
FORMS = Forms(compiled, patience=2_000_000)


@dataclass(frozen=True, eq=False)
class OpenCell:
    """A waiting cell: ``position`` of the ``open_units`` of ``layer`` have been dealt with; ``signs`` are those of all
    units up to that layer (units still open: 3)."""

    layer: int
    position: int
    signs: Bytes
    open_units: Indices
    x: FloatArray
    radius: FloatArray
    incidence: compiled.Words
    table: Indices


@dataclass(frozen=True, eq=False)
class FloatCells:
    """Finished cells: signs (cells, units), and their vertices ``start[c]`` to ``start[c + 1]`` in chart
    coordinates."""

    signs: Bytes
    table: Indices
    start: Indices
    x: FloatArray
    radius: FloatArray
    incidence: compiled.Words

    @property
    def owner(self) -> Indices:
        """The cell of each vertex."""
        return np.repeat(np.arange(len(self.signs)), np.diff(self.start))


@dataclass
class Statistics:
    """What a walk did: splits, vertices refined in floats, signs decided exactly."""

    splits: int = 0
    refined: int = 0
    exact_signs: int = 0


@dataclass
class Space:
    """The layers over a domain's chart, exact and in floats; the same for all walks."""

    layers: tuple[Layer, ...]
    chart: Chart
    maps: ExactMaps = field(init=False)
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.maps = ExactMaps(self.layers, self.chart)
        self.plan = make_plan(self.layers, self.chart, self.maps)

    def row(self, facet: int, signs: bytes) -> Row:
        """A positive multiple of the row behind a facet number: a domain row, or a unit's pre-activation."""
        if facet < len(self.chart.rows):
            return self.chart.rows[facet]
        layer = int(np.searchsorted(self.plan.first, facet, side="right")) - 1
        return self.maps.row(layer, facet - int(self.plan.first[layer]), signs)

    def vertex(self, facets: Sequence[int], signs: bytes) -> Homogeneous:
        """The point in which the hyperplanes meet."""
        rows = [self.row(f, signs) for f in facets]
        return intersection(rows, self.chart.dimension)

    def root(self) -> OpenCell:
        """The whole domain.  Raises ValueError when it is unbounded."""
        cell = domain_cell(self.chart)
        n, count = self.chart.dimension, len(cell.vertices)
        x = np.array([[v[j] / v[-1] for v in cell.vertices] for j in range(n)]).reshape(n, count)
        exact = all(v[-1] == 1 for v in cell.vertices)
        words = max(1, -(-(len(self.chart.rows) + n + 1) // 64))
        incidence = np.array([[mask >> 64 * k & (1 << 64) - 1 for k in range(words)] for mask in cell.incidence],
                             dtype=np.uint64).reshape(count, words)
        table = np.full(64 * words, -1, dtype=np.int64)
        table[:len(self.chart.rows)] = np.arange(len(self.chart.rows))
        return OpenCell(0, 0, np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64), x,
                        np.full(count, 0.0 if exact else 2.0**-53), incidence, table)


def intersection(rows: Sequence[Row], dimension: int) -> Homogeneous:
    """The one point where all affine functions vanish.  Raises ArithmeticError when there is not exactly one."""
    if dimension == 0:
        return (1,)
    matrix = fmpz_mat(len(rows), dimension + 1, [v for row in rows for v in row])
    null, nullity = matrix.nullspace()
    point = [int(null[i, 0]) for i in range(dimension + 1)] if nullity == 1 else [0]
    if point[-1] == 0:
        raise ArithmeticError("the hyperplanes of a vertex do not meet in one point")
    return primitive(point if point[-1] > 0 else [-v for v in point])


class Walk:
    """A walk over the subtrees of the open cells given; run it to the end or in slices."""

    def __init__(self, space: Space, collect: bool) -> None:
        self.space = space
        self.collect = collect
        self.statistics = Statistics()
        self.settled = True
        self._exact: dict[int, Homogeneous] = {}
        self._waiting: list[OpenCell] = []
        self._work = self._make_work(VERTICES, 1)
        self._output = self._make_output(OUTPUT_CELLS, VERTICES)

    # --- the loop ----------------------------------------------------------------------------------------------------

    def push(self, cells: Sequence[OpenCell]) -> None:
        """Add subtrees; the last is walked first."""
        self._waiting.extend(cells)

    @property
    def finished(self) -> bool:
        """Whether nothing is open."""
        return not self._waiting and self._work.counters[compiled.TOP] < 0

    @property
    def work(self) -> int:
        """Multiplications so far, roughly, with some thousands for an exact sign."""
        return int(self._work.counters[compiled.WORK])

    @property
    def cells(self) -> int:
        """Finished cells so far."""
        return int(self._work.counters[compiled.CELLS])

    def step(self, budget: int = BUDGET) -> FloatCells | None:
        """Go on for one compiled call; the finished cells when they are collected and there are some."""
        counters = self._work.counters
        if counters[compiled.TOP] < 0:
            if not self._waiting:
                return None
            self._load(self._waiting.pop())
            counters = self._work.counters
        if not self.space.layers:
            return self._domain()
        stop = FORMS.run(compiled.run, counters[compiled.WORK:compiled.WORK + 1], compiled.STOP_WORK,
                         int(counters[compiled.WORK]) + budget,
                         self.space.plan, self._work, self._output, self.collect)
        self.settled = stop in (compiled.FINISHED, compiled.STOP_WORK, compiled.STOP_OUTPUT)
        if stop == compiled.STOP_ASK:
            self._answer()
        elif stop == compiled.STOP_VERTICES:
            self._grow(2 * self._work.radius.shape[0], self._work.incidence.shape[1])
        elif stop == compiled.STOP_WORDS:
            self._grow(self._work.radius.shape[0], 2 * self._work.incidence.shape[1])
        elif stop == compiled.STOP_OUTPUT and counters[compiled.WRITTEN] == 0:
            self._output = self._make_output(OUTPUT_CELLS, 2 * self._output.radius.shape[0])
        self.statistics.splits = int(counters[compiled.SPLITS])
        self.statistics.refined = int(counters[compiled.REFINED])
        if stop in (compiled.STOP_OUTPUT, compiled.FINISHED, compiled.STOP_WORK):
            return self._taken()
        return None

    def _domain(self) -> FloatCells | None:
        """Without layers the domain is the one cell."""
        counters, work = self._work.counters, self._work
        counters[compiled.CELLS] += 1
        counters[compiled.TOP] = -1
        if not self.collect:
            return None
        count = int(work.stop[0])
        return FloatCells(np.zeros((1, 0), dtype=np.uint8), work.table[:1].copy(), np.array([0, count]),
                          work.x[:, :count].copy(), work.radius[:count].copy(), work.incidence[:count].copy())

    def _taken(self) -> FloatCells | None:
        counters, out = self._work.counters, self._output
        count = int(counters[compiled.WRITTEN])
        if not count:
            return None
        counters[compiled.WRITTEN] = 0
        last = int(out.start[count])
        return FloatCells(out.sign[:count].copy(), out.table[:count].copy(), out.start[:count + 1].copy(),
                          out.x[:, :last].copy(), out.radius[:last].copy(), out.incidence[:last].copy())

    # --- exact signs -------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Decide the signs that the loop asked for."""
        work, counters = self._work, self._work.counters
        top, f = int(counters[compiled.TOP]), int(counters[compiled.ASKED_ROW])
        begin, end = int(work.start[top]), int(work.stop[top])
        signs = work.sign[self.space.plan.first[0]:].tobytes()
        row = self.space.row(f, signs)
        work.known[:end - begin] = compiled.UNKNOWN
        for v in work.ask[:counters[compiled.ASKED]].tolist():
            point = self._vertex(v, top, signs) if any(row) else None
            value = sum(a * p for a, p in zip(row, point, strict=True)) if point is not None else 0
            work.known[v - begin] = (value > 0) - (value < 0)
            self.statistics.exact_signs += 1
            counters[compiled.WORK] += EXACT_WORK
        counters[compiled.KNOWN_ROW] = f

    def _vertex(self, v: int, top: int, signs: bytes) -> Homogeneous:
        work = self._work
        serial = int(work.uid[v])
        point = self._exact.get(serial)
        if point is None:
            bits = [k * 64 + b for k, word in enumerate(work.incidence[v].tolist()) for b in range(64) if word >> b & 1]
            point = self.space.vertex(work.table[top, bits].tolist(), signs)
            if len(self._exact) >= REMEMBERED:
                self._exact.clear()
            self._exact[serial] = point
        work.x[:, v] = [p / point[-1] for p in point[:-1]]
        work.radius[v] = 2.0**-53
        return point

    # --- arrays ------------------------------------------------------------------------------------------------------

    def _make_work(self, room: int, words: int) -> compiled.Work:
        plan, n = self.space.plan, self.space.chart.dimension
        total, layers = int(plan.first[-1]), len(self.space.layers)
        widest = max((layer.units for layer in self.space.layers), default=0)
        depth = total + 2

        def integers(*shape: int) -> Indices:
            return np.zeros(shape, dtype=np.int64)

        counters = integers(compiled.COUNTERS)
        counters[compiled.TOP] = counters[compiled.KNOWN_ROW] = -1
        return compiled.Work(
            plan.rows.copy(), plan.error.copy(), plan.size.copy(), plan.norm.copy(), plan.slack.copy(),
            np.zeros((total // compiled.STRIDE + layers + 1, n + 2, widest)), integers(layers),
            np.zeros(total, dtype=np.uint8), integers(total),
            integers(layers), integers(depth), integers(depth), integers(depth), integers(depth), integers(depth),
            integers(depth, 64 * words), np.zeros((depth, widest), dtype=np.uint8),
            np.zeros((n, room)), np.zeros(room), np.zeros((room, words), dtype=np.uint64), integers(room),
            np.zeros(room), integers(room), np.zeros(room, dtype=np.int8), np.zeros(room, dtype=np.int8),
            integers(room), np.zeros(room, dtype=np.uint64), counters, np.zeros((2, n)), np.zeros((n, n)),
            np.zeros((64 * words, 2 * n + 1)), integers(64 * words))

    def _make_output(self, cells: int, room: int) -> compiled.Output:
        work = self._work
        if not self.collect:
            cells = room = 0
        return compiled.Output(
            np.zeros((cells, work.sign.shape[0] - int(self.space.plan.first[0])), dtype=np.uint8),
            np.zeros((cells, work.table.shape[1]), dtype=np.int64), np.zeros(cells + 1, dtype=np.int64),
            np.zeros((work.x.shape[0], room)), np.zeros(room),
            np.zeros((room, work.incidence.shape[1]), dtype=np.uint64))

    def _grow(self, room: int, words: int) -> None:
        """Larger arrays with the same content."""
        old, out = self._work, self._output
        self._work = self._make_work(room, words)
        _copy(old, self._work)
        if words != old.incidence.shape[1]:
            self._output = self._make_output(len(out.sign), len(out.radius))
            _copy(out, self._output)

    def _load(self, cell: OpenCell) -> None:
        """Make an open cell the only one on the stack."""
        words, count = cell.incidence.shape[1], len(cell.radius)
        room = self._work.radius.shape[0]
        while room < 4 * count:
            room *= 2
        if words > self._work.incidence.shape[1] or room > self._work.radius.shape[0]:
            self._grow(room, max(words, self._work.incidence.shape[1]))
        work, plan = self._work, self.space.plan
        work.counters[compiled.TOP] = 0
        work.counters[compiled.KNOWN_ROW] = -1
        work.counters[compiled.ROUNDS] = 0
        work.start[0], work.stop[0] = 0, count
        work.layer[0], work.position[0] = cell.layer, cell.position
        work.x[:, :count], work.radius[:count] = cell.x, cell.radius
        work.incidence[:count] = 0
        work.incidence[:count, :words] = cell.incidence
        work.table[0] = -1
        work.table[0, :len(cell.table)] = cell.table
        serial = int(work.counters[compiled.UID])
        work.uid[:count] = np.arange(serial, serial + count)
        work.counters[compiled.UID] = serial + count
        begun = len(cell.signs) > 0
        work.scan[0] = compiled.SCANNED if begun else 0
        if not begun:
            return
        offset = int(plan.first[0])
        work.sign[offset:offset + len(cell.signs)] = cell.signs
        for layer in range(cell.layer + 1):
            units = cell.open_units if layer == cell.layer else cell.open_units[:0]
            work.open_count[layer] = len(units)
            work.open_units[plan.first[layer]:plan.first[layer] + len(units)] = units
        FORMS.call(compiled.restore, plan, work, cell.layer)

    def unload(self) -> list[OpenCell]:
        """Everything that is open, as subtrees for other walks (the last is next here); this walk is then finished.

        Exact answers that the loop has not used yet are lost: a walk that is to get anywhere is ``settled`` first.
        """
        work, plan = self._work, self.space.plan
        found = list(self._waiting)
        self._waiting.clear()
        top = int(work.counters[compiled.TOP])
        offset = int(plan.first[0])
        for d in range(top + 1):
            layer = int(work.layer[d])
            first, last = int(plan.first[layer]), int(plan.first[layer + 1])
            begin, end = int(work.start[d]), int(work.stop[d])
            current = d == top
            if current and work.scan[d] != compiled.SCANNED:
                # the current cell has only begun to look at this layer: hand it over at the layer before
                signs = work.sign[offset:first].copy()
                position, units = 0, np.zeros(0, dtype=np.int64)
                layer -= 1
            else:
                own = work.sign[first:last] if current else work.saved[d, :last - first]
                signs = np.concatenate([work.sign[offset:first], own])
                position = int(work.position[d])
                units = work.open_units[first:first + work.open_count[layer]].copy()
            if layer < 0:
                signs, layer = np.zeros(0, dtype=np.uint8), 0
            found.append(OpenCell(layer, position, signs, units, work.x[:, begin:end].copy(),
                                  work.radius[begin:end].copy(), work.incidence[begin:end].copy(),
                                  work.table[d].copy()))
        work.counters[compiled.TOP] = -1
        return found


def _copy(source: Iterable[npt.NDArray[Any]], target: Iterable[npt.NDArray[Any]]) -> None:
    """Copy arrays into the beginnings of arrays that are at least as large."""
    for a, b in zip(source, target, strict=True):
        b[tuple(slice(k) for k in a.shape)] = a
