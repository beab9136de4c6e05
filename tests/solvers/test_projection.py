"""Nearest points of polyhedra against what defines them, in three norms."""

from __future__ import annotations

import random
from fractions import Fraction as F

import pytest

from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix, dot
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import LinearProgram, Optimal
from verifier.solvers.projection import nearest_by_program, nearest_l2

NORMS = {
    "2": (nearest_l2, lambda v: dot(v, v), lambda v: dot(v, v)),
    "inf": (lambda rows, c: nearest_by_program(rows, c, True), lambda v: max(map(abs, v)), lambda v: sum(map(abs, v))),
    "1": (lambda rows, c: nearest_by_program(rows, c, False), lambda v: sum(map(abs, v)), lambda v: max(map(abs, v))),
}


@pytest.mark.parametrize("norm", NORMS)
def test_a_separating_hyperplane_proves_the_nearest_point(norm):
    nearest, size, dual = NORMS[norm]
    rng = random.Random(3)
    empty = 0
    for _ in range(120):
        n = rng.randint(1, 4)
        rows = [([F(rng.randint(-2, 2)) for _ in range(n)], F(rng.randint(-3, 2))) for _ in range(rng.randint(0, 7))]
        if len(rows) > 2:  # an equation
            rows[1] = ([-v for v in rows[0][0]], -rows[0][1])
        center = tuple(F(rng.randint(-3, 3), 2) for _ in range(n))
        found = nearest(rows, center)
        matrix = Matrix.from_rationals([[*a, b] for a, b in rows], n + 1)
        normal = [F(0)] * n if found is None else list(found.normal)
        lowest = solve(LinearProgram.from_matrix(normal, matrix, Box.whole_space(n)))
        if found is None:
            empty += 1
            assert not isinstance(lowest, Optimal)
            continue
        assert all(dot(a, found.x) <= b for a, b in rows)
        moved = [v - c for v, c in zip(found.x, center, strict=True)]
        assert lowest.value == dot(normal, found.x)  # no point is on the centre's side of the hyperplane through x
        if any(moved):  # and x is nearest to the centre on it (Hoelder with equality; squares in L2)
            product = dot(normal, moved)
            assert product > 0
            assert product**2 == size(moved) * dual(normal) if norm == "2" else product == size(moved) * dual(normal)
    assert 0 < empty < 100
