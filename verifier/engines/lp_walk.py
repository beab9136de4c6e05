"""A walk over the cells by rows: the compiled loop, and the exact answers it asks for.

The domain is the polyhedron of a chart, bounded or not, or the unit ball of one.

:mod:`verifier.geometry.programs_compiled` decides with floats whose errors are bounded.  Where it stops and asks, the
basis of the vertex at which it stopped is solved exactly: in a tie it usually proves the sign.  Otherwise the cell is
put in exact form and :mod:`verifier.engines.lp_cells` finds its parts.  The loop goes on with every part for which a
float point is proved to be inside; a part too thin for that is walked exactly here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from verifier.engines.lp_cells import ExactWalk, LpCell, interior_point, is_combination, parts, root
from verifier.geometry import programs_compiled as compiled
from verifier.geometry.ball import point_in_unit_ball
from verifier.geometry.chart import Homogeneous, Row, integral
from verifier.geometry.filtered_network import HUGE, Indices
from verifier.geometry.just_in_time import Forms
from verifier.geometry.traversal import Space, Statistics
from verifier.kernel.domain import value
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import FloatArray, nearest_float

BUDGET = 30_000_000  # of one compiled call: some hundredths of a second
OUTPUT_CELLS = 256
NO_LIMIT = 2**62
EXACT_WORK = 1_000_000  # what an exact program counts as
BASIS_WORK = 100_000    # and the exact solution for one basis
FORMS = Forms(compiled, patience=1_000_000)


@dataclass(frozen=True, eq=False)
class OpenRows:
    """A waiting cell: the signs of the first units, those of them that bound it besides the domain, and a float point
    that is proved to be inside."""

    signs: bytes
    facets: tuple[int, ...]
    inside: FloatArray


class LpWalk:
    """A walk over the subtrees of the open cells given, or of the whole domain; run it to the end or in slices."""

    def __init__(self, space: Space, collect: bool, start: Sequence[OpenRows] | None = None, *,
                 ball: bool = False) -> None:
        """``ball``: only the open unit ball of the chart, which is bounded then, counts."""
        self.space = space
        self.ball = ball
        self.collect = collect
        self.cells = 0
        self.settled = True
        self.statistics = Statistics()
        chart, layers = space.chart, space.layers
        self._box = chart.box
        self._find = partial(_in_ball if ball else interior_point, box=self._box)
        # the bounds of the box are in the compiled code, not among its rows
        self._domain = [f for f, row in enumerate(chart.rows) if (sum(map(abs, row[:-1])), row[-1]) != (1, -1)
                        or not any(a and b for a, b in zip(row, chart.bounded, strict=False))]
        self._units = [(k, i) for k, layer in enumerate(layers) for i in range(layer.units)]
        self._work = self._make_work()
        self._output = compiled.Output(*(np.zeros((OUTPUT_CELLS * collect, size), dtype=kind) for size, kind in (
            (len(self._units), np.uint8), (len(self._work.facet), np.int64), (chart.dimension, np.float64))))
        self._waiting = list(start or ())
        self._exact: Iterator[LpCell] | None = None  # cells below parts that are walked exactly
        if start is None:
            domain = root(chart, self._find)
            FORMS.call(compiled.load, space.plan, self._work, np.array(self._domain, dtype=np.int64), 0)
            inside = self._inside(domain.points[0]) if chart.dimension and layers else None
            if inside is None:
                self._exact = iter(ExactWalk(layers, chart, space.maps, [domain], self._find))
                self.settled = False
            else:
                self._waiting.append(OpenRows(b"", (), inside))
            self._work.counters[compiled.ACTIVE] = 0

    def push(self, cells: Sequence[OpenRows]) -> None:
        """Add subtrees; the last is walked first."""
        self._waiting.extend(cells)

    @property
    def finished(self) -> bool:
        """Whether nothing is open."""
        counters = self._work.counters
        return not (self._waiting or self._exact or counters[compiled.ACTIVE] or counters[compiled.WAITING])

    @property
    def work(self) -> int:
        """Multiplications so far, roughly, with a million for an exact answer."""
        return int(self._work.counters[compiled.WORK])

    def step(self, budget: int = BUDGET) -> list[LpCell]:
        """Go on for one compiled call, or one exact cell; the finished cells when they are collected."""
        counters = self._work.counters
        if self._exact is not None:
            cell = next(self._exact, None)
            counters[compiled.WORK] += EXACT_WORK
            if cell is None:
                self._exact = None
                self.settled = bool(counters[compiled.ANSWER] == compiled.UNDECIDED)
                return []
            self.cells += 1
            return [cell] if self.collect else []
        if not (counters[compiled.ACTIVE] or counters[compiled.WAITING]):
            if not self._waiting:
                return []
            self._load(self._waiting.pop())
        before = int(counters[compiled.CELLS])
        stop = FORMS.run(compiled.run, counters[compiled.WORK:compiled.WORK + 1], compiled.STOP_WORK,
                         int(counters[compiled.WORK]) + budget,
                         self.space.plan, self._work, self._output, self.collect)
        self.cells += int(counters[compiled.CELLS]) - before
        self.statistics.splits = int(counters[compiled.SPLITS])
        self.settled = stop != compiled.STOP_ASK
        if stop == compiled.STOP_ASK:
            self._answer()
        return self._taken()

    def push_out(self, facets: FloatArray, goals: FloatArray) -> FloatArray:
        """Multipliers ``w >= 0``, shape (goals, facets + 1), by which ``sum w_i facet_i - w_last goal`` seems to be
        nowhere positive in the unit ball: proposals, zeros where nothing was found.

        ``facets`` and ``goals`` are functions on the chart, shape (., n + 1), with gradients of about size 1; with a
        goal there are no more of them than rows of the domain and of units.  Not while a cell is open: its memory is
        used.
        """
        assert self._work.counters[compiled.ACTIVE] == 0
        multipliers = np.full((len(goals), len(facets) + 1), -1.0)
        self._work.table[:, :len(facets)] = facets.T
        FORMS.run(compiled.push_out, self._work.counters[compiled.WORK:compiled.WORK + 1], compiled.STOP_WORK,
                  NO_LIMIT, self._work, len(facets), np.ascontiguousarray(goals), multipliers)
        return multipliers

    # --- subtrees ----------------------------------------------------------------------------------------------------

    def _load(self, cell: OpenRows) -> None:
        """Make an open cell the current one."""
        work, offset = self._work, int(self.space.plan.first[0])
        work.sign[offset:offset + len(cell.signs)] = np.frombuffer(cell.signs, dtype=np.uint8)
        facets = np.array([*self._domain, *(offset + f for f in cell.facets)], dtype=np.int64)
        FORMS.call(compiled.load, self.space.plan, work, facets, len(cell.signs))
        work.inside[:] = cell.inside

    def unload(self) -> list[OpenRows]:
        """Everything that is open, as subtrees for other walks (the last is next here); this walk is then finished.

        Only a ``settled`` walk can be unloaded: others wait for an exact answer.
        """
        assert self.settled
        work, counters, offset = self._work, self._work.counters, int(self.space.plan.first[0])
        domain = len(self._domain)
        found, self._waiting = self._waiting, []
        for d in range(int(counters[compiled.WAITING])):
            number = int(work.at_unit[d]) - offset
            signs = bytearray(work.sign[offset:offset + number + 1].tobytes())
            signs[number] = 1 - signs[number]
            facets = work.facet[domain:work.at_facets[d]] - offset
            found.append(OpenRows(bytes(signs), tuple(facets.tolist()), work.at_inside[d].copy()))
        if counters[compiled.ACTIVE]:
            facets = work.facet[domain:counters[compiled.FACETS]] - offset
            found.append(OpenRows(work.sign[offset:counters[compiled.UNIT]].tobytes(), tuple(facets.tolist()),
                                  work.inside.copy()))
        counters[compiled.WAITING] = counters[compiled.ACTIVE] = 0
        return found

    # --- exact answers -----------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Find the parts that the loop's row makes of its current cell."""
        work, counters = self._work, self._work.counters
        offset = int(self.space.plan.first[0])
        number = int(counters[compiled.UNIT]) - offset
        signs = work.sign[offset:offset + number].tobytes()
        row = self.space.maps.row(*self._units[number], signs)
        self.statistics.exact_signs += 1
        if any(row[:-1]):
            side = value(row, _exactly(work.inside))
            if side and self._minimal_at_vertex(row if side > 0 else tuple(-v for v in row), signs):
                counters[compiled.WORK] += BASIS_WORK
                counters[compiled.ANSWER] = compiled.POSITIVE if side > 0 else compiled.NEGATIVE
                return
        counters[compiled.WORK] += EXACT_WORK
        cell = self._cell(signs)
        found = parts(cell, row, number, self._box, self._find)
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
            self._exact = iter(ExactWalk(self.space.layers, self.space.chart, self.space.maps, thin, self._find))

    def _minimal_at_vertex(self, row: Row, signs: bytes) -> bool:
        """Whether the loop's last basis proves, exactly, that the function is nonnegative on its cell: ties end so."""
        n = self.space.chart.dimension
        names = self._work.basis.tolist()
        if self.ball or {compiled.FREE, compiled.LINE} & {*names} or max(names) >= self._work.counters[compiled.FACETS]:
            return False
        rows = []
        for name in names:
            if name >= 0:
                rows.append(self._row(name, signs))
            else:
                upper, j = divmod(-2 - name, n)
                rows.append((*((-1 if upper else 1) * (j == i) for i in range(n)), 1))
        return is_combination(row, rows)

    def _row(self, facet: int, signs: bytes) -> Row:
        """A facet of the current cell, exactly: nonnegative in it."""
        number = int(self._work.facet[facet])
        domain = len(self.space.chart.rows)
        row = self.space.row(number, signs)
        return row if number >= domain and signs[number - domain] else tuple(-v for v in row)

    def _cell(self, signs: bytes) -> LpCell:
        """The current cell, exactly."""
        chart, begin, end = self.space.chart, len(self._domain), int(self._work.counters[compiled.FACETS])
        rows = (*(tuple(-v for v in row) for row in chart.rows), *(self._row(i, signs) for i in range(begin, end)))
        labels = (self._work.facet[begin:end] - len(chart.rows)).tolist()
        return LpCell(signs, rows, (*chart.facets, *labels), (_exactly(self._work.inside),))

    def _inside(self, point: Homogeneous, row_sign: int | None = None) -> FloatArray | None:
        """The nearest float point, if the filter proves that it is inside the current cell (and, with ``row_sign``,
        that the current row has that sign there)."""
        work = self._work
        x = np.array([nearest_float(Fraction(v, point[-1])) for v in point[:-1]])
        largest = max(1.0, float(np.abs(x).max(initial=0.0)))
        if not largest < HUGE:
            return None
        count, f = int(work.counters[compiled.FACETS]), int(work.counters[compiled.UNIT])
        values = x @ work.table[:-1, :count] + work.table[-1, :count]
        proved = bool((np.abs(x) < work.reach).all())
        proved = proved and bool((values > work.margin[:count] * largest).all())
        if self.ball:
            proved = proved and sum(Fraction(v) ** 2 for v in x.tolist()) < 1
        if row_sign is not None:
            value = float(x @ work.rows[:-1, f] + work.rows[-1, f])
            proved = proved and (value if row_sign else -value) > work.slack[f] * largest
        return x if proved else None

    # --- arrays ------------------------------------------------------------------------------------------------------

    def _taken(self) -> list[LpCell]:
        work = self._work
        count = int(work.counters[compiled.WRITTEN])
        work.counters[compiled.WRITTEN] = 0
        domain, offset = len(self._domain), int(self.space.plan.first[0])
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
        counters[compiled.ANSWER] = compiled.UNDECIDED
        bounded = self.space.chart.bounded
        counters[compiled.DOMAIN] = compiled.BALL if self.ball else compiled.BOX if all(bounded) else compiled.SPACE
        central = np.zeros(total, dtype=np.uint8)
        for f, row in enumerate(self.space.chart.rows):
            central[f] = row[-1] == 0
        for unit in range(self.space.layers[0].units if self.space.layers else 0):
            central[int(plan.first[0]) + unit] = self.space.maps.row(0, unit, b"")[-1] == 0
        return compiled.Work(
            plan.rows.copy(), plan.error.copy(), plan.size.copy(), plan.norm.copy(), plan.slack.copy(),
            np.zeros(total, dtype=np.uint8), integers(total), np.zeros(total), np.zeros((n + 1, total)),
            np.zeros(total), np.zeros(total), np.zeros(total), np.zeros(total), np.zeros(total),
            np.zeros(n), np.zeros((n, n)), integers(max(n, 1)), np.zeros(n), np.zeros(n), np.zeros(n + 1),
            np.zeros(n),
            integers(total), integers(total), np.zeros((total, n)), np.zeros((2, n)),
            np.where(bounded, 1.0, np.inf).reshape(n), central,
            integers(len(self.space.layers)), np.zeros(n + 1), np.zeros((n, n)), integers(n + 1),
            np.zeros(n), np.zeros((n, n)), np.zeros((n, n)), integers(n + 1), np.zeros(n + 1), counters)


def _in_ball(rows: tuple[Row, ...], box: Box) -> Homogeneous | None:
    """A point of the open unit ball where all rows are positive, or None when there is none."""
    point = interior_point(rows, box)
    return None if point is None else point_in_unit_ball(rows, point)


def _exactly(x: FloatArray) -> Homogeneous:
    """The float point as the exact point it is."""
    return integral([*map(Fraction, x.tolist()), Fraction(1)])
