"""Nearest points, balls and flats against brute force."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction as F

import pytest
from flint import fmpq, fmpq_mat

from verifier.geometry.ball import Ball, point_in_unit_ball
from verifier.geometry.flats import cells_by_flats, meets_open_unit_ball
from verifier.geometry.nearest import nearest_point


def at(row, u):
    return sum(a * v for a, v in zip(row, u, strict=False)) + row[-1]


def nearest_by_all_faces(rows, n):
    """The best of the nearest points of all intersections of hyperplanes that lie in the set."""
    found = []
    for k in range(n + 1):
        for active in itertools.combinations(rows, k):
            u = [F(0)] * n
            if k:
                gram = fmpq_mat(k, k, [fmpq(sum(a * b for a, b in zip(v[:-1], w[:-1], strict=True)))
                                       for v in active for w in active])
                if gram.rank() < k:
                    continue
                solved = gram.solve(fmpq_mat(k, 1, [fmpq(-row[-1]) for row in active])).entries()
                weights = [F(int(v.p), int(v.q)) for v in solved]
                u = [sum(m * row[j] for m, row in zip(weights, active, strict=True)) for j in range(n)]
            if all(at(row, u) >= 0 for row in rows):
                found.append((sum(v * v for v in u), tuple(u)))
    return min(found)[1] if found else None


def test_nearest_points_agree_with_all_faces():
    empty = 0
    for seed in range(600):
        rng = random.Random(seed)
        n = rng.randint(1, 3)
        rows = [tuple(rng.randint(-2, 2) for _ in range(n + 1)) for _ in range(rng.randint(0, 7))]
        expected = nearest_by_all_faces(rows, n)
        assert nearest_point(rows, n) == expected, seed
        empty += expected is None
        if expected is not None:
            square = sum((v * v for v in expected), F(0))
            assert nearest_point(rows, n, square) is None
            assert nearest_point(rows, n, square + F(1, 2**60)) == expected
    assert 50 < empty < 400


def test_a_point_in_the_open_ball_and_in_the_interior():
    rows = [(1, 0, -1), (0, 1, 0)]  # touches the ball in (1, 0)
    assert point_in_unit_ball(rows, (3, 1, 1)) is None
    rows = [(2**50, 0, 1 - 2**50), (0, 1, 0)]
    point = point_in_unit_ball(rows, (3, 1, 1))
    assert point is not None
    assert sum(v * v for v in point[:-1]) < point[-1] ** 2
    assert all(sum(a * b for a, b in zip(row, point, strict=True)) > 0 for row in rows)


@pytest.mark.parametrize(("arguments", "message"), [
    (((F(0),), F(0), "2"), "radius > 0"), (((F(0),), F(1), "3"), "a norm is"), (((F(0),) * 13, F(1), "1"), "up to 12")])
def test_no_ball(arguments, message):
    with pytest.raises(ValueError, match=message):
        Ball(*arguments)


def test_flats_of_degenerate_arrangements():
    pencil = [(1, 0, 0), (0, 1, 0), (1, 1, 0), (2, 2, 0), (0, 0, 5)]  # three lines through the centre, one twice
    assert cells_by_flats(pencil, meets_open_unit_ball) == 6
    tangent = [(1, 0, -1), (3, 4, -5), (3, 4, -4)]  # two touch the ball
    assert cells_by_flats(tangent, meets_open_unit_ball) == 2
    parallel = [(1, 0, 0), (2, 0, -1), (0, 1, 0)]
    assert cells_by_flats(parallel, meets_open_unit_ball) == 6
    assert cells_by_flats(pencil, lambda rows: True) == 6
