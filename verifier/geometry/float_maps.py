r"""The affine maps of many cells at once, in floating point with their errors.

Theory.  The rows are those of :mod:`verifier.geometry.filtered_network`, with the same error terms, formed for all
cells of a batch by one matrix product a layer.  So of the function ``f(u) = a . u + c`` that an output is on a cell,
``A``, ``C``, ``error``, ``size`` and ``norm`` are known with

    |A - a|_1 + |C - c|  <=  error,      size >= |A|_1 + |C|,      norm >= |A|_1,

and ``error = 0`` only for functions that are exactly zero, as inactive ReLUs are: many cells tie there.

*At vertices.*  ``| fl(A . V + C) - f(v) |  <=  slack + norm radius`` as there, on a bounded chart; 0 for such
functions.

*Combinations.*  ``F = sum_j w_j f_j + b . u + c``, in floats from its parts, is off by at most ``sum_j |w_j| error_j``
and g times the sum of all magnitudes, ``sum_j |w_j| (|A_j|_1 + |C_j|) + |b|_1 + |c|``, which also covers that w, b and
c are numbers rounded once.

*Different maps.*  Cells whose numbers ``p = sum r_ij (A, C)_ij``, with fixed factors ``|r_ij| <= 1``, are farther apart
than their errors have different maps: p is off by at most ``sum_i error_i`` and the rounding of the sum.

*Full rank.*  Let A be the k x m matrix of the linear parts of m outputs (one a column), and B any m x k matrix, here
the float pseudo-inverse.  If ``k <= m`` and some norm of ``I - a B`` is less than 1, then ``a B`` is regular and a has
rank k; if ``m <= k``, the same with ``I - B a``.  With the maximum row sum as the norm,

    |I - a B|  <=  |fl(I - A B)|  +  g |A| |B|  +  |A - a| |B|,

and the last is at most ``sum_i error_i`` times the sum of all ``|B_ij|``, in either order.

Whatever is not finite proves nothing: every comparison is written so that NaN fails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verifier.geometry.chart import Chart
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.filtered_network import HUGE, LEAST, TINY, Bytes, Indices, make_plan, rounded
from verifier.kernel.network import Layer
from verifier.kernel.rational import FloatArray

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FloatMaps:
    """``linear`` (cells, k, outputs), ``constant`` and ``error`` (cells, outputs) as above; ``g`` is the relative
    rounding that they allow for."""

    linear: FloatArray
    constant: FloatArray
    error: FloatArray
    g: float

    def at(self, cell: Indices, points: FloatArray, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values of the outputs, shape (points, outputs), and bounds of their errors; point i, ``points[:, i]`` in
        coordinates of a bounded chart and off by ``radius[i]``, belongs to ``cell[i]``."""
        values = self.constant[cell]
        for j, coordinate in enumerate(points):
            values += self.linear[cell, j] * coordinate[:, None]
        norm = np.abs(self.linear).sum(axis=1) * (1 + self.g)
        slack = (self.error + self.g * (norm + np.abs(self.constant)) + TINY) * (1 + self.g)
        slack = np.where(self.error == 0, 0.0, slack)
        return values, (slack[cell] + norm[cell] * radius[:, None]) * (1 + self.g)

    @np.errstate(over="ignore", invalid="ignore")
    def combined(self, weight: FloatArray, linear: FloatArray, constant: FloatArray) -> FloatMaps:
        """The functions ``sum_j weight[j, r] f_j + linear[:, r] . u + constant[r]`` on every cell.

        The three are numbers rounded to nearest, each 0 or of a size from ``LEAST`` to ``HUGE``; with one that is not,
        nothing is known of its function.
        """
        outputs, k = self.linear.shape[2], len(linear)
        g = max(self.g, 4 * (outputs + k + 16) * 2.0**-53)
        given = np.abs(np.concatenate([weight, linear, constant[None]]))
        known = ((given == 0) | ((given >= LEAST) & (given <= HUGE))).all(axis=0)
        own = np.abs(self.linear).sum(axis=1) + np.abs(self.constant)
        size = own @ np.abs(weight) + np.abs(linear).sum(axis=0) + np.abs(constant)
        error = (self.error @ np.abs(weight) + g * size + TINY) * (1 + g)
        return FloatMaps(self.linear @ weight + linear, self.constant @ weight + constant,
                         np.where(known & (error < np.inf), error, np.inf), g)

    @np.errstate(over="ignore", invalid="ignore")
    def marks(self) -> tuple[FloatArray, FloatArray]:
        """For each cell an interval (its ends): cells with one affine map have a common point in theirs."""
        _, k, outputs = self.linear.shape
        factors = np.random.default_rng(0).uniform(-1, 1, (k + 1, outputs))
        mark = (self.linear * factors[:k]).sum(axis=(1, 2)) + (self.constant * factors[k]).sum(axis=1)
        size = np.abs(self.linear).sum(axis=(1, 2)) + np.abs(self.constant).sum(axis=1)
        off = (self.error.sum(axis=1) + (1 + k * outputs) * self.g * size + TINY) * (1 + self.g)
        known = off < np.inf
        return np.where(known, np.nextafter(mark - off, -np.inf), -np.inf), np.where(
            known, np.nextafter(mark + off, np.inf), np.inf)

    @np.errstate(over="ignore", invalid="ignore")
    def full_rank(self) -> Flags:
        """For each cell whether the linear part is proved to have full rank, the smaller one of k and the number of
        outputs."""
        count, k, outputs = self.linear.shape
        if min(k, outputs) == 0:
            return np.ones(count, dtype=np.bool_)
        finite = np.isfinite(self.error.max(axis=1))
        matrix = np.where(finite[:, None, None], self.linear, 0.0)
        try:
            inverse = np.linalg.pinv(matrix)
        except np.linalg.LinAlgError:
            return np.zeros(count, dtype=np.bool_)
        left, right = (matrix, inverse) if k <= outputs else (inverse, matrix)
        sizes = np.abs(left) @ np.abs(right)
        residual = np.abs(np.eye(min(k, outputs)) - left @ right) + 2 * self.g * (sizes + 1)
        beyond = self.error.sum(axis=1) * np.abs(inverse).sum(axis=(1, 2))
        proved: Flags = finite & (residual.sum(axis=2).max(axis=1) + beyond < 0.5)
        return proved


class FloatNetwork:
    """The layers over a chart, from which :class:`FloatMaps` of many cells are made."""

    def __init__(self, layers: tuple[Layer, ...], chart: Chart, maps: ExactMaps) -> None:
        self.plan = make_plan(layers, chart, maps)
        if not layers:
            table, denominator = maps.output_table(b"")
            found = [rounded(tuple(map(int, row)), denominator, self.plan.g) for row in table.tolist()[:-1]]
            self._chart = (np.array([row for row, _ in found]).T.reshape(chart.dimension + 1, len(found)),
                           np.array([error for _, error in found]))

    @np.errstate(over="ignore", invalid="ignore")
    def maps(self, signs: Bytes) -> FloatMaps:
        """The maps on the cells with these signs, shape (cells, units), one byte a unit: 0 inactive, else active."""
        plan = self.plan
        first = (plan.first - plan.first[0]).tolist()
        # Cells next to each other that have the signs of all layers before in common share rows: one entry for each run
        begin = np.zeros(1, dtype=np.int64)
        other = np.ones(len(signs), dtype=np.bool_)
        other[1:] = False
        rows, error = (values[None] for values in (self._chart if len(first) == 1 else (
            plan.rows[:, plan.first[0]:plan.first[1]], plan.error[plan.first[0]:plan.first[1]])))
        for layer in range(len(first) - 1):
            own = signs[:, first[layer]:first[layer + 1]]
            other[1:] |= (own[1:] != own[:-1]).any(axis=1)
            refined = np.flatnonzero(other)
            before = np.searchsorted(begin, refined, side="right") - 1
            begin, active = refined, own[refined] != 0
            rows, error = self._activated(layer, *self._settled(rows, error), before, active)
            if layer + 2 < len(first):
                rows, error = self._weighted(layer + 1, rows, error)
        rows, error = self._settled(rows, error)
        run = np.cumsum(other) - 1
        return FloatMaps(rows[run, :-1], rows[run, -1], error[run], plan.g)

    def _activated(self, layer: int, rows: FloatArray, error: FloatArray, before: Indices, active: Flags
                   ) -> tuple[FloatArray, FloatArray]:
        """The outputs of a layer from the pre-activations ``before``."""
        plan = self.plan
        span = slice(int(plan.first[layer]), int(plan.first[layer + 1]))
        rows = rows[before] * np.where(active, 1.0, plan.slope[span])[:, None]
        scaled = error[before] * np.where(active, 1.0, plan.slope_magnitude[span])
        return rows, np.where(scaled == 0, 0.0, scaled + plan.g * np.abs(rows).sum(axis=1) + TINY)

    def _weighted(self, layer: int, rows: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The pre-activations of a layer from the outputs of the one before."""
        plan, count = self.plan, len(rows)
        span = slice(int(plan.first[layer]), int(plan.first[layer + 1]))
        weight, magnitude = (values[plan.weight_at[layer]:plan.weight_at[layer + 1]].reshape(rows.shape[2], -1)
                             for values in (plan.weight, plan.magnitude))
        rows = (rows.reshape(-1, rows.shape[2]) @ weight).reshape(count, -1, weight.shape[1])
        rows[:, -1] += plan.bias[span]
        return rows, error @ magnitude + plan.bias_error[span]

    def _settled(self, rows: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Errors with their own roundings; what is not known is zeros with an infinite error."""
        error = error * (1 + self.plan.g)
        known = (error < np.inf) & (np.abs(rows).sum(axis=1) <= HUGE)
        return np.where(known[:, None], rows, 0.0), np.where(known, error, np.inf)
