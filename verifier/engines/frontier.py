r"""What is open in a walk: subtrees, in the order in which they are walked, and a bound of what is below them.

Requirement
    A walk by vertices or by programs, with subtrees waiting in it.
Return
    The cells of all subtrees; at any moment an upper bound of the number of those that have not been returned.
Method
    A depth-first walk leaves subtrees near the root open for long, with no better bound than that of nearly everything.
    So after a first stretch the *shallowest* subtree is walked for a while and what is open of it is put back, which
    halves it along one path, until MOST_OPEN are waiting.  While there are that many, the *deepest* is walked, to its
    end.  The bound of a subtree is :func:`~verifier.engines.region_bounds.refined_upper` of the units that can change
    their sign in it: those whose sign is not fixed on its way there, nor by linear bounds on the box around it
    (:class:`~verifier.engines.unit_signs.SignFinder`), many subtrees at a time.  It is computed once, when it is asked
    for.
Property
    Every subtree is walked once.  The bound is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verifier.engines.lp_cells import LpCell
from verifier.engines.lp_walk import LpWalk, OpenRows
from verifier.engines.region_bounds import LayerUnits, refined_upper
from verifier.engines.unit_signs import BOTH, SignFinder, units_that_change
from verifier.geometry.chart import Chart
from verifier.geometry.traversal import FloatCells, OpenCell, Walk
from verifier.kernel.rational import FloatArray, nearest_float

FIRST_WORK = 60_000_000  # before anything is put back: short walks go straight ahead
PIECE = 1_000_000        # of work on a shallow subtree
MOST_OPEN = 1000
TOGETHER = 128           # subtrees that are bounded at a time


@dataclass(eq=False)
class Open:
    """A subtree; ``bound`` once it has been asked for."""

    cell: OpenCell | OpenRows
    decided: int
    bound: int | None = None


class Frontier:
    """The open subtrees of a walk, which has what is to be walked."""

    def __init__(self, walk: Walk | LpWalk, signs: Callable[[], SignFinder]) -> None:
        self.walk = walk
        self._signs = signs
        self._waiting: dict[int, list[Open]] = {}
        self._count = 0
        self._stop: int | None = FIRST_WORK

    @property
    def finished(self) -> bool:
        """Whether nothing is open."""
        return not self._count and self.walk.finished

    def step(self, budget: int) -> FloatCells | list[LpCell] | None:
        """Go on for one compiled call; the finished cells when they are collected."""
        walk = self.walk
        if walk.finished:
            self._next()
        found = walk.step(budget if self._stop is None else min(budget, max(1, self._stop - walk.work)))
        if self._stop is not None and walk.settled and walk.work >= self._stop and not walk.finished:
            self._put_back()
        return found

    def _next(self) -> None:
        widen = self._count < MOST_OPEN
        decided = (min if widen else max)(self._waiting)
        chosen = self._waiting[decided].pop().cell
        if not self._waiting[decided]:
            del self._waiting[decided]
        self._count -= 1
        self._stop = self.walk.work + PIECE if widen else None
        if isinstance(self.walk, Walk):
            assert isinstance(chosen, OpenCell)
            self.walk.push([chosen])
        else:
            assert isinstance(chosen, OpenRows)
            self.walk.push([chosen])

    def _put_back(self) -> None:
        for cell in self.walk.unload():
            own = np.frombuffer(cell.signs, dtype=np.uint8) if isinstance(cell, OpenRows) else cell.signs
            decided = int((own < BOTH).sum())
            self._waiting.setdefault(decided, []).append(Open(cell, decided))
            self._count += 1

    # --- bounds ------------------------------------------------------------------------------------------------------

    def bound(self) -> int:
        """An upper bound of the number of cells in what is open; not while the walk waits for an exact answer."""
        self._put_back()
        waiting = [entry for entries in self._waiting.values() for entry in entries]
        new = [entry for entry in waiting if entry.bound is None]
        for first in range(0, len(new), TOGETHER):
            some = new[first:first + TOGETHER]
            for entry, bound in zip(some, self._bounds([entry.cell for entry in some]), strict=True):
                entry.bound = bound
        return sum(entry.bound or 0 for entry in waiting)

    def _bounds(self, cells: Sequence[OpenCell | OpenRows]) -> list[int]:
        layers, chart = self.walk.space.layers, self.walk.space.chart
        units = sum(layer.units for layer in layers)
        known = np.full((len(cells), units), BOTH, dtype=np.uint8)
        for row, cell in zip(known, cells, strict=True):
            own = np.frombuffer(cell.signs, dtype=np.uint8) if isinstance(cell, OpenRows) else cell.signs
            row[:len(own)] = np.where(own < BOTH, own, BOTH)
        around = [_box_around(cell, chart) if isinstance(cell, OpenCell) else None for cell in cells]
        tables = [units_that_change(layer, found)
                  for layer, found in zip(layers, self._signs().within(known, around), strict=False)]
        return [refined_upper(chart.dimension, [LayerUnits(*table[b].tolist()) for table in tables])
                for b in range(len(cells))]


def _box_around(cell: OpenCell, chart: Chart) -> tuple[FloatArray, FloatArray]:
    """Bounds of the inputs in a cell, whose vertices are off by at most their radius; what rounding may lose is less
    than the slack, and no chart coordinate exceeds 1."""
    with np.errstate(invalid="ignore"):
        lower = np.fmax(np.nextafter(cell.x - cell.radius, -np.inf).min(axis=1), -1.0)
        upper = np.fmin(np.nextafter(cell.x + cell.radius, np.inf).max(axis=1), 1.0)
    basis, origin = chart.linear()
    table = np.array([[nearest_float(v) for v in row] for row in basis]).reshape(len(basis), chart.dimension)
    start = np.array([nearest_float(v) for v in origin])
    slack = (chart.dimension + 4) * 2.0**-50 * (np.abs(start) + np.abs(table).sum(axis=1)) + 2.0**-900
    at_lower, at_upper = table * lower, table * upper
    return (start + np.minimum(at_lower, at_upper).sum(axis=1) - slack,
            start + np.maximum(at_lower, at_upper).sum(axis=1) + slack)
