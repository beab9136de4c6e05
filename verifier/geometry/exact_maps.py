"""The network's affine map on a cell, exactly, in chart coordinates.

With the signs of all units of the first layers given, the pre-activations of the next layer are affine functions of
the input.  They are built as integers over one positive denominator: ``Z = [W | b] Y`` and ``Y' = D Z``, where D holds
1 or the negative-side slope.  The last maps along one path are kept, because a depth-first walk asks for them again
and again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from flint import fmpz_mat

from verifier.geometry.chart import Chart, Row, primitive
from verifier.kernel.network import Layer
from verifier.kernel.rational import Point

Signs = bytes
"""One byte a unit: 1 active (or without a phase), 0 inactive."""


@dataclass
class ExactMaps:
    """Affine maps of the layers on the cell with given signs; ``layers`` may be empty."""

    layers: tuple[Layer, ...]
    chart: Chart
    _augmented: list[tuple[fmpz_mat, int]] = field(init=False)
    _slopes: list[tuple[tuple[int, ...], int]] = field(init=False)
    _path: list[tuple[Signs, fmpz_mat, int]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._augmented = []
        self._slopes = []
        for layer in self.layers:
            weight, own = layer.weight.integers()
            bias, other = layer.bias.integers()
            rows = [[v * other for v in row] + [b * own] for row, b in
                    zip(weight.tolist(), bias.entries(), strict=True)] if layer.units else []
            self._augmented.append((fmpz_mat(layer.units, layer.inputs + 1, [v for row in rows for v in row]),
                                    own * other))
            slopes, common = layer.slope.integers()
            self._slopes.append((tuple(int(v) for v in slopes.entries()), common))

    def pre_activations(self, layer: int, signs: Signs) -> tuple[fmpz_mat, int]:
        """``(Z, d)``: the pre-activation of unit i is ``Z[i] . (u, 1) / d``; ``signs`` are those of all layers before
        (what follows is ignored)."""
        first = 0
        for k in range(layer + 1):
            key = signs[:first]
            if k < len(self._path) and self._path[k][0] == key:
                first += self.layers[k].units
                continue
            del self._path[k:]
            table, denominator = (self.chart.table, self.chart.denominator) if k == 0 else self._outputs(k - 1, key)
            weight, own = self._augmented[k]
            self._path.append((key, weight * table, denominator * own))
            first += self.layers[k].units
        _, z, d = self._path[layer]
        return z, d

    def _outputs(self, layer: int, signs: Signs) -> tuple[fmpz_mat, int]:
        """The layer's outputs with a last row that stands for 1; its pre-activations are the last on the path."""
        _, z, d = self._path[layer]
        slopes, common = self._slopes[layer]
        own = signs[len(signs) - len(slopes):]
        rows = [[v * (common if active else slope) for v in row] if active or slope else [0] * z.ncols()
                for row, active, slope in zip(z.tolist(), own, slopes, strict=True)]
        last = [0] * (z.ncols() - 1) + [d * common]
        return fmpz_mat(len(rows) + 1, z.ncols(), [v for row in (*rows, last) for v in row]), d * common

    def row(self, layer: int, unit: int, signs: Signs) -> Row:
        """A positive multiple of the unit's pre-activation."""
        z, _ = self.pre_activations(layer, signs)
        return primitive([int(z[unit, j]) for j in range(z.ncols())])

    def outputs(self, signs: Signs) -> tuple[tuple[Point, ...], Point]:
        """``(weight, constant)`` of the last layer's outputs in chart coordinates."""
        table, d = self._last(signs)
        rows = [[Fraction(int(v), d) for v in row] for row in table.tolist()[:-1]]
        return tuple(tuple(row[:-1]) for row in rows), tuple(row[-1] for row in rows)

    def key(self, signs: Signs) -> tuple[int, ...]:
        """The map of :meth:`outputs` as primitive integers: equal exactly for equal maps."""
        table, d = self._last(signs)
        return primitive([*map(int, table.entries()[:-table.ncols()]), int(d)])

    def _last(self, signs: Signs) -> tuple[fmpz_mat, int]:
        if not self.layers:
            return self.chart.table, self.chart.denominator
        self.pre_activations(len(self.layers) - 1, signs)
        return self._outputs(len(self.layers) - 1, signs)
