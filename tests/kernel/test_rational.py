"""Exact numbers and matrices against Fractions, and the four places that round."""

from __future__ import annotations

import math
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpz_mat
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import fractions, matrices
from verifier.kernel.rational import (
    Matrix,
    block_diagonal,
    ceil_float,
    common_denominator,
    dot,
    floor_float,
    from_integers,
    to_float_exactly,
    to_fraction,
    to_integers,
)

F = Fraction
LARGEST = F(sys.float_info.max)
SMALLEST = F(math.ulp(0.0))
BEYOND = LARGEST + F(math.ulp(sys.float_info.max)) / 4  # rounds to the largest float, without overflow

numbers = st.one_of(fractions(), st.builds(lambda f, e: f * F(2) ** e, st.fractions(), st.integers(-1120, 1120)))


# --- rounding --------------------------------------------------------------------------------------------------------


@given(numbers)
def test_floor_and_ceiling_are_the_adjacent_floats(value: Fraction) -> None:
    low, high = floor_float(value), ceil_float(value)
    assert low == -math.inf or F(low) <= value
    assert high == math.inf or F(high) >= value
    if to_float_exactly(value) is None:
        assert math.nextafter(low, math.inf) == high
    else:
        assert low == high == to_float_exactly(value)


@pytest.mark.parametrize(("value", "low", "high"), [
    (F(0), 0.0, 0.0),
    (F(1, 3), math.nextafter(1 / 3, -1), 1 / 3) if F(1 / 3) > F(1, 3) else (F(1, 3), 1 / 3, math.nextafter(1 / 3, 1)),
    (LARGEST, sys.float_info.max, sys.float_info.max),
    (BEYOND, sys.float_info.max, math.inf),
    (-BEYOND, -math.inf, -sys.float_info.max),
    (F(10) ** 400, sys.float_info.max, math.inf),
    (-F(10) ** 400, -math.inf, -sys.float_info.max),
    (SMALLEST, math.ulp(0.0), math.ulp(0.0)),
    (SMALLEST / 2, 0.0, math.ulp(0.0)),
    (-SMALLEST / 2, -math.ulp(0.0), 0.0),
    (F(1, 10**400), 0.0, math.ulp(0.0)),
    (SMALLEST * F(3, 2), math.ulp(0.0), 2 * math.ulp(0.0)),
    (F(2**53 + 1), 2.0**53, 2.0**53 + 2),
])
def test_rounding_at_the_ends_of_the_range(value: Fraction, low: float, high: float) -> None:
    assert (floor_float(value), ceil_float(value)) == (low, high)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_the_rationals_they_spell(value: float) -> None:
    assert to_float_exactly(F(value)) == floor_float(F(value)) == ceil_float(F(value)) == value


@pytest.mark.parametrize("value", [F(1, 3), F(2**53 + 1), SMALLEST / 2, BEYOND, F(10) ** 400, F(-1, 10**400)])
def test_no_float_equals_these(value: Fraction) -> None:
    assert to_float_exactly(value) is None


# --- scalars and points ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(numbers, numbers)))
def test_dot_is_the_sum_of_products(pairs: list[tuple[Fraction, Fraction]]) -> None:
    assert dot([a for a, _ in pairs], [b for _, b in pairs]) == sum((a * b for a, b in pairs), F(0))


def test_dot_needs_equal_lengths() -> None:
    with pytest.raises(ValueError, match="shorter"):
        dot([F(1), F(2)], [F(1)])


@given(st.lists(numbers))
def test_points_as_integers_and_back(point: list[Fraction]) -> None:
    vector, denominator = to_integers(point)
    assert denominator == common_denominator(point) > 0
    assert from_integers(vector, denominator) == tuple(point)


@pytest.mark.parametrize("value", [np.int64(2**62), np.int32(-5), np.uint64(2**64 - 1), np.float32(0.1),
                                   0.1, 7, F(1, 3)])
def test_numpy_numbers_become_python_fractions(value: Fraction) -> None:
    exact = to_fraction(value)
    assert exact == value
    assert type(exact.numerator) is type(exact.denominator) is int
    assert exact * 4 / 4 == exact


# --- matrices --------------------------------------------------------------------------------------------------------


@given(matrices())
def test_every_view_of_a_matrix_is_the_same_matrix(matrix: Matrix) -> None:
    rows = matrix.rows()
    assert [len(row) for row in rows] == [matrix.shape[1]] * matrix.shape[0]
    assert Matrix.from_rationals(rows) == matrix
    numerators, denominators = matrix.row_integers()
    assert all(d > 0 for d in denominators)
    assert [tuple(F(int(v), d) for v in row) for row, d in zip(numerators.tolist(), denominators, strict=True)] == rows
    common, denominator = matrix.integers()
    assert denominator > 0
    assert [tuple(F(int(v), denominator) for v in row) for row in common.tolist()] == rows
    assert matrix.is_dyadic == all(to_float_exactly(v) is not None for row in rows for v in row)
    if matrix.is_dyadic:
        assert [tuple(map(F, row)) for row in matrix.approximate().tolist()] == rows
    assert pickle.loads(pickle.dumps(matrix)) == matrix


@given(matrices(rows=2, columns=3), matrices(rows=3, columns=2), matrices(rows=2, columns=3))
def test_arithmetic_is_exact(left: Matrix, right: Matrix, third: Matrix) -> None:
    columns = list(zip(*right.rows(), strict=True))
    product = [tuple(sum((a * b for a, b in zip(row, column, strict=True)), F(0)) for column in columns)
               for row in left.rows()]
    assert (left @ right).rows() == product
    assert (left + third).rows() == [tuple(a + b for a, b in zip(r, s, strict=True))
                                     for r, s in zip(left.rows(), third.rows(), strict=True)]
    vector, denominator = to_integers(columns[0])
    assert from_integers(*left.apply(vector, denominator)) == tuple(row[0] for row in product)


@given(matrices(), matrices())
def test_equal_matrices_have_equal_bytes_and_others_differ(left: Matrix, right: Matrix) -> None:
    same = left.shape == right.shape and left.rows() == right.rows()
    assert (left.encode() == right.encode()) == (left == right) == same
    rebuilt = Matrix.from_rationals([list(row) for row in left.rows()])
    assert rebuilt.encode() == left.encode()
    assert hash(rebuilt) == hash(left)


@given(matrices(), matrices())
def test_block_diagonal(first: Matrix, second: Matrix) -> None:
    assert block_diagonal(first, second).rows() == [
        *(row + (F(0),) * second.shape[1] for row in first.rows()),
        *((F(0),) * first.shape[1] + row for row in second.rows())]


def test_the_bytes_do_not_depend_on_how_the_numbers_came() -> None:
    values = [[0.5, -3.0], [0.0, 2.0]]
    expected = Matrix.from_rationals([[F(1, 2), -3], [0, 2]])
    for same in (values, np.array(values, dtype=np.float16), np.array(values, dtype=np.float32),
                 np.asfortranarray(values), np.array(values, dtype=">f8"), [[0.5, -3.0], [-0.0, 2.0]]):
        assert Matrix.from_floats(same).encode() == expected.encode()
    assert Matrix.from_rationals([[F(1, 3), 1]]) != Matrix.from_floats([[1 / 3, 1]])
    assert Matrix.from_floats([[1, 2]]) != Matrix.from_floats([[1], [2]])
    assert Matrix.zeros(0, 2) != Matrix.zeros(2, 0)


def test_a_float32_is_the_dyadic_rational_it_is() -> None:
    assert Matrix.from_floats(np.array([[0.1]], dtype=np.float32)).row(0) == (F(13421773, 2**27),)


def test_stored_numbers_cannot_be_changed_from_outside() -> None:
    source = np.ones((1, 2))
    matrix = Matrix.from_floats(source)
    source[0, 0] = 5
    assert matrix.row(0) == (1, 1)
    with pytest.raises(ValueError, match="read-only"):
        matrix.approximate()[0, 0] = 5


@given(matrices())
def test_approximation_is_to_nearest(matrix: Matrix) -> None:
    for approximate, exact in zip(matrix.approximate().ravel().tolist(), sum(matrix.rows(), ()), strict=True):
        assert abs(F(approximate) - exact) <= abs(exact) / 2**53 + F(1, 2**1075)


def test_approximation_beyond_the_range_is_infinite() -> None:
    assert Matrix.from_rationals([[F(10) ** 400, F(-(10**400)), F(1, 3)]]).approximate().tolist() == [
        [float("inf"), float("-inf"), 1 / 3]]


@pytest.mark.parametrize("entry", [math.nan, math.inf, -math.inf])
def test_only_finite_entries(entry: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Matrix.from_floats([[1.0, entry]])


@pytest.mark.parametrize("entry", [F(1, 3), 2**60 + 1, 2**70 + 1, np.longdouble(1) / 3, "0.5"])
def test_what_binary64_would_round_is_not_taken_for_a_float(entry: object) -> None:
    with pytest.raises(ValueError, match="would round"):
        Matrix.from_floats([[entry]])


@pytest.mark.parametrize("entry", [F(1, 2), 2**60, True, np.longdouble("0.25")])
def test_other_types_are_taken_when_exact(entry: Fraction) -> None:
    assert Matrix.from_floats([[entry]]).row(0) == (to_fraction(F(float(entry))),)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="2 dimensions, received 1"):
        Matrix.from_floats([1.0])
    with pytest.raises(ValueError, match="one length"):
        Matrix.from_rationals([[1, 2], [3]])
    with pytest.raises(ValueError, match="multiply"):
        Matrix.identity(2) @ Matrix.identity(3)
    with pytest.raises(ValueError, match="add"):
        Matrix.identity(2) + Matrix.identity(3)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0)])
def test_empty_matrices(rows: int, columns: int) -> None:
    empty = Matrix.zeros(rows, columns)
    assert empty == Matrix.from_rationals([[]] * rows, columns)
    assert (empty @ Matrix.zeros(columns, 2)) == Matrix.zeros(rows, 2)
    assert (empty + empty) == empty
    vector, denominator = empty.apply(fmpz_mat(columns, 1, [1] * columns), 1)
    assert from_integers(vector, denominator) == (0,) * rows
