"""The network's affine map on a cell, in the coordinates of a chart: what geometry asks of the kernel's maps."""

from __future__ import annotations

from fractions import Fraction

from verifier.geometry.chart import Chart
from verifier.kernel.cell_maps import CellMaps, Signs, primitive
from verifier.kernel.network import Layer
from verifier.kernel.rational import Point

__all__ = ["ExactMaps", "Signs"]


class ExactMaps(CellMaps):
    """Affine maps of the layers on the cell with given signs; ``layers`` may be empty."""

    def __init__(self, layers: tuple[Layer, ...], chart: Chart) -> None:
        super().__init__(layers, chart.table, chart.denominator)
        self.chart = chart

    def outputs(self, signs: Signs) -> tuple[tuple[Point, ...], Point]:
        """``(weight, constant)`` of the last layer's outputs in chart coordinates."""
        table, d = self.output_table(signs)
        rows = [[Fraction(int(v), d) for v in row] for row in table.tolist()[:-1]]
        return tuple(tuple(row[:-1]) for row in rows), tuple(row[-1] for row in rows)

    def key(self, signs: Signs) -> tuple[int, ...]:
        """The map of :meth:`outputs` as primitive integers: equal exactly for equal maps."""
        table, d = self.output_table(signs)
        return primitive([*map(int, table.entries()[:-table.ncols()]), int(d)])
