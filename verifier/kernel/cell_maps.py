"""The network's affine map on a cell, exactly, in coordinates of the domain's affine hull.

With the signs of all units of the first layers given, the pre-activations of the next layer are affine functions of
the input.  They are built as integers over one positive denominator: ``Z = [W | b] Y`` and ``Y' = D Z``, where D holds
1 or the negative-side slope.  The last maps along one path are kept, because a depth-first walk asks for them again
and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import fmpz_mat

from verifier.kernel.network import Layer

Row = tuple[int, ...]
"""``(a_1, ..., a_k, t)``: the affine function ``a . u + t`` up to a positive factor."""

Homogeneous = tuple[int, ...]
"""``(p_1, ..., p_k, q)`` with ``q > 0``: the point ``p / q``."""

Signs = bytes
"""One byte a unit: 1 active (or without a phase), 0 inactive."""


def primitive(values: Sequence[int]) -> tuple[int, ...]:
    """The integers divided by their greatest common divisor."""
    shared = math.gcd(*values) or 1
    return tuple(v // shared for v in values)


class CellMaps:
    """Affine maps of the layers on the cell with given signs; ``layers`` may be empty.

    ``table`` has shape (n + 1, k + 1): ``x_i = table[i] . (u, 1) / denominator`` and last ``(0, ..., 0, denominator)``.
    """

    def __init__(self, layers: tuple[Layer, ...], table: fmpz_mat, denominator: int) -> None:
        self.layers = layers
        self._input = table, denominator
        self._augmented: list[tuple[fmpz_mat, int]] = []
        self._slopes: list[tuple[tuple[int, ...], int]] = []
        self._path: list[tuple[Signs, fmpz_mat, int]] = []
        for layer in layers:
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
            table, denominator = self._input if k == 0 else self._outputs(k - 1, key)
            weight, own = self._augmented[k]
            self._path.append((key, weight * table, denominator * own))
            first += self.layers[k].units
        _, z, d = self._path[layer]
        return z, d

    def row(self, layer: int, unit: int, signs: Signs) -> Row:
        """A positive multiple of the unit's pre-activation."""
        z, _ = self.pre_activations(layer, signs)
        return primitive([int(z[unit, j]) for j in range(z.ncols())])

    def output_table(self, signs: Signs) -> tuple[fmpz_mat, int]:
        """``(Y, d)``: output i of the last layer is ``Y[i] . (u, 1) / d``; a last row stands for 1."""
        if not self.layers:
            return self._input
        self.pre_activations(len(self.layers) - 1, signs)
        return self._outputs(len(self.layers) - 1, signs)

    def _outputs(self, layer: int, signs: Signs) -> tuple[fmpz_mat, int]:
        """The layer's outputs with a last row that stands for 1; its pre-activations are the last on the path."""
        _, z, d = self._path[layer]
        slopes, common = self._slopes[layer]
        own = signs[len(signs) - len(slopes):]
        rows = [[v * (common if active else slope) for v in row] if active or slope else [0] * z.ncols()
                for row, active, slope in zip(z.tolist(), own, slopes, strict=True)]
        last = [0] * (z.ncols() - 1) + [d * common]
        return fmpz_mat(len(rows) + 1, z.ncols(), [v for row in (*rows, last) for v in row]), d * common
