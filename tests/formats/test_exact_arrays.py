"""Whatever float64 arithmetic claims to be exact equals the arithmetic of Fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.formats import exact_arrays as exact

FLOATS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9).map(float),
                   st.floats(allow_nan=False, allow_infinity=False, width=16),
                   st.builds(lambda m, e: float(m) * 2.0**e, st.integers(-(2**26), 2**26), st.integers(-560, 400)))
ROWS = st.integers(1, 3).flatmap(lambda n: st.tuples(*[st.lists(FLOATS, min_size=n, max_size=n)] * 2))


def rational(array: np.ndarray) -> list[Fraction]:
    return [Fraction(v) for v in array.ravel().tolist()]


@given(ROWS)
def test_sums_and_products(rows: tuple[list[float], list[float]]) -> None:
    left, right = (np.array(row) for row in rows)
    sums = [a + b for a, b in zip(rational(left), rational(right), strict=True)]
    products = [a * b for a, b in zip(rational(left), rational(right), strict=True)]
    for floats, expected in ((exact.sum_floats(left, right), sums), (exact.product_floats(left, right), products)):
        assert floats is None or rational(floats) == expected
    assert rational(exact.add(left, right)) == sums
    assert rational(exact.multiply(left, right)) == products
    assert rational(exact.row_dots(left[np.newaxis], right[np.newaxis])) == [sum(products)]
    matrix = exact.matmul_floats(left[np.newaxis], right[:, np.newaxis])
    assert matrix is None or rational(matrix) == [sum(products)]


def test_float32_products_stay_floats() -> None:
    values = np.random.default_rng(0).standard_normal(100).astype(np.float32).astype(np.float64)
    assert exact.product_floats(values, values[::-1]) is not None
    assert exact.product_floats(values * values, values) is None


def test_small_integer_matrices_multiply_in_floats() -> None:
    values = np.arange(12.0).reshape(3, 4) / 4
    assert (exact.matmul_floats(values, values.T) == values @ values.T).all()


@pytest.mark.parametrize(("left", "right"), [(1e308, 1e308), (2.0**-600, 2.0**-600), (1.0, 2.0**-60)])
def test_overflow_underflow_and_rounding_are_noticed(left: float, right: float) -> None:
    a, b = np.array([left]), np.array([right])
    assert exact.sum_floats(a, b) is None or left + right == 2.0**-599
    assert exact.product_floats(a, b) is None or right == 2.0**-60
    assert rational(exact.add(a, b)) == [Fraction(left) + Fraction(right)]
    assert rational(exact.multiply(a, b)) == [Fraction(left) * Fraction(right)]


def test_fractions() -> None:
    third = exact.reciprocal(np.array([3.0, 4.0]))
    assert exact.is_rational(third)
    assert rational(third) == [Fraction(1, 3), Fraction(1, 4)]
    assert rational(exact.row_dots(third[np.newaxis], np.array([[3.0, 8.0]]))) == [3]
    assert not exact.is_rational(exact.multiply(third, np.array([3.0, 4.0])))
    assert exact.denominator_bits(third) == 4
    assert exact.row_dots(third[np.newaxis], np.zeros((1, 2))).tolist() == [0.0]
