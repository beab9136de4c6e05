"""The linear bounds of ``bounds.py`` on exact integers of one machine word: the fast form of ``exact_bounds.py``.

Rule: a float64 array here holds either given numbers (bounds, boxes, slopes), or integers of magnitude at most
``2^53``, whose sums and products are exact while they stay below ``2^53``, or a proposal that need not be right.  All
else is int64 or Python's integers.  What is cut off is cut off by a shift, which rounds down, and each cut is
justified below.

Theory.  Going backwards, row r stands for a function ``sum_i c_i y_i + K`` whose true coefficients are only known up
to an interval, and all that is used of them is

    (C)   C_i <= 2^e c_i <= C_i + w,         C_i integers, |C_i| <= 2^46, e and w >= 0 one integer for each row.

*From y to z.*  For any integers ``D_i``, with ``d_i = D_i / 2^e``, and any integers ``S_i >= s_i 2^e c_i``,

    c_i act(t) - d_i t  >=  2^-e (C_i - D_i) t   for t >= 0,          >=  2^-e (S_i - D_i) t   for t <= 0.

So ``D_i = C_i`` costs nothing on a unit with ``z_i >= 0``, ``D_i = S_i`` nothing on one with ``z_i <= 0``, and on an
undecided one ``m_i = 2^-e min((S_i - D_i) l_i, 0, (C_i - D_i) u_i)`` for whichever ``D_i`` is proposed.  A linear
unit, which may have either sign, takes ``D_i = C_i``.  As ``0 <= 2^e c_i - C_i <= w``, that costs

    c_i z_i - d_i z_i  =  2^-e (2^e c_i - C_i) z_i  >=  -2^-e w M_i      with  |z_i| <= M_i,

so ``2^-e w sum M_i``, summed over the linear units, is subtracted.  Here ``M_i = sum_k |W_ik| Y_k + |b_i|``, rounded
up, where ``|y'_k| <= Y_k`` on the root, which contains every branch: at the input Y is the largest value in the box;
behind a layer it is ``max(1, |s_i|)`` times ``M_i`` or, if that is less, the largest value that the root's bounds on
``z_i`` leave.  Without such M, on an unbounded box for example, a row needs ``w = 0`` or is given up.

*From z to the layer before.*  The layer's table holds ``V = floor(2^q [W | b])``.  With ``N = sum max(0, -D_i)``,
``2^(e+q) (d W)_k`` lies between ``(D V)_k - N`` and ``(D V)_k - N + sum |D_i|``, and equals ``(D V)_k`` where column
k of V is not rounded; with float32 weights none is, unless their range is extreme.  ``D V`` is computed exactly:
``D`` and ``V`` are written with digits of magnitude at most ``2^23`` in base ``2^24``; the products of digits, summed
over at most 64 units at a time, are integers of magnitude at most ``64 * 2^46 = 2^52``, exact in float64 in whichever
order they are summed.  They are added up in int64 as ``H 2^48 + L`` with ``0 <= L < 2^48``; then ``C = floor((H 2^48
+ L) / 2^s)``, with s just large enough for ``|C| <= 2^46``, restores (C).

*Sizes.*  ``|S| <= 2^47`` is tested and no larger ``D`` is proposed: two digits.  A layer of n units keeps ``|V| <=
2^k``, ``k = 62 - (bit length of n)``, so ``|D V| < 2^109`` and ``|H| < 2^61``; ``n <= 4096`` keeps each partial sum
of H below ``2^62``. Rows that break a test are not proved; ``exact_bounds.py`` then takes them to integers of any
length.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np
import numpy.typing as npt
from flint import fmpz_mat

from verifier.kernel.bounds import Slopes
from verifier.kernel.branches import Branches, Indices, Mask
from verifier.kernel.network import Layer
from verifier.kernel.rational import FloatArray, Matrix, ceil_float, floor_float

FRACTION_BITS = 256
DIGIT = 24
HALF, DIGIT_MASK = 1 << 23, (1 << 24) - 1
LOW_BITS = 48
LOW_MASK = (1 << 48) - 1
COEFFICIENT_BITS = 46
MOST = 1 << 47  # of |S|, and so of |D|
MOST_WIDTH = 1 << 46
MAGNITUDE_BITS = 64
MOST_SLOPE = 1024
MOST_UNITS = 4096
TERMS = 64
ROWS = 256  # of one pass: its arrays stay in the cache
Words = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]


class Table:
    """The rational matrix ``[W | b]``: exactly, as ``numerators`` over one positive ``denominator`` (``objects`` are
    the numerators as an array); and as words ``values = floor(2^scale [W | b])``, with their ``digits``, lowest
    first, side by side as float64, and for each column whether anything was ``rounded`` (0 or 1)."""

    def __init__(self, weight: Matrix, bias: Matrix) -> None:
        (w, p), (b, q) = weight.integers(), bias.integers()
        rows, columns = weight.shape[0], weight.shape[1] + 1
        self.denominator = lcm(p, q)
        entries = [int(v) * (self.denominator // d) for own, last in zip(w.table(), b.table(), strict=True)
                   for v, d in (*((v, p) for v in own), (last[0], q))]
        self.numerators = fmpz_mat(rows, columns, entries)
        self.objects = np.array(entries, dtype=object).reshape(rows, columns)
        # |entry| / denominator < 2^(difference of the bit lengths + 1)
        largest = max(map(abs, entries), default=0)
        self.scale = 61 - rows.bit_length() - largest.bit_length() + self.denominator.bit_length()
        if self.denominator.bit_count() == 1:
            self.scale = min(self.scale, self.denominator.bit_length() - 1)
        up, down = max(self.scale, 0), max(-self.scale, 0)
        parts = [divmod(v << up, self.denominator << down) for v in entries]
        self.values: Words = np.array([v for v, _ in parts], dtype=np.int64).reshape(rows, columns)
        cut = np.array([rest != 0 for _, rest in parts], dtype=bool).reshape(rows, columns)
        self.rounded = np.asarray(cut.any(axis=0), dtype=np.int64)
        digits: list[Words] = []
        rest = self.values
        while not digits or rest.any():
            digit, rest = _last_digit(rest)
            digits.append(digit)
        self.digits = np.concatenate(digits, axis=1).astype(np.float64)


class LayerTable:
    """One layer as the two exact arithmetics need it."""

    def __init__(self, layer: Layer) -> None:
        self.table = Table(layer.weight, layer.bias)
        numerators, self.slope_denominator = layer.slope.integers()
        self.slope_numerators = np.array([int(v) for v in numerators.entries()], dtype=object)
        slopes = [row[0] for row in layer.slope.rows()]
        self.slope_below = np.array([floor_float(s) for s in slopes])
        self.slope_above = np.array([ceil_float(s) for s in slopes])
        self.rising = np.array([s > 0 for s in slopes], dtype=bool)
        self.linear = ~layer.has_phase
        self.any_linear = bool(self.linear.any())
        self.flat = not any(slopes)  # then every S_i is 0 and w is not needed
        self.fits = layer.units <= MOST_UNITS and all(abs(s) <= MOST_SLOPE for s in slopes)
        self.linear_magnitude: int | None = None  # sum M_i over the linear units, times 2^MAGNITUDE_BITS

    def calibrate(self, reach: Objects | None, lower: FloatArray, upper: FloatArray) -> Objects | None:
        """From Y of the layer before, and the root's bounds on this one, its M and its own Y: times
        ``2^MAGNITUDE_BITS``, rounded up; None: infinite."""
        if reach is None:
            return None
        total = -((np.abs(self.table.objects) @ -np.append(reach, 1 << MAGNITUDE_BITS)) // self.table.denominator)
        self.linear_magnitude = int(total[self.linear].sum())
        bound = magnitudes(np.where(self.linear, 0.0, lower), np.where(self.linear, 0.0, upper))
        if bound is not None:
            total = np.where(self.linear, total, np.minimum(total, bound))
        steep = np.maximum(np.abs(self.slope_numerators), self.slope_denominator)
        result: Objects = -((-total * steep) // self.slope_denominator)
        return result

    def sides(self, lower: FloatArray, upper: FloatArray) -> tuple[Mask, Mask, Mask, Mask]:
        """``(active, inactive, undecided, unbounded)``: for every branch and unit whether the unit is linear or has
        ``z >= 0``, else ``z <= 0``, else finite bounds; and for every branch whether a unit is none of these."""
        active = self.linear | (lower >= 0)
        inactive = ~active & (upper <= 0)
        undecided = ~active & ~inactive & np.isfinite(lower) & np.isfinite(upper)
        return active, inactive, undecided, np.asarray(~(active | inactive | undecided).all(axis=1))


@dataclass(frozen=True)
class _Rows:
    """(C): coefficients ``c`` of shape (R, units), ``scale`` (the e's) and ``width`` (the w's) of shape (R,)."""

    c: Words
    scale: Words
    width: Words


@dataclass(frozen=True)
class _Product:
    """``high 2^48 + low <= 2^scale (coefficients, constant) <= high 2^48 + low + spread``; the constant, in the last
    column, is only bounded from below."""

    high: Words
    low: Words
    scale: Words
    spread: Words


@dataclass(frozen=True)
class Start:
    """What to bound: ``sign[r] * (row index[r] of the table) . (y, 1)``, where ``y`` are the outputs of ``layer``
    (-1: the input) and ``sign`` is +-1; plus ``inputs[r] . x / denominator`` unless ``inputs`` is None."""

    layer: int
    table: Table
    index: Indices
    sign: Words
    inputs: Objects | None = None
    denominator: int = 1

    def take(self, part: Indices | slice) -> Start:
        """These rows of it."""
        inputs = None if self.inputs is None else self.inputs[part]
        return Start(self.layer, self.table, self.index[part], self.sign[part], inputs, self.denominator)

    def product(self) -> _Product:
        """The same in the form that a multiplication leaves, without the input part."""
        value, rounded = self.table.values[self.index], self.table.rounded
        value = np.where(self.sign[:, None] > 0, value, -value - rounded)
        count = len(self.index)
        return _Product(value >> LOW_BITS, value & LOW_MASK, np.full(count, self.table.scale),
                        np.full(count, int(rounded[:-1].any())))


class WordBounds:
    """Lower bounds on the branches of one query.  ``layers`` are the network's."""

    def __init__(self, layers: list[LayerTable]) -> None:
        self.layers = layers

    def lower(self, branches: Branches, start: Start, branch: Indices, slopes: list[Slopes]) -> list[int | None]:
        """For each r a lower bound of what ``start`` says, on branch ``branch[r]``, as a multiple of
        ``2^-FRACTION_BITS``; None where the numbers do not fit or a bound that is needed is infinite."""
        if not all(layer.fits for layer in self.layers[:start.layer + 1]):
            return [None] * len(branch)
        result: list[int | None] = []
        for first in range(0, len(branch), ROWS):
            part = slice(first, first + ROWS)
            result += self._lower(branches, start.take(part), branch[part], take_slopes(slopes, part))
        return result

    def _lower(self, branches: Branches, start: Start, branch: Indices, slopes: list[Slopes]) -> list[int | None]:
        product = start.product()
        constant, fits = np.zeros(len(branch), dtype=object), np.ones(len(branch), dtype=bool)
        for j in range(start.layer, -1, -1):
            layer = self.layers[j]
            rows = _shorten(product, need_width=not layer.flat)
            d, least, fit = _relax(layer, rows, branches.lower[j], branches.upper[j], branch, slopes[j])
            fits &= fit
            constant += _constant(product) + least
            product = _multiply(d, rows.scale, layer.table)
        coefficients = _long(product.high[:, :-1], product.low[:, :-1])
        spread = product.spread.astype(object)[:, None] if product.spread.any() else None
        least, bounded = corner(branches, start, branch, coefficients, spread, product.scale.astype(object), 1)
        total = constant + _constant(product) + least
        return [value if ok else None for value, ok in zip(total.tolist(), fits & bounded, strict=True)]


def _shorten(product: _Product, need_width: bool) -> _Rows:
    """Restore (C).  ``w`` is 0 only where it is needed and nothing was cut off.  Small exact numbers are scaled up, to
    leave room for the fractions that slopes make of them."""
    high, low = product.high[:, :-1], product.low[:, :-1]
    s = _bits((high << (LOW_BITS - COEFFICIENT_BITS)) | (low >> COEFFICIENT_BITS))
    of_low, of_high, up = (a[:, None] for a in (np.minimum(s, LOW_BITS), np.maximum(s - LOW_BITS, 0),
                                                np.maximum(LOW_BITS - s, 0)))
    c = ((high >> of_high) << up) + (low >> of_low)
    width = np.ones(len(c), dtype=np.int64)
    if need_width:
        cut = (low & ((1 << of_low) - 1)) | (high & ((1 << of_high) - 1))
        width = np.where(product.spread > 0, 2 + (product.spread >> np.minimum(s, 63)), cut.any(axis=1))
    if not s.all():
        more = np.where((s == 0) & (product.spread == 0), COEFFICIENT_BITS - _bits(c), 0)
        c, s = c << more[:, None], s - more
    return _Rows(c, product.scale - s, width)


def _bits(x: Words) -> Words:
    """For each row the least b (at times one more, as float64 rounds) with ``-2^b <= x < 2^b``."""
    _, exponent = np.frexp(np.maximum(x, ~x).max(axis=1, initial=0).astype(np.float64))
    return np.asarray(exponent, dtype=np.int64)


def _relax(layer: LayerTable, rows: _Rows, lower: FloatArray, upper: FloatArray, branch: Indices,
           slopes: Slopes) -> tuple[Words, Objects, Mask]:
    """From y to z: ``D``, ``sum m_i`` and whether every test has held (where it has not, the row of ``D`` is 0)."""
    c, scale, width = rows.c, rows.scale, rows.width
    active, inactive, undecided, unbounded = layer.sides(lower, upper)
    known = not layer.any_linear or layer.linear_magnitude is not None
    fits = ~unbounded[branch] & (width <= (MOST_WIDTH if known else 0))
    d = np.where(active[branch], c, 0)
    s = None
    if not layer.flat:
        s = _times_slope(layer, c + width[:, None] * layer.rising)
        d = np.where(inactive[branch], s, d)
        fits &= (np.abs(s) <= MOST).all(axis=1)
    least = np.zeros(len(c), dtype=object)
    r, i = np.nonzero(undecided[branch])
    if len(r):
        b = branch[r]
        own, low, high = c[r, i], lower[b, i], upper[b, i]
        p, n = slopes.p[r if slopes.own_p else b, i], slopes.n[r if slopes.own_n else b, i]
        with np.errstate(invalid="ignore", over="ignore"):
            proposal = own * np.where(own >= 0, p, n)
            chosen = np.where(np.abs(proposal) <= MOST, proposal, 0.0).astype(np.int64)
        d[r, i] = chosen
        at_low, low_scale = _floor_product((0 if s is None else s[r, i]) - chosen, low)
        at_high, high_scale = _floor_product(own - chosen, high)
        top = int(max(low_scale.max(), high_scale.max()))
        m = np.minimum(at_low >> np.minimum(top - low_scale, 63), at_high >> np.minimum(top - high_scale, 63))
        total = np.zeros(len(c), dtype=np.int64)
        np.add.at(total, r, np.minimum(m, 0))
        least = fixed(total.astype(object), top - scale)
    if layer.linear_magnitude and width.any():
        least += fixed(width.astype(object) * -layer.linear_magnitude, -scale - MAGNITUDE_BITS)
    d[~fits] = 0
    return d, least, fits


def _times_slope(layer: LayerTable, x: Words) -> Words:
    """Integers ``S_i >= s_i x_i``."""
    product, scale = _floor_product(-x, np.where(x >= 0, layer.slope_above, layer.slope_below))
    return -((product >> np.clip(-scale, 0, 63)) << np.maximum(scale, 0))


def _floor_product(x: Words, v: FloatArray) -> tuple[Words, Words]:
    """``(a, k)`` with ``x v - 2^k < a 2^k <= x v``, for ``|x| <= 2^48``; ``|a| <= 2^50``.

    With ``v = m 2^(k-51)``, ``|m| <= 2^53``, and ``x = x1 2^24 + x0``, ``m = m1 2^27 + m0`` the product is
    ``x m = x1 m1 2^51 + x1 m0 2^24 + x0 m1 2^27 + x0 m0``; flooring in steps is flooring once."""
    mantissa, exponent = np.frexp(v)
    m = (mantissa * 2.0**53).astype(np.int64)
    x1, x0, m1, m0 = x >> 24, x & DIGIT_MASK, m >> 27, m & ((1 << 27) - 1)
    return x1 * m1 + ((x1 * m0 + ((x0 * m1) << 3) + ((x0 * m0) >> 24)) >> 27), exponent.astype(np.int64) - 2


def _multiply(d: Words, scale: Words, table: Table) -> _Product:
    """From z to the layer before."""
    count, (units, columns) = len(d), table.values.shape
    digits = np.concatenate(_last_digit(d)).astype(np.float64)
    sums = np.zeros((2 * count, table.digits.shape[1]), dtype=np.int64)
    for first in range(0, units, TERMS):
        part = slice(first, first + TERMS)
        sums += (digits[:, part] @ table.digits[part]).astype(np.int64)
    places = [np.zeros((count, columns), dtype=np.int64) for _ in range(sums.shape[1] // columns + 1)]
    for k in range(sums.shape[1] // columns):
        part = slice(k * columns, (k + 1) * columns)
        places[k] += sums[:count, part]
        places[k + 1] += sums[count:, part]
    spread = np.zeros(count, dtype=np.int64)
    if table.rounded.any():
        places[0] -= np.maximum(-d, 0).sum(axis=1, keepdims=True) * table.rounded
        spread = np.abs(d).sum(axis=1) * int(table.rounded[:-1].any())
    second = places[1] + (places[0] >> DIGIT)
    low = (places[0] & DIGIT_MASK) | ((second & DIGIT_MASK) << DIGIT)
    high = second >> DIGIT
    for k, place in enumerate(places[2:]):
        high += place << (DIGIT * k)
    return _Product(high, low, scale + table.scale, spread)


def _last_digit(x: Words) -> tuple[Words, Words]:
    """``(digit, rest)`` with ``x = rest 2^24 + digit`` and ``-2^23 <= digit < 2^23``."""
    digit: Words = ((x + HALF) & DIGIT_MASK) - HALF
    return digit, (x - digit) >> DIGIT


def _constant(product: _Product) -> Objects:
    return fixed(_long(product.high[:, -1], product.low[:, -1]), -product.scale)


def _long(high: Words, low: Words) -> Objects:
    """``high 2^48 + low`` as Python integers."""
    result: Objects = (high.astype(object) << LOW_BITS) + low.astype(object)
    return result


def take_slopes(slopes: list[Slopes], part: Indices | slice) -> list[Slopes]:
    """The slopes of a part of the bounds that they are for."""
    return [Slopes(s.p[part] if s.own_p else s.p, s.n[part] if s.own_n else s.n, s.own_p, s.own_n) for s in slopes]


def fixed(values: Objects, exponent: Words | Objects, denominator: int = 1) -> Objects:
    """``values 2^exponent / denominator`` as multiples of ``2^-FRACTION_BITS``, rounded down; shapes (R,)."""
    shifts = (exponent + FRACTION_BITS).tolist()
    scaled = [v << k if k >= 0 else v >> -k for v, k in zip(values.tolist(), shifts, strict=True)]
    return np.array(scaled if denominator == 1 else [v // denominator for v in scaled], dtype=object)


def dyadics(values: FloatArray) -> tuple[Objects, int]:
    """``(n, k)`` with ``values = n / 2^k`` exactly and ``k >= 0``; the values must be finite."""
    mantissa, exponent = np.frexp(values)
    k = max(0, 53 - int(exponent.min(initial=0)))
    n = (mantissa * 2.0**53).astype(np.int64).astype(object)
    return n << (exponent.astype(np.int64) + (k - 53)).astype(object), k


def magnitudes(lower: FloatArray, upper: FloatArray) -> Objects | None:
    """The largest ``|v|`` with ``lower <= v <= upper``, times ``2^MAGNITUDE_BITS``, rounded up; None if infinite."""
    bound = np.maximum(np.abs(lower), np.abs(upper))
    if not np.isfinite(bound).all():
        return None
    numbers, bits = dyadics(bound)
    result: Objects = -((-numbers << MAGNITUDE_BITS) >> bits)
    return result


def corner(branches: Branches, start: Start, branch: Indices, c: Objects, spread: Objects | None, scale: Objects,
           denominator: int) -> tuple[Objects, Mask]:
    """The minimum, over the branch's box, of the input part of ``start`` plus the linear function whose coefficients,
    times ``2^scale denominator``, lie in ``[c, c + spread]`` (None: equal ``c``); as a multiple of
    ``2^-FRACTION_BITS``, rounded down.  Also whether the box is bounded."""
    bounded = np.asarray((np.isfinite(branches.lo) & np.isfinite(branches.hi)).all(axis=1))
    ends, bits = dyadics(np.where(bounded[:, None], np.stack([branches.lo, branches.hi]), 0.0))
    lo, hi = ends[:, branch]
    if start.inputs is not None:
        down = np.maximum(scale, 0)
        factor = start.denominator << np.maximum(-scale, 0)[:, None]
        c = c * factor + ((start.inputs * denominator) << down[:, None])
        spread = None if spread is None else spread * factor
        scale, denominator = down, denominator * start.denominator
    if spread is None:
        least = np.minimum(c * lo, c * hi)
    else:
        least = np.minimum((c + spread * (lo < 0)) * lo, (c + spread * (hi < 0)) * hi)
    return fixed(least.sum(axis=1), -(scale + bits), denominator), bounded[branch]
