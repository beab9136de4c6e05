"""The linear bounds of ``bounds.py``, on exact integers.

The theory is the same: for any ``d``, ``c . act(z) >= d . z + sum m_i``.  No float takes part except as the exact
dyadic number it is (bounds, boxes and slopes of a branch).  Every question is put twice:

1. ``word_bounds.py`` answers it with integers of one machine word, many rows at a time; 2. what that leaves unproved
   is asked again here, of integers of any length.  This is slower by an order of magnitude, but takes every network,
   and rounds nothing until coefficients grow beyond ``BITS`` bits.

In the second form every row of coefficients is a row of integers times a power of two over one positive denominator,
``m_i`` and the final corner are evaluated exactly, and only two things are ever rounded, both towards the safe side:

* ``d`` is shortened to about ``BITS`` bits.  For a unit with ``z >= 0`` rounding ``d`` down is safe (``(c - d) z >=
  0``), for one with ``z <= 0`` rounding it up is, and for an undecided one any ``d`` is, because ``m_i`` is computed
  from the ``d`` that is used.  Layers with linear units, whose pre-activations have no bounds, are not shortened;
* the constant is an integer multiple of ``2^-FRACTION_BITS``, rounded down.
"""

from __future__ import annotations

import numpy as np
from flint import fmpz_mat

from verifier.kernel.bounds import Slopes
from verifier.kernel.branches import Branches, Indices, Mask
from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray, Matrix
from verifier.kernel.word_bounds import (
    LayerTable,
    Objects,
    Start,
    Table,
    WordBounds,
    corner,
    dyadics,
    fixed,
    magnitudes,
    take_slopes,
)

BITS = 192


class ExactBounds:
    """Proofs of linear bounds for one query, on exact integers; the same two questions as ``FloatBounds``.  On a branch
    without finite bounds where a proof would need them, nothing is proved."""

    def __init__(self, query: Query) -> None:
        inputs, outputs = query.network.inputs, query.network.outputs
        rows = [h for disjunct in query.disjuncts for h in disjunct]
        self.strict = np.array([h.strict for h in rows], dtype=bool)
        self.rows = Table(Matrix.from_rationals([h.normal[inputs:] for h in rows], outputs),
                          Matrix.column([-h.offset for h in rows]))
        on_inputs, self.denominator = Matrix.from_rationals([h.normal[:inputs] for h in rows], inputs).integers()
        self.row_inputs = np.array(on_inputs.entries(), dtype=object).reshape(len(rows), inputs)
        self.layers = [LayerTable(layer) for layer in query.network.layers]
        self.words = WordBounds(self.layers)
        self._reach = magnitudes(*query.domain.outward_floats())  # Y of the layer before the next one to calibrate
        self._calibrated = 0

    def calibrate(self, root: Branches) -> None:
        """Compute the magnitudes of the next layer from the root's bounds on it (call once a layer, in order)."""
        layer = self._calibrated
        self._reach = self.layers[layer].calibrate(self._reach, root.lower[layer][0], root.upper[layer][0])
        self._calibrated += 1

    def prove_units(self, branches: Branches, layer: int, branch: Indices, unit: Indices, sign: FloatArray,
                    stated: FloatArray, slopes: list[Slopes]) -> Mask:
        """For each r whether ``sign[r] * z >= stated[r]`` is proved on its branch."""
        proved = np.isfinite(stated)
        at = np.flatnonzero(proved)
        start = Start(layer - 1, self.layers[layer].table, unit[at], np.where(sign[at] > 0, 1, -1))
        numbers, bits = dyadics(stated[at])
        required = (-fixed(-numbers, np.full(len(at), -bits))).tolist()  # rounded up
        proved[at] = self._at_least(required, branches, start, branch[at], take_slopes(slopes, at))
        return proved

    def prove_rows(self, branches: Branches, row: Indices, branch: Indices, slopes: list[Slopes]) -> Mask:
        """For each r whether half-space ``row[r]`` is proved false everywhere on its branch."""
        inputs = self.row_inputs[row] if self.row_inputs.any() else None
        start = Start(len(self.layers) - 1, self.rows, row, np.ones(len(row), dtype=np.int64), inputs, self.denominator)
        # the value must be positive, or may be zero where the half-space is strict
        return self._at_least(np.where(self.strict[row], 0, 1).tolist(), branches, start, branch, slopes)

    def _at_least(self, required: list[int], branches: Branches, start: Start, branch: Indices,
                  slopes: list[Slopes]) -> Mask:
        """Whether a lower bound of at least ``required[r] / 2^FRACTION_BITS`` is proved, for each r."""
        values = self.words.lower(branches, start, branch, slopes)
        proved = np.array([v is not None and v >= need for v, need in zip(values, required, strict=True)], dtype=bool)
        left = np.flatnonzero(~proved)
        if len(left):
            values = self._lower(branches, start.take(left), branch[left], take_slopes(slopes, left))
            proved[left] = [v is not None and v >= required[r] for v, r in zip(values, left.tolist(), strict=True)]
        return proved

    def _lower(self, branches: Branches, start: Start, branch: Indices, slopes: list[Slopes]) -> list[int | None]:
        """As ``WordBounds.lower``, on integers of any length."""
        table = start.table.objects[start.index] * start.sign.astype(object)[:, None]
        denominator, shift = start.table.denominator, np.zeros(len(branch), dtype=object)
        constant, fits = np.zeros(len(branch), dtype=object), np.ones(len(branch), dtype=bool)
        for j in range(start.layer, -1, -1):
            layer = self.layers[j]
            constant += fixed(table[:, -1], shift, denominator)
            # small numbers are scaled up, to leave room for the fractions that slopes make of them
            size = np.array([int(max(map(abs, row), default=0)).bit_length() for row in table[:, :-1]], dtype=object)
            up, cut = np.maximum(BITS - size, 0), np.maximum(size - BITS, 0) * (not layer.any_linear)
            c, shift = table[:, :-1] << up[:, None], shift - up
            d, least, bits, known = _relax(layer, c, cut, branches.lower[j], branches.upper[j], branch, slopes[j])
            constant += fixed(least, shift - bits, denominator * layer.slope_denominator)
            fits &= known
            image = fmpz_mat(len(d), d.shape[1], d.ravel().tolist()) * layer.table.numerators
            table = np.array(image.entries(), dtype=object).reshape(len(d), -1)
            denominator, shift = denominator * layer.table.denominator, shift + cut
        constant += fixed(table[:, -1], shift, denominator)
        least, bounded = corner(branches, start, branch, table[:, :-1], None, -shift, denominator)
        return [int(v) if ok else None for v, ok in zip(constant + least, fits & bounded, strict=True)]


def _relax(layer: LayerTable, c: Objects, cut: Objects, lower: FloatArray, upper: FloatArray, branch: Indices,
           slopes: Slopes) -> tuple[Objects, Objects, int, Mask]:
    """``(d, least, bits, known)``: the coefficients on z are ``d 2^cut``; ``sum m_i`` is ``least / 2^bits`` over the
    slopes' denominator; ``known`` is false for a row that would need a bound that is infinite."""
    active, inactive, undecided, unbounded = layer.sides(lower, upper)
    d = np.where(active[branch], c >> cut[:, None], 0)
    r, i = np.nonzero(inactive[branch] & (layer.slope_numerators != 0))
    d[r, i] = -((-c[r, i] * layer.slope_numerators[i]) // (layer.slope_denominator << cut[r]))
    r, i = np.nonzero(undecided[branch])
    b, own = branch[r], c[r, i]
    chosen = np.where(own >= 0, slopes.p[r if slopes.own_p else b, i], slopes.n[r if slopes.own_n else b, i])
    ratio, bits = dyadics(np.where(np.isfinite(chosen), chosen, 0.0))
    d[r, i] = (own * ratio) >> (cut[r] + bits)
    used = d[r, i] << cut[r]
    (low, high), bits = dyadics(np.stack([lower[b, i], upper[b, i]]))
    at_low = (own * layer.slope_numerators[i] - used * layer.slope_denominator) * low
    at_high = (own - used) * (high * layer.slope_denominator)
    least = np.zeros(len(c), dtype=object)
    np.add.at(least, r, np.minimum(np.minimum(at_low, at_high), 0))
    return d, least, bits, ~unbounded[branch]
