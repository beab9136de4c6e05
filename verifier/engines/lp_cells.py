r"""Cells by rows and exact linear programs: what :mod:`verifier.engines.lp_walk` does where floats do not decide.

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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from flint import fmpz_mat

from verifier.geometry.chart import Chart, DomainFacet, Homogeneous, Row, integral, primitive
from verifier.geometry.exact_maps import ExactMaps
from verifier.kernel.domain import value
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


Finder = Callable[[tuple[Row, ...]], Homogeneous | None]
"""A point at which all rows are positive, or None when there is none."""


def root(chart: Chart, find: Finder) -> LpCell:
    """The domain."""
    rows = tuple(tuple(-v for v in row) for row in chart.rows)
    start = find(rows)
    assert start is not None, "a chart makes its domain full-dimensional"
    return LpCell(b"", rows, chart.facets, (start,))


class ExactWalk:
    """A walk over all cells below the given ones (default: the domain), depth-first; iterate over it.

    ``stack`` holds the cells that are open.  ``find`` may look for points in a smaller open convex set, to which the
    domain is then cut down: what has no point there is no cell, and all points of the cells lie in it.
    """

    def __init__(self, layers: tuple[Layer, ...], chart: Chart, maps: ExactMaps, cells: Sequence[LpCell] | None = None,
                 find: Finder | None = None) -> None:
        self._box = chart.box
        self._find = find or partial(interior_point, box=self._box)
        self._maps = maps
        self._units = [(k, i, bool(layer.has_phase[i])) for k, layer in enumerate(layers) for i in range(layer.units)]
        self.stack = [root(chart, self._find)] if cells is None else list(cells)

    def __iter__(self) -> Iterator[LpCell]:
        while self.stack:
            cell = self.step()
            if cell is not None:
                yield cell

    def step(self) -> LpCell | None:
        """Deal with one unit of the cell on top of the stack; the cell when it is finished."""
        cell = self.stack.pop()
        number = len(cell.signs)
        if number == len(self._units):
            return cell
        layer, unit, phase = self._units[number]
        if not phase:
            self.stack.append(_with(cell, b"\1"))
        else:
            row = self._maps.row(layer, unit, cell.signs)
            self.stack.extend(parts(cell, row, number, self._box, self._find))
        return None


def is_combination(row: Row, rows: Sequence[Row]) -> bool:
    """Whether the function is the sum of a constant ``>= 0`` and of multiples ``>= 0`` of the functions ``rows``, which
    are as many as there are coordinates.  False also when their gradients are dependent."""
    n = len(rows)
    gradients = fmpz_mat([[r[j] for r in rows] for j in range(n)])
    try:
        multipliers = gradients.solve(fmpz_mat(n, 1, row[:-1])).entries()
    except ZeroDivisionError:
        return False
    rest = row[-1] - sum(m * r[-1] for m, r in zip(multipliers, rows, strict=True))
    return rest >= 0 and all(m >= 0 for m in multipliers)


def _with(cell: LpCell, sign: bytes) -> LpCell:
    return LpCell(cell.signs + sign, cell.rows, cell.facets, cell.points)


def parts(cell: LpCell, row: Row, number: int, box: Box, find: Finder) -> list[LpCell]:
    """The one or two parts that the function makes of the cell, which lies in the box."""
    if not any(row[:-1]):
        return [_with(cell, b"\1" if row[-1] > 0 else b"\0")]
    only = _sign_on_box(row, box)
    if only:
        return [_with(cell, b"\1" if only > 0 else b"\0")]
    opposite = tuple(-v for v in row)
    if row in cell.rows or opposite in cell.rows:
        return [_with(cell, b"\1" if row in cell.rows else b"\0")]
    found = []
    for sign in (1, -1):
        oriented = row if sign > 0 else opposite
        points = [p for p in cell.points if value(oriented, p) > 0]
        if not points:
            inside = find((*cell.rows, oriented))
            if inside is None:
                continue
            points = [inside]
        found.append((sign, oriented, points))
    if len(found) == 1:
        sign, _, points = found[0]
        kept = (*cell.points, *(p for p in points if p not in cell.points))
        return [LpCell(cell.signs + (b"\1" if sign > 0 else b"\0"), cell.rows, cell.facets, kept[-POINTS:])]
    return [LpCell(cell.signs + (b"\1" if sign > 0 else b"\0"), (*cell.rows, oriented), (*cell.facets, number),
                   tuple(points[-POINTS:])) for sign, oriented, points in found]


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
