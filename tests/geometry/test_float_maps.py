"""Affine maps of many cells in floats: the exact ones lie within the errors, and ranks are proved or not known."""

from __future__ import annotations

import random
from fractions import Fraction as F

import numpy as np
import pytest

from tests.engines.test_images import random_region
from verifier.engines.propagate import Propagation
from verifier.geometry.float_maps import FloatMaps
from verifier.geometry.traversal import Walk
from verifier.kernel.rational import dot


@pytest.mark.parametrize("seed", range(60))
def test_exact_maps_lie_within_the_errors(seed):
    propagation = Propagation(random_region(seed), "vertices")
    walk = Walk(propagation.space, collect=True)
    walk.push([propagation.space.root()])
    while not walk.finished:
        found = walk.step()
        if found is None:
            continue
        maps = propagation.float_maps(found)
        values, error = maps.at(found.owner, found.x, found.radius)
        full = maps.full_rank()
        for c in range(len(found.signs)):
            cell = propagation.vertex_cell(found, c)
            weight, constant = cell.affine_map
            for j, (row, shift) in enumerate(zip(weight, constant, strict=True)):
                off = sum(abs(F(float(a)) - b) for a, b in zip(maps.linear[c, :, j], row, strict=True))
                assert off + abs(F(float(maps.constant[c, j])) - shift) <= F(float(maps.error[c, j])) < F(1, 2**30)
                for v, u in zip(range(found.start[c], found.start[c + 1]), cell.chart_vertices, strict=True):
                    exact = dot(row, [F(p, u[-1]) for p in u[:-1]]) + shift
                    assert abs(F(float(values[v, j])) - exact) <= F(float(error[v, j]))
            if full[c]:
                assert exact_rank(weight) == min(len(weight), propagation.chart.dimension)


def exact_rank(rows) -> int:
    """By elimination over the rationals."""
    left, rank = [list(row) for row in rows], 0
    while left and left[0]:
        pivot = next((row for row in left if row[0]), None)
        if pivot is not None:
            rank += 1
            left = [[v - row[0] / pivot[0] * p for v, p in zip(row, pivot, strict=True)]
                    for row in left if row is not pivot]
        left = [row[1:] for row in left]
    return rank


def of(matrix, error: float) -> FloatMaps:
    """One cell with these rows as outputs."""
    linear = np.array(matrix, dtype=float).T[None]
    return FloatMaps(linear, np.zeros((1, len(matrix))), np.full((1, len(matrix)), error), 2.0**-45)


@pytest.mark.parametrize(("matrix", "error", "full"), [
    ([[1, 0], [0, 1]], 0.0, True),
    ([[1, 0], [0, 1]], 0.3, False),
    ([[1, 1], [1, 1]], 0.0, False),
    ([[1, 1], [1, 1 + 2.0**-30]], 2.0**-50, True),
    ([[1, 1], [1, 1 + 2.0**-30]], 2.0**-30, False),  # [[1, 1], [1, 1]] is within the error
    ([[1, 2, 3]], 0.1, True),
    ([[0, 0, 0]], 0.0, False),
    ([[1], [2], [3]], 0.1, True),
    ([[1, 2], [2, 4], [3, 6]], 0.0, False),
    ([[1, 0], [0, 1]], float("inf"), False),
    ([[1, 0], [0, 1]], float("nan"), False),
    ([[1e-300, 0], [0, 1e300]], 0.0, False),  # it is, but floats do not tell
])
def test_full_rank(matrix, error, full):
    assert of(matrix, error).full_rank().tolist() == [full]


def test_ranks_are_not_claimed_for_neighbours_of_singular_matrices():
    rng = random.Random(1)
    for _ in range(300):
        k, m = rng.randint(1, 4), rng.randint(1, 4)
        rank = min(k, m) - 1
        left, right = (np.array([rng.randint(-3, 3) for _ in range(a * b)], dtype=float).reshape(a, b) for a, b in
                       ((m, rank), (rank, k)))
        singular = left @ right
        error = 2.0 ** rng.randint(-40, -2)
        moved = singular + np.array([[rng.uniform(-1, 1) for _ in range(k)] for _ in range(m)]) * error / k
        assert not of(moved.tolist(), error).full_rank().any()
