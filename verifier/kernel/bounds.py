"""Rigorous linear bounds on a branch, in floating point.

Theory.  Let ``f = c . y + K`` be a linear function of a layer's outputs ``y = act(z)``, ``z = W y' + b``, on a branch
where ``l <= z <= u``.  For *any* vector ``d``

    c . y  >=  d . z + sum_i m_i,      m_i = min over t in [l_i, u_i] of  c_i act_i(t) - d_i t,

and since ``act_i`` is linear on both sides of 0 the minimum is attained at ``l_i``, ``u_i`` or, when it lies between
them, 0.  Substituting ``z`` gives a linear function of ``y'``; repeated down to the input it gives a linear function of
``x``, whose minimum over a box is attained at a corner.  (This is the Lagrangian dual bound of Wong and Kolter 2018;
with ``d`` chosen by slopes it is CROWN, Zhang et al. 2018.)  *Soundness does not depend on how d is chosen*:
slopes may be guessed, optimised or read from a file.  Here ``d_i = c_i p_i`` for ``c_i >= 0``, else ``c_i n_i``.

Floating-point error.  Let ``u = 2^-53``.  The computed ``c`` and ``d`` of every layer are numbers; the bound is stated
for these numbers and only three roundings matter: ``c' = d W`` (an inner product of n terms, in any order, fused or
not, with ``W`` rounded to binary64 once), the sums of ``m_i`` and ``d . b``, and the corner's inner product.  Each is
off by at most ``(n + 3 + 2 L) u / (1 - (n + 3 + 2 L) u)`` times the sum of the magnitudes of its terms (Higham,
Accuracy and Stability, section 3.1), and an error ``e`` in ``c'_k`` changes the bound by at most ``e Y_k`` with
``|y'_k| <= Y_k``.
Hence the total error is at most ``gamma S`` with

    S = sum over layers of  sum_i |d_i| (M_i + Z_i) + |c_i| Z_i,   plus  sum_k |c_k| X_k at the input,
    M_i = sum_k |W_ik| Y_k + |b_i|,      Z_i = max(1, |s_i|) max(|l_i|, |u_i|),      X_k = max(|lo_k|, |hi_k|),

where Y, M, Z, X may be those of the root, which contains every branch.  ``gamma`` is taken twice as large as needed,
which covers the rounding of ``S``, M and Z themselves.  Underflow adds at most ``2^-1074`` an operation: with
``Y, M, Z <= 2^500`` (else they count as infinite) this is below ``TINY``, except where a coefficient multiplies what
has underflowed (``s_i l_i``, or a weight's rounding); for that M and Z are at least ``2^-500``, so that
``gamma |c_i| Z_i`` exceeds ``2^-1074 |c_i|``.  A NaN or an infinity anywhere makes S NaN or infinite; every comparison
below is written so that it then fails.  So a weight beyond binary64, which is an infinity here (and 0 times it NaN),
proves nothing: that is left to exact arithmetic.

``_relax_numpy`` is the definition; ``_relax_compiled`` is the same loop for numba, whose different order of additions
and fused operations are within the analysis above.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from verifier.kernel.branches import Branches, Indices
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, nearest_float

HUGE = 2.0**500
TINY = 2.0**-200  # far above what underflow needs: integers, which count in 2^-256, accept the same proofs


@dataclass(frozen=True)
class Slopes:
    """One layer's multipliers ``p`` (for coefficients >= 0) and ``n`` (for coefficients < 0): one row a branch, or,
    where the flag ``own_p`` or ``own_n`` is set, one row a bound."""

    p: FloatArray
    n: FloatArray
    own_p: bool = False
    own_n: bool = False


@dataclass(frozen=True)
class LinearFunctions:
    """``R`` lower bounds: ``f_r(x) >= constant[r] + linear[r] . x - error[r]`` on branch ``branch[r]``, and
    ``lower[r]``, the minimum of that over the branch's box."""

    branch: Indices
    constant: FloatArray
    linear: FloatArray
    error: FloatArray
    lower: FloatArray


def default_slopes(lower: FloatArray, upper: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``(p, n)`` for every unit of every branch: the chord on the side where the activation lies below it, and
    on the other side the one of its two pieces that has the larger part of the interval.  Not trusted."""
    undecided = (lower < 0) & (upper > 0)
    with np.errstate(invalid="ignore", over="ignore"):
        width = np.where(undecided, upper - lower, 1.0)
        chord = np.where(undecided, (upper - slope * lower) / width, np.where(upper <= 0, slope, 1.0))
        piece = np.where(undecided, np.where(upper >= -lower, 1.0, slope), chord)
    concave = slope > 1
    return np.where(concave, chord, piece), np.where(concave, piece, chord)


class FloatBounds:
    """Linear bounds for one query.  ``compiled`` chooses the numba form of the inner loop (same meaning)."""

    def __init__(self, query: Query) -> None:
        layers = query.network.layers
        self.query = query
        self.compiled = "verifier.kernel.compiled" in sys.modules
        self.weight = [np.ascontiguousarray(layer.weight.approximate()) for layer in layers]
        self.bias = [np.array(layer.bias.approximate()[:, 0]) for layer in layers]
        self.slope = [np.array(layer.slopes) for layer in layers]
        self.has_phase = [layer.has_phase for layer in layers]
        rows = [(d, h) for d, disjunct in enumerate(query.disjuncts) for h in disjunct]
        inputs = query.network.inputs
        width = inputs + query.network.outputs
        normals = np.array([[nearest_float(v) for v in h.normal] for _, h in rows]).reshape(len(rows), width)
        self.row_disjunct = np.array([d for d, _ in rows], dtype=np.int64)
        self.row_strict = np.array([h.strict for _, h in rows], dtype=bool)
        self.row_input = np.ascontiguousarray(normals[:, :inputs])
        self.row_output = np.ascontiguousarray(normals[:, inputs:])
        self.row_offset = np.array([nearest_float(h.offset) for _, h in rows])
        widest = max([inputs] + [layer.units for layer in layers])
        self.gamma = 4 * (widest + 2 * len(layers) + 16) * 2.0**-53
        self.magnitude: list[FloatArray] = []  # M + Z of each layer whose root bounds are known
        self.extent: list[FloatArray] = []     # Z
        lo, hi = query.domain.outward_floats()
        self.input_extent = _capped(np.maximum(np.abs(lo), np.abs(hi)))  # X
        self._reach = self.input_extent  # Y of the layer before the next one to calibrate

    def calibrate(self, root: Branches) -> None:
        """Compute the error magnitudes of the next layer from the root's bounds on it (call once a layer, in order)."""
        layer = len(self.extent)
        with np.errstate(invalid="ignore", over="ignore"):
            total = np.abs(self.weight[layer]) @ self._reach + np.abs(self.bias[layer])
            total = _capped((1 + self.gamma) * total + 2.0**-500 * (1 + self._reach.sum()))
            bound = np.maximum(np.abs(root.lower[layer][0]), np.abs(root.upper[layer][0]))
            steep = np.maximum(1.0, np.abs(self.slope[layer]))
            extent = _capped(steep * np.where(self.has_phase[layer], bound, total) + 2.0**-500)
            self.magnitude.append(_capped(total + extent))
        self.extent.append(extent)
        self._reach = extent

    def backward(self, branches: Branches, layer: int, coefficients: FloatArray, constant: FloatArray,
                 branch: Indices, slopes: list[Slopes], input_part: FloatArray | None = None,
                 trace: list[tuple[FloatArray, FloatArray]] | None = None) -> LinearFunctions:
        """Lower bounds of ``coefficients[r] . y + constant[r] (+ input_part[r] . x)`` on branch ``branch[r]``, where
        ``y`` are the outputs of ``layer`` (-1: the input).  ``slopes[k]`` are the multipliers of layer ``k <= layer``.
        ``trace`` receives ``(c, d)`` of every layer, last layer first."""
        branch = np.ascontiguousarray(branch)
        k = constant.copy()
        s = np.abs(constant)
        relax = _relax_compiled() if self.compiled else _relax_numpy
        c = np.ascontiguousarray(coefficients)
        own = np.arange(len(c))
        for j in range(layer, -1, -1):
            d = np.empty_like(c)
            chosen = slopes[j]
            relax(c, branch, branches.lower[j], branches.upper[j], self.slope[j],
                  chosen.p, own if chosen.own_p else branch, chosen.n, own if chosen.own_n else branch,
                  self.magnitude[j], self.extent[j], d, k, s)
            if trace is not None:
                trace.append((c, d))
            with np.errstate(invalid="ignore", over="ignore"):
                k += d @ self.bias[j]
                c = d @ self.weight[j]
        with np.errstate(invalid="ignore", over="ignore"):
            if input_part is not None:
                c = c + input_part
                s += np.abs(input_part) @ self.input_extent
            s += np.abs(c) @ self.input_extent
            error = self.gamma * s + TINY
            lower = np.minimum(c * branches.lo[branch], c * branches.hi[branch]).sum(axis=1) + k - error
        return LinearFunctions(branch, k, c, error, lower)

    def unit_bounds(self, branches: Branches, layer: int, branch: Indices, unit: Indices, sign: FloatArray,
                    slopes: list[Slopes]) -> LinearFunctions:
        """Lower bounds of ``sign[r] * z`` for the pre-activation ``z`` of ``unit[r]`` of ``layer`` (``sign`` +-1)."""
        coefficients = self.weight[layer][unit] * sign[:, None]
        constant = self.bias[layer][unit] * sign
        return self.backward(branches, layer - 1, coefficients, constant, branch, slopes)

    def row_bounds(self, branches: Branches, row: Indices, branch: Indices, slopes: list[Slopes],
                   trace: list[tuple[FloatArray, FloatArray]] | None = None) -> LinearFunctions:
        """Lower bounds of ``normal . (x, N(x)) - offset`` for the half-spaces with the flat numbers ``row``."""
        return self.backward(branches, len(self.weight) - 1, self.row_output[row], -self.row_offset[row], branch,
                             slopes, self.row_input[row], trace)

    # The two proofs that a checker's arithmetic offers; see also exact_bounds.py.

    def prove_units(self, branches: Branches, layer: int, branch: Indices, unit: Indices, sign: FloatArray,
                    stated: FloatArray, slopes: list[Slopes]) -> npt.NDArray[np.bool_]:
        """For each r whether ``sign[r] * z >= stated[r]`` is proved on its branch."""
        return np.asarray(self.unit_bounds(branches, layer, branch, unit, sign, slopes).lower >= stated)

    def prove_rows(self, branches: Branches, row: Indices, branch: Indices,
                   slopes: list[Slopes]) -> npt.NDArray[np.bool_]:
        """For each r whether half-space ``row[r]`` is proved false everywhere on its branch."""
        lower = self.row_bounds(branches, row, branch, slopes).lower
        return np.asarray((lower > 0) | (self.row_strict[row] & (lower >= 0)))


def _capped(values: FloatArray) -> FloatArray:
    """Infinite where the analysis of underflow and overflow would not hold."""
    return np.where(values <= HUGE, values, np.inf)


def _relax_numpy(c: FloatArray, branch: Indices, lower: FloatArray, upper: FloatArray, slope: FloatArray,
                 p: FloatArray, p_row: Indices, n: FloatArray, n_row: Indices, magnitude: FloatArray,
                 extent: FloatArray, d: FloatArray, k: FloatArray, s: FloatArray) -> None:
    """One layer: fill ``d``, add ``sum m_i`` to ``k`` and the error magnitude to ``s``."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = lower[branch], upper[branch]
        np.multiply(c, np.where(c >= 0, p[p_row], n[n_row]), out=d)
        at_low = c * np.where(low >= 0, low, slope * low) - d * low
        at_high = c * np.where(high >= 0, high, slope * high) - d * high
        least = np.minimum(at_low, at_high)
        least = np.where((low < 0) & (high > 0), np.minimum(least, 0.0), least)
        k += least.sum(axis=1)
        s += np.abs(d) @ magnitude + np.abs(c) @ extent


@cache
def _relax_compiled() -> Callable[..., None]:
    """The numba form of :func:`_relax_numpy`, compiled (or read from numba's cache) at the first call."""
    from verifier.kernel.compiled import relax  # noqa: PLC0415  numba costs a third of a second to import

    return relax
