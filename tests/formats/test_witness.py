"""Numbers and witnesses as text: exact, or marked."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.formats.witness import competition_witness, format_rational


@pytest.mark.parametrize(("value", "text"), [
    ("0", "0"), ("7", "7"), ("-3/8", "-0.375"), ("120", "120"), ("1/10", "0.1"),
    ("1/3", "1/3 (about 0.3333333)"), ("-200/3", "-200/3 (about -66.66667)"),
    ("1e-30", "1e-30"), ("-1.5e60", "-1.5e+60"), ("123e20", "12300000000000000000000"),
    # two neighbours of 1/2 and 0: the approximation alone would lie
    ("1/2", "0.5"), (Fraction(1, 2) + Fraction(1, 3**9), "19685/39366 (about 0.5000508)"),
    (Fraction(2, 3 * 10**60), "1/15" + "0" * 59 + " (about 6.666667e-61)"),
])
def test_format_rational(value: str | Fraction, text: str) -> None:
    assert format_rational(Fraction(value)) == text


def test_the_limit_is_forty_significant_digits() -> None:
    longest = Fraction(int("1" * 40), 10**20)
    assert format_rational(longest) == "1" * 20 + "." + "1" * 20
    longer = Fraction(int("1" * 41), 10**20)
    assert format_rational(longer) == f"{longer} (about 1.111111e+20)"


def test_numbers_longer_than_python_prints_integers() -> None:
    text = format_rational(Fraction(10**5000 + 1, 3**9000))
    match = re.fullmatch(r"(10+1)/([0-9]+) \(about [0-9.e+]+\)", text)
    assert match is not None
    assert (len(match[1]), len(match[2])) == (5001, 4295)
    rounded = "1." + "0" * 39 + "e+5000"
    assert competition_witness([Fraction(10**5000 + 1)], [], ["X_0"], []) == f"sat\n((X_0 {rounded}))\n"


@given(st.fractions() | st.floats(allow_nan=False, allow_infinity=False).map(Fraction))
def test_printed_numbers_read_back(value: Fraction) -> None:
    text = format_rational(value)
    exact, _, approximate = text.partition(" (about ")
    assert Fraction(exact) == value
    if approximate:
        assert abs(Fraction(approximate.rstrip(")")) - value) <= abs(value) * Fraction(1, 10**6)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False).map(Fraction))
def test_every_float32_is_written_exactly_for_the_competition(value: Fraction) -> None:
    written = competition_witness([value], [value], ["X_0"], ["Y_0"])
    numbers = re.findall(r"_0 (\S+?)\)", written)
    assert [Fraction(v) for v in numbers] == [value, value]


def test_competition_witness() -> None:
    text = competition_witness([Fraction(1, 2), Fraction(1, 3)], [Fraction(np.float32(0.1).item()), Fraction(-10**50)],
                               ["X_0", "X_1"], ["Y_0", "Y_1"])
    assert text == ("sat\n((X_0 0.5)\n (X_1 0.3333333333333333333333333333333333333333)\n"
                    " (Y_0 0.100000001490116119384765625)\n (Y_1 -1e+50))\n")


def test_competition_witness_needs_a_name_for_each_value() -> None:
    with pytest.raises(ValueError, match="shorter"):
        competition_witness([Fraction(1)], [], ["X_0", "X_1"], [])
