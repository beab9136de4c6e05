"""The integers of one machine word, at the ends of their ranges, against Python's."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from verifier.kernel import word_bounds
from verifier.kernel.rational import Matrix
from verifier.kernel.word_bounds import MOST, Table

EXTREMES = (0, 1, -1, 2**23, -(2**23), 2**24 - 1, 2**46, -(2**46), MOST, -MOST, MOST - 2**23, 2**45 + 12345)


def integers(rng: random.Random) -> int:
    return rng.choice(EXTREMES) if rng.random() < 0.5 else rng.randint(-MOST, MOST)


def value(high: np.ndarray, low: np.ndarray) -> list[list[int]]:
    assert ((low >= 0) & (low < 2**48)).all()
    return [[(int(h) << 48) + int(v) for h, v in zip(*rows, strict=True)] for rows in zip(high, low, strict=True)]


@pytest.mark.parametrize("units", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("kind", ["largest", "binary32", "small", "rational"])
def test_products_are_exact_or_rounded_down(units: int, kind: str) -> None:
    rng = random.Random(f"{units} {kind}")
    weights = {"largest": lambda: rng.choice((Fraction(2**80 - 1), Fraction(1 - 2**80), Fraction(1, 2**10))),
               "binary32": lambda: Fraction(float(np.float32(rng.gauss(0, 1)))),
               "small": lambda: Fraction(rng.randint(-3, 3)),
               "rational": lambda: Fraction(rng.randint(-9, 9), 7)}
    rows = [[weights[kind]() for _ in range(4)] for _ in range(units)]
    table = Table(Matrix.from_rationals([row[:3] for row in rows], 3), Matrix.column([row[3] for row in rows]))
    assert np.abs(table.values).max() <= 2 ** (62 - units.bit_length())
    assert bool(table.rounded.any()) == (kind in ("largest", "rational"))
    d = [[MOST] * units, [-MOST] * units, *([integers(rng) for _ in range(units)] for _ in range(6))]
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
