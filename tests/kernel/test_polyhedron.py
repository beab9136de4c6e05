"""Half-spaces and boxes: membership, support and rounding outward."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import boxes, fractions, random_point
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import dot

F = Fraction


@given(st.lists(st.tuples(fractions(), fractions()), min_size=1, max_size=4))
def test_strictness_decides_on_the_boundary_and_nowhere_else(pairs: list[tuple[Fraction, Fraction]]) -> None:
    normal, point = (tuple(p[k] for p in pairs) for k in (0, 1))
    value = sum((a * b for a, b in pairs), F(0))
    tiny = F(1, 2**1200)
    for strict in (False, True):
        assert HalfSpace(normal, value, strict).contains(point) is not strict
        assert HalfSpace(normal, value + tiny, strict).contains(point)
        assert not HalfSpace(normal, value - tiny, strict).contains(point)


def test_membership_needs_the_right_dimension() -> None:
    with pytest.raises(ValueError, match="shorter"):
        HalfSpace((F(1), F(1)), F(0)).contains([F(1)])


def test_half_spaces_as_text() -> None:
    assert HalfSpace((F(1, 2), F(-3)), F(0)).encode() == "1/2 -3 <= 0"
    assert HalfSpace((F(1, 2), F(-3)), F(0), strict=True).encode() == "1/2 -3 < 0"
    assert Box((F(-1, 3), None), (None, F(2))).encode() == "-1/3 inf\n-inf 2"


@given(boxes(3), st.lists(fractions(), min_size=3, max_size=3), st.randoms(use_true_random=False))
def test_minimum_is_the_attained_infimum(box: Box, objective: list[Fraction], rng: random.Random) -> None:
    least = box.minimum(objective)
    needed = [lo if c > 0 else hi for c, lo, hi in zip(objective, box.lower, box.upper, strict=True) if c]
    if None in needed:
        assert least is None
    else:
        varying = [c for c in objective if c]
        assert least == sum((c * v for c, v in zip(varying, needed, strict=True) if v is not None), F(0))
        for _ in range(5):
            x = random_point(rng, box)
            assert box.contains(x)
            assert dot(objective, x) >= least


@given(boxes(2), st.lists(fractions(), min_size=2, max_size=2))
def test_a_box_contains_what_lies_between_its_bounds(box: Box, x: list[Fraction]) -> None:
    inside = all((lo is None or lo <= v) and (hi is None or v <= hi)
                 for v, lo, hi in zip(x, box.lower, box.upper, strict=True))
    assert box.contains(x) is inside
    assert box.is_bounded is (None not in box.lower + box.upper)


def test_a_box_is_closed_and_knows_its_dimension() -> None:
    box = Box.from_bounds([0, F(1, 3)], [1, F(1, 3)])
    assert box.contains([F(0), F(1, 3)])
    assert box.contains([F(1), F(1, 3)])
    assert not box.contains([F(1) + F(1, 10**40), F(1, 3)])
    assert not box.contains([F(0), F(1 / 3)])
    assert not box.contains([F(0)])
    assert Box.whole_space(3).dimension == 3
    assert not Box.whole_space(3).is_bounded
    assert Box.whole_space(2).minimum([F(0), F(0)]) == 0


@given(boxes(3), st.lists(fractions(), min_size=3, max_size=3))
def test_rounding_outward(box: Box, shift: list[Fraction]) -> None:
    moved = Box(tuple(None if v is None else v + s / 3 for v, s in zip(box.lower, shift, strict=True)),
                tuple(None if v is None else v + s / 3 for v, s in zip(box.upper, shift, strict=True)))
    lower, upper = moved.outward_floats()
    assert lower.dtype == upper.dtype == np.float64
    for exact, rounded, direction in [*((v, r, -1) for v, r in zip(moved.lower, lower.tolist(), strict=True)),
                                      *((v, r, 1) for v, r in zip(moved.upper, upper.tolist(), strict=True))]:
        if exact is None or math.isinf(rounded):
            assert rounded == direction * math.inf
        else:
            assert direction * (F(rounded) - exact) >= 0
            inward = math.nextafter(rounded, -direction * math.inf)
            assert math.isinf(inward) or direction * (F(inward) - exact) < 0


def test_bounds_are_taken_exactly() -> None:
    assert Box.from_bounds([0.1], [F(1, 3)]) == Box((F(0.1),), (F(1, 3),))
    box = Box.from_bounds(np.array([2**62]), np.array([0.1], dtype=np.float32) + np.float32(2.0**63))
    assert box.minimum([F(4)]) == 2**64
    assert Box.from_bounds(np.array([0.1], dtype=np.float32), [1]).lower == (F(13421773, 2**27),)


def test_what_is_no_box_is_refused() -> None:
    with pytest.raises(ValueError, match="input 1: lower bound 2 exceeds upper bound 1"):
        Box.from_bounds([0, 2], [0, 1])
    with pytest.raises(ValueError, match="received 1 and 2"):
        Box.from_bounds([0], [0, 1])
    for bad in (math.nan, math.inf):
        with pytest.raises((ValueError, OverflowError)):
            Box.from_bounds([bad], [1])
