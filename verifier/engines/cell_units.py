"""Something done with every cell, as work units that anybody may run, in an order that does not depend on who does.

Requirement
    A region as in :mod:`verifier.engines.propagate`, and a *visit*: a picklable function from cells to results.
Return
    The results of all visits.
Method
    A unit is a subtree of the walk: an open cell, which any process can go on from.  It stops when its budget is used
    up and hands back what is still open.  Budgets are counted in arithmetic work, never in seconds, and how units are
    dealt depends on counts alone: so the results and their order are the same for any number of processes.
Property
    Every cell is visited once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from verifier.engines.executor import MapExecutor
from verifier.engines.lp_cells import LpCell
from verifier.engines.lp_walk import LpWalk, OpenRows
from verifier.engines.propagate import Cell, Propagation, Region, Representation
from verifier.geometry.traversal import FloatCells, OpenCell, Walk
from verifier.kernel.branches import Indices

FIRST_BUDGET = 30_000_000  # work before the first units are dealt: about a tenth of a second
UNIT_BUDGET = 60_000_000   # at most half a second
UNITS = 16                 # dealt at a time
STEP = 5_000_000           # of one compiled call
Open = OpenCell | OpenRows


@dataclass(frozen=True, eq=False)
class Batch:
    """Cells that a walk found together."""

    propagation: Propagation
    found: FloatCells | list[LpCell]

    def __len__(self) -> int:
        return len(self.found) if isinstance(self.found, list) else len(self.found.signs)

    def cells(self, chosen: Indices | None = None) -> Iterator[Cell]:
        """All cells, or those with these numbers."""
        if isinstance(self.found, list):
            for number in range(len(self)) if chosen is None else chosen.tolist():
                yield self.propagation.lp_cell(self.found[number])
            return
        for number in range(len(self)) if chosen is None else chosen.tolist():
            yield self.propagation.vertex_cell(self.found, number)


class Visit(Protocol):
    """What is done with cells.  Pure and picklable."""

    def __call__(self, batch: Batch) -> tuple[list[Any], int]:
        """Results, and the work it took (1,000,000 is about a hundredth of a second at most)."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A subtree (``below``; None: the whole region), what is done with its cells, a budget, a wall-clock deadline."""

    region: Region
    representation: Representation
    visit: Visit
    below: Open | None
    budget: int
    deadline: float | None


@dataclass(frozen=True)
class UnitResult:
    """Results, cells visited, and what is still open, the next one last."""

    results: list[Any]
    cells: int
    open: list[Open | None]


def run_unit(unit: Unit) -> UnitResult:
    """Carry out a unit.  Pure: the same unit gives the same result, unless the deadline cuts it short."""
    propagation = prepared(unit.region, unit.representation)
    results: list[Any] = []
    cells = work = 0
    if propagation.representation == "lp":
        programs = LpWalk(propagation.space, True, [unit.below] if isinstance(unit.below, OpenRows) else None)
        while not programs.finished:
            over = programs.work + work >= unit.budget or _over(unit.deadline)
            if over and programs.settled:
                break
            if _over(unit.deadline):  # in the middle of an exact answer: what is below the unit counts as open
                return UnitResult(results, cells, [unit.below])
            found = programs.step(STEP)
            for number in range(len(found)):  # one by one: a visit may take long
                if _over(unit.deadline):
                    return UnitResult(results, cells, [unit.below])
                new, spent = unit.visit(Batch(propagation, found[number:number + 1]))
                results += new
                cells += 1
                work += spent
        return UnitResult(results, cells, list(programs.unload()) if not programs.finished else [])
    walk = Walk(propagation.space, collect=True)
    walk.push([unit.below if isinstance(unit.below, OpenCell) else propagation.space.root()])
    while not walk.finished and not (walk.settled and (walk.work + work >= unit.budget or _over(unit.deadline))):
        batch = walk.step(STEP)
        if batch is not None:
            new, spent = unit.visit(Batch(propagation, batch))
            results += new
            cells += len(batch.signs)
            work += spent
    return UnitResult(results, cells, list(walk.unload()))


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.time() >= deadline


@lru_cache(maxsize=4)
def prepared(region: Region, representation: Representation) -> Propagation:
    """A region prepared, remembered from unit to unit.  Raises as :class:`Propagation`."""
    return Propagation(region, representation)


@dataclass
class Harvest:
    """All results, one after another; ``cells`` counts those visited so far.  ``finished`` after the last one, unless
    the deadline (compared with ``time.time()``) came first.  ``progress(cells)`` is told now and then.

    Iterating raises EmptyDomainError for an empty domain, ValueError when the representation cannot hold it.
    """

    region: Region
    visit: Visit
    representation: Representation = "auto"
    deadline: float | None = None
    executor: MapExecutor | None = None
    progress: Callable[[int], None] | None = None
    cells: int = field(default=0, init=False)
    finished: bool = field(default=False, init=False)

    def __iter__(self) -> Iterator[Any]:
        apply: Callable[..., Iterable[UnitResult]] = map
        waiting: list[Open | None] = [None]
        budget = FIRST_BUDGET
        while waiting and not _over(self.deadline):
            taken, waiting = waiting[:-UNITS - 1:-1], waiting[:-UNITS]
            left: list[Open | None] = []
            for done in apply(run_unit, [Unit(self.region, self.representation, self.visit, below, budget,
                                              self.deadline) for below in taken]):
                self.cells += done.cells
                left[:0] = done.open
                if self.progress is not None:
                    self.progress(self.cells)
                yield from done.results
            waiting += left
            budget = UNIT_BUDGET
            apply = map if self.executor is None else self.executor.map
        self.finished = not waiting
