"""The linear bounds of ``bounds.py``, on exact integers.

The theory is the same: for any ``d``, ``c . act(z) >= d . z + sum m_i``.  Here every row of coefficients is a row of
integers over one positive denominator, ``m_i`` and the final corner are evaluated exactly, and only two things are ever
rounded, both towards the safe side:

* ``d`` is shortened to about ``BITS`` bits.  For a unit with ``z >= 0`` rounding ``d`` down is safe (``(c - d) z >= 0``),
  for one with ``z <= 0`` rounding it up is, and for an undecided one any ``d`` is, because ``m_i`` is computed from the
  ``d`` that is used.  Layers with linear units, whose pre-activations have no bounds, are not shortened;
* the running constant is an integer multiple of ``2^-FRACTION_BITS``, rounded down.

No float takes part except as the exact dyadic number it is (bounds, boxes and slopes of a branch).
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import numpy.typing as npt
from flint import fmpz, fmpz_mat

from verifier.kernel.bounds import Slopes
from verifier.kernel.branches import Branches, Indices, Mask
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, common_denominator

BITS = 48
FRACTION_BITS = 160
ONE = fmpz(1) << FRACTION_BITS
Objects = npt.NDArray[np.object_]


class ExactBounds:
    """Proofs of linear bounds for one query, on exact integers; the same two questions as ``FloatBounds``."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.layers = [_LayerIntegers(layer.weight.integers(), layer.bias.integers()) for layer in query.network.layers]
        self.slope = [[row[0] for row in layer.slope.rows()] for layer in query.network.layers]
        self.has_phase = [layer.has_phase for layer in query.network.layers]
        self.rows = [h for disjunct in query.disjuncts for h in disjunct]

    def calibrate(self, root: Branches) -> None:
        """Exact arithmetic needs no error magnitudes."""

    def prove_units(self, branches: Branches, layer: int, branch: Indices, unit: Indices, sign: FloatArray,
                    stated: FloatArray, slopes: list[Slopes]) -> Mask:
        """For each r whether ``sign[r] * z >= stated[r]`` is proved on its branch."""
        integers = self.layers[layer]
        table = np.array(integers.matrix.table(), dtype=object)
        rows = table[unit] * np.where(sign > 0, 1, -1).astype(object)[:, None]
        lower = self._backward(branches, layer - 1, rows[:, :-1], [integers.denominator] * len(unit),
                               [int(v) * ONE // integers.denominator for v in rows[:, -1]], branch, slopes, None)
        return np.array([np.isfinite(s) and value >= ceil(Fraction(float(s)) * int(ONE))
                         for value, s in zip(lower, stated, strict=True)], dtype=bool)

    def prove_rows(self, branches: Branches, row: Indices, branch: Indices, slopes: list[Slopes]) -> Mask:
        """For each r whether half-space ``row[r]`` is proved false everywhere on its branch."""
        inputs = self.query.network.inputs
        half_spaces = [self.rows[r] for r in row]
        denominators = [common_denominator((*h.normal, h.offset)) for h in half_spaces]
        normals = np.array([[fmpz(v.numerator * (d // v.denominator)) for v in h.normal]
                            for h, d in zip(half_spaces, denominators, strict=True)], dtype=object)
        constants = [fmpz(-h.offset.numerator * (d // h.offset.denominator)) * ONE // d
                     for h, d in zip(half_spaces, denominators, strict=True)]
        lower = self._backward(branches, len(self.layers) - 1, normals[:, inputs:], denominators, constants, branch,
                               slopes, (normals[:, :inputs], list(denominators)))
        return np.array([value > 0 or (h.strict and value == 0)
                         for value, h in zip(lower, half_spaces, strict=True)], dtype=bool)

    def _backward(self, branches: Branches, layer: int, c: Objects, denominator: list[int], constant: list[fmpz],
                  branch: Indices, slopes: list[Slopes], input_part: tuple[Objects, list[int]] | None) -> list[fmpz]:
        """Lower bounds, as multiples of ``1 / ONE``, of ``c . y / denominator + constant / ONE`` (+ input part)."""
        for j in range(layer, -1, -1):
            c, denominator, constant = self._relax(branches, j, c, denominator, constant, branch, slopes[j])
            integers = self.layers[j]
            image = fmpz_mat(*c.shape, c.ravel().tolist()) * integers.matrix
            table = np.array(image.entries(), dtype=object).reshape(len(c), -1)
            denominator = [d * integers.denominator for d in denominator]
            constant = [k + v * ONE // d for k, v, d in zip(constant, table[:, -1], denominator, strict=True)]
            c = table[:, :-1]
        if input_part is not None:
            rows, own = input_part
            c = np.array([[v * int(q) + w * int(d) for v, w in zip(left, right, strict=True)]
                          for left, right, d, q in zip(c, rows, denominator, own, strict=True)], dtype=object)
            denominator = [d * q for d, q in zip(denominator, own, strict=True)]
        result = []
        boxes: dict[int, tuple[list[int], list[int], int]] = {}
        for r, b in enumerate(branch.tolist()):
            if b not in boxes:
                lo, hi, unit = _integers(branches.lo[b], branches.hi[b])
                boxes[b] = lo, hi, unit
            lo, hi, unit = boxes[b]
            corner = sum((v * (low if v >= 0 else high) for v, low, high in zip(c[r], lo, hi, strict=True)), fmpz(0))
            result.append(constant[r] + corner * ONE // (denominator[r] * unit))
        return result

    def _relax(self, branches: Branches, j: int, c: Objects, denominator: list[int], constant: list[fmpz],
               branch: Indices, slopes: Slopes) -> tuple[Objects, list[int], list[fmpz]]:
        """From coefficients on ``y`` to coefficients ``d`` on ``z``, with the constants ``sum m_i`` added."""
        low, high = branches.lower[j][branch], branches.upper[j][branch]
        phase = self.has_phase[j]
        active = phase & (low >= 0)
        inactive = phase & (high <= 0) & ~active
        undecided = phase & ~active & ~inactive
        shift = [0] * len(c)
        if phase.all():
            shift = [max(0, int(max(abs(v) for v in row)).bit_length() - BITS) for row in c]
        d = np.full(c.shape, fmpz(0), dtype=object)
        shifts = np.array(shift, dtype=object)
        keep = active | ~phase  # linear units are not shortened: shift is 0 whenever there is one
        rows, units = np.nonzero(keep)
        d[rows, units] = c[rows, units] >> shifts[rows]
        for r, i in zip(*np.nonzero(inactive), strict=True):
            if (s := self.slope[j][i]) != 0:
                d[r, i] = -((-c[r, i] * s.numerator) // (s.denominator << shift[r]))
        constant = list(constant)
        positive = slopes.p if slopes.own_p else slopes.p[branch]
        negative = slopes.n if slopes.own_n else slopes.n[branch]
        for r, i in zip(*np.nonzero(undecided), strict=True):
            value, slope = c[r, i], self.slope[j][i]
            ratio, unit = float(positive[r, i] if value >= 0 else negative[r, i]).as_integer_ratio()
            d[r, i] = chosen = (value * ratio) // (unit << shift[r])
            used = chosen << shift[r]
            (ln, lq), (hn, hq) = float(low[r, i]).as_integer_ratio(), float(high[r, i]).as_integer_ratio()
            # l < 0 < u; every term over the denominator lq * hq * slope.denominator, which is positive
            at_low = (value * slope.numerator - used * slope.denominator) * (ln * hq)
            at_high = (value - used) * (hn * lq * slope.denominator)
            least = min(at_low, at_high, fmpz(0))
            if least:
                constant[r] += least * ONE // (denominator[r] * lq * hq * slope.denominator)
        # a row shortened by t bits stands for 2^t times itself
        scaled = [(d_r, t) for d_r, t in zip(denominator, shift, strict=True)]
        return _unshift(d, scaled) + (constant,)


class _LayerIntegers:
    """``[W | b]`` as one integer matrix over one positive denominator."""

    def __init__(self, weight: tuple[fmpz_mat, int], bias: tuple[fmpz_mat, int]) -> None:
        (w, p), (b, q) = weight, bias
        self.denominator = int(np.lcm.reduce([p, q], dtype=object))
        left, right = self.denominator // p, self.denominator // q
        table = [[v * left for v in row] + [own * right]
                 for row, own in zip(w.table(), b.entries(), strict=True)]
        self.matrix = fmpz_mat(w.nrows(), w.ncols() + 1, [v for row in table for v in row])


def _unshift(d: Objects, scaled: list[tuple[int, int]]) -> tuple[Objects, list[int]]:
    """Rows of ``d`` times ``2^shift`` over their denominators, with the powers of two cancelled."""
    denominators = []
    for r, (denominator, shift) in enumerate(scaled):
        common = min(shift, (denominator & -denominator).bit_length() - 1)
        if shift > common:
            d[r] = d[r] << (shift - common)
        denominators.append(denominator >> common)
    return d, denominators


def _integers(lo: FloatArray, hi: FloatArray) -> tuple[list[int], list[int], int]:
    """Both corners of a bounded box as integers over one denominator."""
    ratios = [v.as_integer_ratio() for v in (*lo.tolist(), *hi.tolist())]
    unit = max(q for _, q in ratios)
    values = [p * (unit // q) for p, q in ratios]
    return values[:len(lo)], values[len(lo):], unit
