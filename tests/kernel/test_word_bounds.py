"""The integers of one machine word, at the ends of their ranges, against Python's."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from verifier.kernel import word_bounds
from verifier.kernel.bounds import Slopes
from verifier.kernel.branches import Branches
from verifier.kernel.network import Layer
from verifier.kernel.rational import Matrix
from verifier.kernel.word_bounds import FRACTION_BITS, MOST, LayerTable, Start, Table

EXTREMES = (0, 1, -1, 2**23, -(2**23), 2**24 - 1, 2**46, -(2**46), MOST, -MOST, MOST - 2**23, 2**45 + 12345)


def integers(rng: random.Random) -> int:
    return rng.choice(EXTREMES) if rng.random() < 0.5 else rng.randint(-MOST, MOST)


def value(high: np.ndarray, low: np.ndarray) -> list[list[int]]:
    assert ((low >= 0) & (low < 2**48)).all()
    return [[(int(h) << 48) + int(v) for h, v in zip(*rows, strict=True)] for rows in zip(high, low, strict=True)]


@pytest.mark.parametrize("units", [1, 63, 64, 65, 400])
@pytest.mark.parametrize("kind", ["largest", "binary32", "small", "digits", "rational"])
def test_products_are_exact_or_rounded_down(units: int, kind: str) -> None:
    rng = random.Random(f"{units} {kind}")
    weights = {"largest": lambda: rng.choice((Fraction(2**80 - 1), Fraction(1 - 2**80), Fraction(1, 2**10))),
               "binary32": lambda: Fraction(float(np.float32(rng.gauss(0, 1)))),
               "small": lambda: Fraction(rng.randint(-3, 3)),
               "digits": lambda: Fraction((2**23 - 1) * (2**24 + 1) - rng.randint(0, 99)),
               "rational": lambda: Fraction(rng.randint(-9, 9), 7)}
    rows = [[weights[kind]() for _ in range(4)] for _ in range(units)]
    table = Table(Matrix.from_rationals([row[:3] for row in rows], 3), Matrix.column([row[3] for row in rows]))
    assert np.abs(table.values).max() <= 2 ** (62 - units.bit_length())
    assert bool(table.rounded.any()) == (kind in ("largest", "rational"))
    digits = (2**23 - 1) * (2**24 + 1)
    d = [[MOST] * units, [-MOST] * units, [digits - rng.randint(0, 99) for _ in range(units)]]
    d += [[integers(rng) for _ in range(units)] for _ in range(6)]
    product = word_bounds._multiply(np.array(d), np.zeros(len(d), dtype=np.int64), table)
    for r, found in enumerate(value(product.high, product.low)):
        for k in range(4):
            exact = sum(a * row[k] for a, row in zip(d[r], rows, strict=True)) * Fraction(2) ** int(product.scale[r])
            assert found[k] <= exact <= found[k] + (0 if not table.rounded[k] else sum(map(abs, d[r])))
            assert k == 3 or exact <= found[k] + int(product.spread[r])


def test_floor_products() -> None:
    rng = random.Random(5)
    x = [rng.choice((1, 2)) * integers(rng) for _ in range(3000)]
    v = [rng.choice((rng.uniform(-1, 1), 1.0, -2.0, 1 - 2.0**-53, float(np.float32(rng.gauss(0, 1)))))
         * 2.0 ** rng.choice((0, 0, 20, -300, -1074)) for _ in x]
    found, scale = word_bounds._floor_product(np.array(x), np.array(v))
    for a, b, f, k in zip(x, v, found.tolist(), scale.tolist(), strict=True):
        assert f == a * Fraction(b) // Fraction(2) ** k
        assert abs(f) <= 2**50


def test_shortened_coefficients_are_the_floor_with_46_bits() -> None:
    rng = random.Random(6)
    for _ in range(300):
        bits = rng.randint(0, 108)
        numbers = [rng.randint(-2**bits, 2**bits) << rng.choice((0, 60 if bits < 48 else 0)) for _ in range(4)]
        high, low = (np.array([[f(v) for v in numbers]]) for f in (lambda v: v >> 48, lambda v: v % 2**48))
        product = word_bounds._Product(high, low, np.array([7]), np.array([0]))
        rows = word_bounds._shorten(product, need_width=True)
        scaled = [v * Fraction(2) ** (int(rows.scale[0]) - 7) for v in numbers[:3]]
        assert rows.c[0].tolist() == [v // 1 for v in scaled]
        assert np.abs(rows.c).max() <= 2**46
        assert np.abs(rows.c).max() >= 2**45 - 1 or not any(scaled)
        assert rows.width[0] == any(v % 1 for v in scaled)


@pytest.mark.parametrize("spread", [0, 1, 2**20, 2**50])
def test_coefficients_stay_between_their_ends(spread: int) -> None:
    rng = random.Random(spread)
    for _ in range(100):
        bits = rng.randint(0, 100)
        numbers = [rng.randint(-2**bits, 2**bits) for _ in range(4)]
        high, low = (np.array([[f(v) for v in numbers]]) for f in (lambda v: v >> 48, lambda v: v % 2**48))
        rows = word_bounds._shorten(word_bounds._Product(high, low, np.array([7]), np.array([spread])), need_width=True)
        factor = Fraction(2) ** (int(rows.scale[0]) - 7)
        for c, v in zip(rows.c[0].tolist(), numbers[:3], strict=False):
            assert c <= v * factor <= (v + spread) * factor <= c + int(rows.width[0])


def test_a_start_is_rounded_down_for_both_signs() -> None:
    weight, bias = [[Fraction(2, 3), Fraction(1, 2)], [Fraction(-5, 7), Fraction(1)]], [Fraction(1, 9), Fraction(-1, 9)]
    start = Start(0, Table(Matrix.from_rationals(weight), Matrix.column(bias)), np.array([0, 0, 1, 1]),
                  np.array([1, -1, 1, -1]))
    product = start.product()
    for row, index, sign in zip(value(product.high, product.low), start.index, start.sign, strict=True):
        exact = [int(sign) * v * Fraction(2) ** int(product.scale[0]) for v in (*weight[index], bias[index])]
        assert all(f <= v <= f + 1 for f, v in zip(row, exact, strict=True))
        assert row[1] == exact[1]
        assert (product.spread == 1).all()


def test_linear_units_pay_for_the_width_of_their_coefficients() -> None:
    """``sum c_i z_i - d_i z_i >= least`` for both ends of every c and both signs of the largest z; without M no row."""
    rng = random.Random(9)
    weight, bias = Matrix.from_rationals([[Fraction(2, 3)], [-4]]), Matrix.column([1, Fraction(1, 7)])
    layer = LayerTable(Layer.affine(weight, bias))
    for calibrated in (False, True):
        if calibrated:
            out = layer.calibrate(word_bounds.magnitudes(np.array([-3.0]), np.array([0.5])), *np.zeros((2, 2)))
            assert out is not None
            assert [v - Fraction(m) * 2**64 for v, m in zip(out.tolist(), (3, Fraction(85, 7)), strict=True)] == [
                0, -(-85 * 2**64 // 7) - Fraction(85, 7) * 2**64]
            assert layer.linear_magnitude == sum(out)
        for _ in range(100):
            c, width = [rng.randint(-2**46, 2**46) for _ in range(2)], rng.choice((0, 1, 2**20, 2**46))
            scale = rng.randint(-60, 60)
            rows = word_bounds._Rows(np.array([c]), np.array([scale]), np.array([width]))
            empty = Slopes(np.zeros((1, 2)), np.zeros((1, 2)))
            d, least, fits = word_bounds._relax(layer, rows, *np.zeros((2, 1, 2)), np.array([0]), empty)
            assert fits[0] == (calibrated or width == 0)
            if fits[0]:
                assert d[0].tolist() == c
                worst = -width * (3 + Fraction(85, 7)) / Fraction(2)**scale
                assert worst * (1 + Fraction(1, 2**60)) - Fraction(1, 2**FRACTION_BITS) <= Fraction(
                    int(least[0]), 2**FRACTION_BITS) <= worst


@pytest.mark.parametrize("slope", ["0", "1/100", "-1/3", "-1", "2", "1000", "1024", "1"])
def test_relaxations_are_below_the_activation(slope: str) -> None:
    """``sum c_i act(t_i) - d_i t_i >= least`` for both ends of every c and for every t that could be worst."""
    s, units = Fraction(slope), 3
    rng = random.Random(slope)
    layer = LayerTable(Layer(Matrix.zeros(units, 1), Matrix.zeros(units, 1), Matrix.column([s] * units)))
    fitted = 0
    for _ in range(300):
        size = rng.choice((30, 46))
        c = [rng.choice((rng.randint(-2**size, 2**size), 2**size, -2**size, 0)) for _ in range(units)]
        width, scale = rng.choice((0, 1, 5)), rng.randint(-60, 60)
        lower = np.array([[rng.choice((-rng.random(), -1e-30, 0.0, 0.5, -3.0)) for _ in c]])
        upper = np.array([[rng.choice((rng.random(), 1e-30, 0.0, -0.25, 3.0)) for _ in c]])
        upper = np.maximum(lower, upper)
        p, n = (np.array([[rng.choice((0.0, 0.3, 1.0, -1.0, 40.0)) for _ in c]]) for _ in range(2))
        rows = word_bounds._Rows(np.array([c]), np.array([scale]), np.array([width]))
        d, least, fits = word_bounds._relax(layer, rows, lower, upper, np.zeros(1, dtype=np.int64), Slopes(p, n))
        assert np.abs(d).max() <= MOST
        if not fits[0]:
            assert not d.any()
            continue
        fitted += 1
        exact = Fraction(0)
        for c_i, d_i, low, high in zip(c, d[0].tolist(), lower[0].tolist(), upper[0].tolist(), strict=True):
            ends = [Fraction(low), Fraction(high), *([Fraction(0)] if low < 0 < high else [])]
            exact += min(v * (t if t >= 0 else s * t) - d_i * t for v in {c_i, c_i + width * (s != 0)} for t in ends)
        assert Fraction(least[0], 2**FRACTION_BITS) <= exact / Fraction(2) ** scale
    assert fitted > (30 if abs(s) <= 2 else 0)


@pytest.mark.parametrize("slope", ["1/100", "-1/100", "-1/3", "-1", "2", "1000", f"{2**80 + 1}/{3 * 2**80}"])
def test_multiples_of_slopes_are_rounded_up(slope: str) -> None:
    s, rng = Fraction(slope), random.Random(slope)
    layer = LayerTable(Layer(Matrix.zeros(1, 1), Matrix.zeros(1, 1), Matrix.column([s])))
    x = [rng.choice((300, -300)) * rng.randint(0, 2**37) for _ in range(500)]
    for found, v in zip(word_bounds._times_slope(layer, np.array([x]).T)[:, 0].tolist(), x, strict=True):
        assert s * v <= found <= s * v + 2 * max(1, abs(s))


@pytest.mark.parametrize("with_inputs", [False, True])
@pytest.mark.parametrize("spread", [None, 3])
def test_corners(with_inputs: bool, spread: int | None) -> None:
    """The least value over both ends of every coefficient and both ends of every input."""
    rng = random.Random(f"{with_inputs} {spread}")
    number = Table(Matrix.zeros(1, 2), Matrix.zeros(1, 1))
    for _ in range(200):
        numbers = [[rng.choice((-3.0, 0.0, 0.1, -1e-20, 700.0)) for _ in range(2)] for _ in range(2)]
        ends = np.sort(np.array(numbers), axis=0)
        branches = Branches(ends[:1], ends[1:], [], [], np.ones((1, 1), dtype=bool))
        scale, denominator = rng.randint(-70, 70), rng.choice((1, 7))
        c = [rng.choice((0, -1, 5, rng.randint(-2**100, 2**100))) for _ in range(2)]
        inputs = [rng.randint(-9, 9) for _ in range(2)]
        start = Start(-1, number, np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64),
                      np.array([inputs], dtype=object) if with_inputs else None, 10)
        found, bounded = word_bounds.corner(
            branches, start, start.index, np.array([c], dtype=object),
            None if spread is None else np.array([[spread]], dtype=object), np.array([scale], dtype=object),
            denominator)
        exact = Fraction(0)
        for k in range(2):
            values = {v / (Fraction(2) ** scale * denominator) + (Fraction(inputs[k], 10) if with_inputs else 0)
                      for v in (c[k], c[k] + (spread or 0))}
            exact += min(v * Fraction(end) for v in values for end in ends[:, k].tolist())
        assert bounded.all()
        assert found[0] == exact * 2**FRACTION_BITS // 1
