"""The best vertices of all cells for some objectives, in floating point: where a search for an optimum begins.

A proposal, not a proof: whoever uses it evaluates the vertices exactly and proves that nothing is better.  So overflow
is harmless and silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verifier.engines.cell_units import Batch
from verifier.geometry.traversal import FloatCells
from verifier.kernel.rational import FloatArray, Point, nearest_float

Seen = tuple[tuple[float, Point], ...]
"""For each objective a value and the vertex that has it, about."""

WORK = 300  # of one vertex


@dataclass(frozen=True)
class Glance:
    """The visit that looks for the best vertex for each objective over ``(x, N(x))``: one result a batch."""

    objectives: tuple[Point, ...]

    @np.errstate(over="ignore", invalid="ignore")
    def __call__(self, batch: Batch) -> tuple[list[Seen], int]:
        """See :class:`verifier.engines.cell_units.Visit`."""
        found, propagation = batch.found, batch.propagation
        assert isinstance(found, FloatCells), "only cells by vertices have vertices to look at"
        basis, origin = propagation.chart.linear()
        x = _floats(basis).reshape(len(basis), len(found.x)) @ found.x + _floats([origin]).T
        y, _ = propagation.float_maps(found).at(found.owner, found.x, found.radius)
        rows = _floats(self.objectives)
        values = np.nan_to_num(rows @ np.concatenate([x, y.T]), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        seen = []
        for number, place in enumerate(values.argmax(axis=1).tolist()):
            c = int(np.searchsorted(found.start, place, side="right")) - 1
            vertex = propagation.vertex_cell(found, c).vertex(place - int(found.start[c]))
            seen.append((float(values[number, place]), vertex))
        return [tuple(seen)], WORK * values.shape[1]


def _floats(rows: Sequence[Sequence[Fraction]]) -> FloatArray:
    return np.array([[nearest_float(v) for v in row] for row in rows])


def best_points(glances: Iterable[Seen]) -> list[Point]:
    """Of what :class:`Glance` saw, the best vertex for each objective (nothing when it saw nothing)."""
    best: list[tuple[float, Point]] = []
    for seen in glances:
        best = [new if new[0] > old[0] else old for new, old in zip(seen, best or seen, strict=True)]
    return [point for _, point in best]
