r"""The network in floating point with its error: what the compiled traversal computes with, and why it is rigorous.

Coordinates are those of a bounded chart, so every point of the domain has ``|u_j| <= 1``.  (Elsewhere the bound of a
predicate's error is to be multiplied by the largest coordinate; rows and their errors are the same.)

**Rows.**  On a cell, a unit's pre-activation is ``f(u) = a . u + c``.  The traversal holds float64 numbers ``A, C``
with

    |A - a|_1 + |C - c|  <=  error,      size = |A|_1 + |C|,      norm = |A|_1.

A layer's rows are sums ``sum_k W_ik s_k (A_k, C_k) + b_i`` over the K units of the layer before.  Whatever the order
of the additions, fused or not, each is off by at most ``gamma_(K + 8)`` times the sum of the magnitudes of its terms
(Higham, Accuracy and Stability, section 3.1; the rounding of W, s and b to binary64 and the two products are among the
eight), so

    error_i  =  sum_k |W_ik| |s_k| (error_k + g size_k + TINY)  +  g |b_i| + TINY,

with ``g = 4 (K + n + 16) 2^-53``, four times what is needed: that covers the rounding of the error terms themselves.
TINY stands for underflow.  The magnitudes ``|W|``, ``|s|`` are kept at least ``2^-300`` unless the number is exactly
zero, so no term vanishes by underflow, and ``error = 0`` holds *only* for a row that is exactly zero: all its terms
are.  Nothing overflows: weights beyond ``2^200`` make the error infinite, and so does a row whose size is beyond it,
which is then kept as zeros (with the first layer's rows and with every one that is formed).

**Predicates.**  A vertex v is known as V with ``|V - v|_inf <= radius``.  Then

    | fl(A . V + C) - f(v) |  <=  slack + norm radius,      slack = (error + g size) (1 + g),

and a float value beyond that bound has the sign of ``f(v)``.  Every comparison is written so that NaN fails: what
fails is decided in exact arithmetic.

**New vertices.**  On an edge pq with ``f(p) > 0 > f(q)``, float values F_p, F_q off by at most e_p, e_q and
``t = f(p) / (f(p) - f(q))``, the float quotient T satisfies
``|T - t| <= (T e_q + (1 - T) e_p) / (F_p - F_q - e_p - e_q) + 2 g``, and ``V = P + T (Q - P)`` is off by at most

    (1 - T) radius_p + T radius_q + |T - t| (|Q - P|_inf + g) + 4 g.

**Refinement.**  These radii grow by a factor with each generation.  When a sign is in doubt, the vertex is computed
anew from n of its facets ``a_f . v + c_f = 0``.  Let M be the float matrix of the ``A_f``, B an approximate inverse,
and ``R_f = |fl(A_f . V + C_f)| + 2 slack_f``, a bound on the exact residual at V when ``|V|_inf <= 2``.  If

    beta = max over i of  ( sum_j | fl(I - B M)_ij | + sum_f |B_if| slack_f )  <  1/2,

where ``slack_f >= g norm_f + error_f`` covers the rounding of the product and ``|A_f - a_f|_1``, then the exact matrix
is regular and ``|V - v|_inf <= max_i sum_f |B_if| R_f / (1 - beta)``: with ``r`` the exact residual, ``V - v = (I -
G)^-1 B r`` where ``|G|_inf <= beta``. What is left is decided exactly: a vertex is the intersection of its facets,
whose rows are exact data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from verifier.geometry.chart import Chart, Row
from verifier.geometry.exact_maps import ExactMaps
from verifier.kernel.network import Layer
from verifier.kernel.rational import FloatArray, Matrix, nearest_float

Indices = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

TINY = 2.0**-500
LEAST = 2.0**-300
HUGE_BITS = 200
HUGE = 2.0**HUGE_BITS


class Plan(NamedTuple):
    """Constant arrays.  Rows are numbered through: first the domain's, then the units of all layers.

    ``first[l]`` is the first row of layer l, ``first[-1]`` the number F of rows.  ``weight`` holds the transposed
    weights of layers 1, 2, ... one after another, layer l from ``weight_at[l]``; ``magnitude`` bounds their absolute
    values. ``rows`` (n + 1, F), ``error``, ``size``, ``norm``, ``slack`` (F,) are filled for the domain and for layer
    0.
    """

    first: Indices
    weight: FloatArray
    magnitude: FloatArray
    weight_at: Indices
    bias: FloatArray
    bias_error: FloatArray
    slope: FloatArray
    slope_magnitude: FloatArray
    phase: Bytes
    rows: FloatArray
    error: FloatArray
    size: FloatArray
    norm: FloatArray
    slack: FloatArray
    g: float


def make_plan(layers: tuple[Layer, ...], chart: Chart, maps: ExactMaps) -> Plan:
    """The float form of ``layers`` over a bounded chart."""
    n = chart.dimension
    units = [layer.units for layer in layers]
    first = np.cumsum([len(chart.rows), *units]).astype(np.int64)
    widest = max([n, *units])
    g = 4.0 * (widest + n + 16) * 2.0**-53
    total = int(first[-1])
    at, weights, magnitudes = [0], [], []
    for layer in layers[1:]:
        weight, magnitude = _floats(layer.weight)
        weights.append(weight.T.ravel())
        magnitudes.append(magnitude.T.ravel())
        at.append(at[-1] + weight.size)
    bias, bias_magnitude, slope, slope_magnitude = (np.zeros(total) for _ in range(4))
    phase = np.zeros(total, dtype=np.uint8)
    for layer, start, end in zip(layers, first[:-1], first[1:], strict=True):
        span = slice(int(start), int(end))
        (bias[span], bias_magnitude[span]), (slope[span], slope_magnitude[span]) = (
            (values[:, 0], magnitude[:, 0]) for values, magnitude in (_floats(layer.bias), _floats(layer.slope)))
        phase[span] = layer.has_phase
    rows = np.zeros((n + 1, total))
    error = np.zeros(total)
    for f, row in enumerate(chart.rows):
        rows[:, f], error[f] = rounded(row, _scale(row), g)
    if layers:
        z, d = maps.pre_activations(0, b"")
        for i, integers in enumerate(z.tolist()):
            rows[:, first[0] + i], error[first[0] + i] = rounded(tuple(int(v) for v in integers), d, g)
    norm = np.abs(rows[:n]).sum(axis=0) * (1 + g)
    size = norm + np.abs(rows[n])
    return Plan(first, np.concatenate([*weights, np.zeros(0)]), np.concatenate([*magnitudes, np.zeros(0)]),
                np.array([0, *at], dtype=np.int64), bias, np.where(bias_magnitude > 0, g * bias_magnitude + TINY, 0.0),
                slope, slope_magnitude, phase, rows, error, size, norm, (error + g * size) * (1 + g), g)


def _floats(matrix: Matrix) -> tuple[FloatArray, FloatArray]:
    """Nearest floats, and upper bounds of their magnitudes that are 0 for exact zeros only and infinite beyond HUGE."""
    if matrix.is_dyadic:
        values = matrix.approximate()
        zero = values == 0
    else:
        rows = matrix.rows()
        values = np.array([[nearest_float(v) for v in row] for row in rows], dtype=np.float64).reshape(matrix.shape)
        zero = np.array([[v == 0 for v in row] for row in rows], dtype=bool).reshape(matrix.shape)
    magnitude = np.where(zero, 0.0, np.maximum(np.abs(values), LEAST))
    huge = magnitude > HUGE
    return np.where(huge, 0.0, values), np.where(huge, np.inf, magnitude)


def _scale(row: Row) -> int:
    return 1 << max(sum(map(abs, row[:-1])), abs(row[-1]), 1).bit_length()


def rounded(row: Row, denominator: int, g: float) -> tuple[FloatArray, float]:
    """The row over the denominator in floats, and its error, which is infinite for a row that is too large."""
    if not any(row):
        return np.zeros(len(row)), 0.0
    if sum(map(abs, row)) > denominator << HUGE_BITS:
        return np.zeros(len(row)), np.inf
    values = np.array([v / denominator for v in row])
    return values, float(g * np.abs(values).sum() + TINY)
