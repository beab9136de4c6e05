r"""Cells by rows and exact linear programs: for more inputs than vertices allow, and for unbounded domains.

Theory.  A cell is a list of rows ``g . u + t > 0`` that some known point, its *witness*, satisfies strictly.  A
function f that is not identically zero splits it exactly when both ``f > 0`` and ``f < 0`` have points among the
cell's strict solutions: strict solvability is full-dimensionality.  The witness answers one side, unless f vanishes
there; :mod:`verifier.solvers.two_lps` answers the other, with an exact point or exact multipliers.

Before a program is solved two cheap tests are tried, both exact:

* *bounds*: f has one sign on the whole box of the chart (bounded coordinates);
* *points*: earlier witnesses inside the cell, kept along the path, show the other sign.

Only rows that may bound the cell are kept: a row that a program proves redundant is the unit that does not split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from verifier.geometry.chart import Chart, DomainFacet, Homogeneous, Row, integral, primitive
from verifier.geometry.exact_maps import ExactMaps
from verifier.kernel.network import Layer
from verifier.kernel.polyhedron import Box
from verifier.solvers.rows import Rows
from verifier.solvers.two_lps import Witness, strict_feasibility

if TYPE_CHECKING:
    from verifier.engines.propagate import Cell

POINTS = 12  # witnesses kept for a cell


@dataclass(frozen=True, eq=False)
class LpCell:
    """Signs of all units, the rows (``>= 0`` on the cell) with their labels, and strictly interior points, in chart
    coordinates; ``facets`` names a domain row or gives the number of a unit."""

    signs: bytes
    rows: tuple[Row, ...]
    facets: tuple[DomainFacet | int, ...]
    points: tuple[Homogeneous, ...]

    def interior(self, _: Cell) -> Homogeneous:
        """A strictly interior point."""
        return self.points[0]


def value(row: Row, point: Homogeneous) -> int:
    """A positive multiple of the function at the point."""
    return sum(a * p for a, p in zip(row, point, strict=True))


def walk_by_lps(layers: tuple[Layer, ...], chart: Chart) -> Iterator[LpCell]:
    """All cells of the layers over the chart's domain, depth-first."""
    box = chart.box
    maps = ExactMaps(layers, chart)
    rows = tuple(tuple(-v for v in row) for row in chart.rows)
    start = interior_point(rows, box)
    assert start is not None, "a chart makes its domain full-dimensional"
    units = [(k, i, bool(layer.has_phase[i])) for k, layer in enumerate(layers) for i in range(layer.units)]
    stack = [LpCell(b"", rows, chart.facets, (start,))]
    while stack:
        cell = stack.pop()
        number = len(cell.signs)
        if number == len(units):
            yield cell
            continue
        layer, unit, phase = units[number]
        if not phase:
            stack.append(_with(cell, b"\1"))
            continue
        row = maps.row(layer, unit, cell.signs)
        stack.extend(_parts(cell, row, number, box))


def _with(cell: LpCell, sign: bytes) -> LpCell:
    return LpCell(cell.signs + sign, cell.rows, cell.facets, cell.points)


def _parts(cell: LpCell, row: Row, number: int, box: Box) -> list[LpCell]:
    """The one or two parts that the function makes of the cell."""
    if not any(row[:-1]):
        return [_with(cell, b"\1" if row[-1] > 0 else b"\0")]
    only = _sign_on_box(row, box)
    if only:
        return [_with(cell, b"\1" if only > 0 else b"\0")]
    parts = []
    for sign in (1, -1):
        oriented = row if sign > 0 else tuple(-v for v in row)
        points = [p for p in cell.points if value(oriented, p) > 0]
        if not points:
            found = interior_point((*cell.rows, oriented), box)
            if found is None:
                continue
            points = [found]
        parts.append((sign, oriented, points))
    if len(parts) == 1:
        sign, _, points = parts[0]
        kept = (*cell.points, *(p for p in points if p not in cell.points))
        return [LpCell(cell.signs + (b"\1" if sign > 0 else b"\0"), cell.rows, cell.facets, kept[-POINTS:])]
    return [LpCell(cell.signs + (b"\1" if sign > 0 else b"\0"), (*cell.rows, oriented), (*cell.facets, number),
                   tuple(points[-POINTS:])) for sign, oriented, points in parts]


def _sign_on_box(row: Row, box: Box) -> int:
    """The sign of the function on the box when it is nonzero and the same in the interior, else 0."""
    if any(a and lo is None for a, lo in zip(row, box.lower, strict=False)):
        return 0
    reach = sum(map(abs, row[:-1]))
    return 1 if row[-1] >= reach else -1 if -row[-1] >= reach else 0


def interior_point(rows: tuple[Row, ...], box: Box) -> Homogeneous | None:
    """A point where all rows are positive, inside the box, or None when there is none."""
    if not rows or not rows[0][:-1]:
        return primitive((*(0 for _ in box.lower), 1))
    found = strict_feasibility(Rows.from_integers([(*(-v for v in row[:-1]), row[-1]) for row in rows], box.dimension),
                               (True,) * len(rows), box)
    if not isinstance(found, Witness):
        return None
    x = [*found.x, Fraction(1)]
    return integral(x)
