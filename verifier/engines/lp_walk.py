"""A walk over the cells by rows: the compiled loop, and the exact answers it asks for.

:mod:`verifier.geometry.programs_compiled` decides with floats whose errors are bounded.  Where it stops and asks, the
cell is put in exact form and :mod:`verifier.engines.lp_cells` finds its parts.  The loop goes on with every part for
which a float point is proved to be inside; a part too thin for that is walked exactly here.  So a tie costs one exact
linear program, and no cell is lost or counted twice.

Unbounded domains are walked exactly: only a box absorbs what rounded multipliers leave over.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from verifier.engines.lp_cells import LpCell, chart_box, parts, root, walk_exactly
from verifier.geometry import programs_compiled as compiled
from verifier.geometry.chart import Homogeneous, integral
from verifier.geometry.filtered_network import Indices
from verifier.geometry.traversal import Space, Statistics
from verifier.kernel.rational import FloatArray

BUDGET = 30_000_000  # of one compiled call: some hundredths of a second
OUTPUT_CELLS = 256
EXACT_WORK = 1_000_000  # what an exact answer counts as


class LpWalk:
    """A walk over all cells of a space; run it to the end or in slices."""

    def __init__(self, space: Space, collect: bool) -> None:
        self.space = space
        self.collect = collect
        self.cells = 0
        self.finished = False
        self.statistics = Statistics()
        chart, layers = space.chart, space.layers
        self._box = chart_box(chart)
        self._units = [(k, i) for k, layer in enumerate(layers) for i in range(layer.units)]
        start = root(chart)
        self._exact: Iterator[LpCell] | None = None  # cells below a part that is walked exactly
        if not (chart.dimension and layers and all(chart.bounded)):
            self._exact = walk_exactly(layers, chart, space.maps, [start])
            self._work = None
            return
        self._work = self._make_work()
        self._output = compiled.Output(*(np.zeros(shape, dtype=kind) for shape, kind in (
            ((OUTPUT_CELLS * collect, len(self._units)), np.uint8),
            ((OUTPUT_CELLS * collect, len(self._work.facet)), np.int64),
            ((OUTPUT_CELLS * collect, chart.dimension), np.float64))))
        compiled.begin(self._work, len(chart.rows))
        inside = self._inside(start.points[0])
        if inside is None:
            self._exact = walk_exactly(layers, chart, space.maps, [start])
            self._work = None
        else:
            self._work.inside[:] = inside

    def step(self, budget: int = BUDGET) -> list[LpCell]:
        """Go on for one compiled call, or one exact cell; the finished cells when they are collected."""
        if self._exact is not None:
            cell = next(self._exact, None)
            if cell is not None:
                self.cells += 1
                return [cell] if self.collect else []
            self._exact = None
            self.finished = self._work is None
            return []
        work = self._work
        assert work is not None
        before = int(work.counters[compiled.CELLS])
        stop = compiled.run(self.space.plan, work, self._output, self.collect, budget)
        self.cells += int(work.counters[compiled.CELLS]) - before
        self.statistics.splits = int(work.counters[compiled.SPLITS])
        if stop == compiled.STOP_ASK:
            self._answer(work)
        self.finished = stop == compiled.FINISHED
        return self._taken(work)

    # --- exact answers -----------------------------------------------------------------------------------------------

    def _answer(self, work: compiled.Work) -> None:
        """Find the parts that the loop's row makes of its current cell."""
        counters = work.counters
        number = int(counters[compiled.UNIT]) - int(self.space.plan.first[0])
        cell = self._cell(work, number)
        layer, unit = self._units[number]
        row = self.space.maps.row(layer, unit, cell.signs)
        self.statistics.exact_signs += 1
        counters[compiled.WORK] += EXACT_WORK
        found = parts(cell, row, number, self._box)
        if len(found) == 1:
            counters[compiled.ANSWER] = compiled.POSITIVE if found[0].signs[-1] else compiled.NEGATIVE
            return
        thin, kept = [], []
        for part in found:
            sign = part.signs[-1]
            found_inside = (self._inside(point, sign) for point in part.points)
            inside = next((x for x in found_inside if x is not None), None)
            if inside is None:
                thin.append(part)
            else:
                work.given[sign] = inside
                kept.append(sign)
        counters[compiled.ANSWER] = (compiled.NEGATIVE_FIRST if len(kept) == 2 else compiled.DROP if not kept
                                     else compiled.ONLY_POSITIVE if kept[0] else compiled.ONLY_NEGATIVE)
        if thin:
            self._exact = walk_exactly(self.space.layers, self.space.chart, self.space.maps, thin)

    def _cell(self, work: compiled.Work, number: int) -> LpCell:
        """The current cell, exactly, with the signs of ``number`` units."""
        offset = int(self.space.plan.first[0])
        signs = work.sign[offset:offset + number].tobytes()
        count = int(work.counters[compiled.FACETS])
        domain = self.space.chart
        rows = [tuple(-v for v in row) for row in domain.rows]
        labels = work.facet[len(rows):count] - offset
        for label in labels.tolist():
            layer, unit = self._units[label]
            row = self.space.maps.row(layer, unit, signs)
            rows.append(row if signs[label] else tuple(-v for v in row))
        return LpCell(signs, tuple(rows), (*domain.facets, *labels.tolist()), (_exactly(work.inside),))

    def _inside(self, point: Homogeneous, row_sign: int | None = None) -> FloatArray | None:
        """The nearest float point, if the filter proves that it is inside the current cell (and, with ``row_sign``,
        that the current row has that sign there)."""
        work = self._work
        assert work is not None
        x = np.array([v / point[-1] for v in point[:-1]])
        count, f = int(work.counters[compiled.FACETS]), int(work.counters[compiled.UNIT])
        values = x @ work.table[:-1, :count] + work.table[-1, :count]
        proved = bool((np.abs(x) < 1).all()) and bool((values > work.margin[:count]).all())
        if row_sign is not None:
            value = float(x @ work.rows[:-1, f] + work.rows[-1, f])
            proved = proved and (value if row_sign else -value) > work.slack[f]
        return x if proved else None

    # --- arrays ------------------------------------------------------------------------------------------------------

    def _taken(self, work: compiled.Work) -> list[LpCell]:
        count = int(work.counters[compiled.WRITTEN])
        work.counters[compiled.WRITTEN] = 0
        domain, offset = len(self.space.chart.rows), int(self.space.plan.first[0])
        out = self._output
        return [LpCell(out.sign[c].tobytes(), (),
                       (*self.space.chart.facets, *(f - offset for f in out.facet[c, domain:].tolist() if f >= 0)),
                       (_exactly(out.inside[c]),)) for c in range(count)]

    def _make_work(self) -> compiled.Work:
        plan, n = self.space.plan, self.space.chart.dimension
        total = int(plan.first[-1])

        def integers(size: int) -> Indices:
            return np.zeros(size, dtype=np.int64)

        counters = integers(compiled.COUNTERS)
        counters[compiled.UNIT] = plan.first[0]
        counters[compiled.ANSWER] = compiled.UNDECIDED
        return compiled.Work(
            plan.rows.copy(), plan.error.copy(), plan.size.copy(), plan.norm.copy(), plan.slack.copy(),
            np.zeros(total, dtype=np.uint8), integers(total), np.zeros(total), np.zeros((n + 1, total)),
            np.zeros(total), np.zeros(total), np.zeros(total), np.zeros(total), np.zeros(total),
            np.zeros(n), np.zeros((n, n)), integers(n), np.zeros(n), np.zeros(n), np.zeros(n + 1), np.zeros(n),
            integers(total), integers(total), np.zeros((total, n)), np.zeros((2, n)), counters)


def _exactly(x: FloatArray) -> Homogeneous:
    """The float point as the exact point it is."""
    return integral([*map(Fraction, x.tolist()), Fraction(1)])
