"""The network's affine map on a cell, exactly, in coordinates of the domain's affine hull.

With the signs of all units of the first layers given, the pre-activations of the next layer are affine functions of
the input.  They are built as integers over one positive denominator: ``Z = [W | b] Y`` and ``Y' = D Z``, where D holds
1 or the negative-side slope.  The last maps along one path are kept, because a depth-first walk asks for them again
and again.  And when only a few units i of D change, so does a sum of few products of a column and a row:
``[W | b] (D' - D) Z = sum_i (d'_i - d_i) W_i z_i``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import fmpz, fmpz_mat

from verifier.kernel.network import Layer

Row = tuple[int, ...]
"""``(a_1, ..., a_k, t)``: the affine function ``a . u + t`` up to a positive factor."""

Homogeneous = tuple[int, ...]
"""``(p_1, ..., p_k, q)`` with ``q > 0``: the point ``p / q``."""

Signs = bytes
"""One byte a unit: 1 active (or without a phase), 0 inactive."""

FEW = 4
"""Of so many units of a layer at most one may have changed its sign for the product to be changed, not made anew."""


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
        self._columns: list[list[list[fmpz]]] = []
        self._path: list[tuple[Signs, fmpz_mat, int]] = []
        for layer in layers:
            weight, own = layer.weight.integers()
            bias, other = layer.bias.integers()
            rows = [[v * other for v in row] + [b * own] for row, b in
                    zip(weight.tolist(), bias.entries(), strict=True)] if layer.units else []
            self._augmented.append((fmpz_mat(layer.units, layer.inputs + 1, [v for row in rows for v in row]),
                                    own * other))
            self._columns.append(self._augmented[-1][0].transpose().tolist())
            slopes, common = layer.slope.integers()
            self._slopes.append((tuple(int(v) for v in slopes.entries()), common))

    def pre_activations(self, layer: int, signs: Signs) -> tuple[fmpz_mat, int]:
        """``(Z, d)``: the pre-activation of unit i is ``Z[i] . (u, 1) / d``; ``signs`` are those of all layers before
        (what follows is ignored)."""
        first = 0
        for k in range(layer + 1):
            key = signs[:first]
            first += self.layers[k].units
            if k == len(self._path) or self._path[k][0] != key:
                self._path[k:k + 1] = [(key, *(self._changed(k, key) or self._product(k, key)))]
        _, z, d = self._path[layer]
        return z, d

    def _product(self, layer: int, key: Signs) -> tuple[fmpz_mat, int]:
        """The layer's pre-activations; those of the layer before are on the path."""
        table, denominator = self._input if layer == 0 else self._outputs(layer - 1, key)
        weight, own = self._augmented[layer]
        return weight * table, denominator * own

    def _changed(self, layer: int, key: Signs) -> tuple[fmpz_mat, int] | None:
        """The same from those on the path, when few units of the layer before have another sign there and none of the
        earlier layers; else None."""
        if not 0 < layer < len(self._path):
            return None
        (old, z, d), (before, inner, _) = self._path[layer], self._path[layer - 1]
        slopes, common = self._slopes[layer - 1]
        if old[:len(before)] != before:
            return None
        flips = [i for i, (was, now) in enumerate(zip(old[len(before):], key[len(before):], strict=True)) if was != now]
        if FEW * len(flips) > len(slopes):
            return None
        rows = [(common - slopes[i]) * (bool(key[len(before) + i]) - bool(old[len(before) + i])) * inner[i, j]
                for i in flips for j in range(z.ncols())]
        columns = [v for i in flips for v in self._columns[layer][i]]
        return z + (fmpz_mat(len(flips), z.nrows(), columns).transpose()
                    * fmpz_mat(len(flips), z.ncols(), rows)), d

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
