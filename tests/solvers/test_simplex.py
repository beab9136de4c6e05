"""Exact pivots: right on degenerate problems, from every start, without cycling."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.solvers.oracle import box_rows, cdd_maximum, inner, random_problem
from verifier.solvers.simplex import solve_exact

F = Fraction


def confirmed(objective, rows, tight=()):
    """The optimal value, by strong duality, or None."""
    answer = solve_exact(objective, rows, tight)
    if answer is None:
        return None
    assert all(inner(row[:-1], answer.x) <= row[-1] for row in rows)
    assert min(answer.multipliers, default=0) >= 0
    assert all(c + sum(m * row[j] for m, row in zip(answer.multipliers, rows, strict=True)) == 0
               for j, c in enumerate(objective))
    value = inner(objective, answer.x)
    assert value == -sum(m * row[-1] for m, row in zip(answer.multipliers, rows, strict=True))
    return value


def inequalities(problem):
    _, matrix, equality, box = problem
    rows = matrix.rows()
    return rows + [tuple(-v for v in row) for row, e in zip(rows, equality, strict=True) if e] + box_rows(box)


def test_optimum_with_multipliers():
    rows = [(F(1), F(1), F(3)), (F(1), F(-1), F(1)), (F(-1), F(0), F(0)), (F(0), F(-1), F(0))]
    answer = solve_exact([F(-1), F(-2, 7)], rows)
    assert answer is not None
    assert answer.x == (2, 1)
    assert answer.multipliers == (F(9, 14), F(5, 14), 0, 0)


def test_no_claim_without_an_optimum():
    assert solve_exact([F(1)], [(F(1), F(0)), (F(-1), F(-1))]) is None
    assert solve_exact([F(1)], [(F(1), F(0))]) is None
    assert solve_exact([F(1)], []) is None
    assert solve_exact([F(0)], [(F(0), F(-1))]) is None


def test_no_rows_and_no_variables():
    answer = solve_exact([F(0)], [])
    assert answer is not None
    assert (answer.x, answer.multipliers) == ((0,), ())
    nothing = solve_exact([], [(F(1),)])
    assert nothing is not None
    assert (nothing.x, nothing.multipliers) == ((), (0,))
    assert solve_exact([], [(F(-1),)]) is None


@pytest.mark.parametrize("kind", ["integer", "nearly", "thirds"])
def test_random_problems_from_every_start(kind):
    rng = np.random.default_rng(5)
    optima = 0
    for _ in range(150):
        problem = random_problem(rng, kind)
        rows = inequalities(problem)
        truth = cdd_maximum([-c for c in problem[0]], rows)
        tight = np.flatnonzero(rng.random(len(rows)) < 0.3).tolist()
        value = confirmed(problem[0], rows, tight)
        assert value == confirmed(problem[0], rows) == (None if isinstance(truth, str) else -truth)
        optima += value is not None
    assert optima > 20


def test_examples_on_which_the_usual_rule_cycles():
    """Beale's, and Marshall and Suurballe's: the largest coefficient first comes back to where it was."""
    quarter, half = F(1, 4), F(1, 2)
    signs = [(*(F(-int(i == j)) for i in range(4)), F(0)) for j in range(4)]
    beale = [(quarter, F(-60), F(-1, 25), F(9), F(0)), (half, F(-90), F(-1, 50), F(3), F(0)),
             (F(0), F(0), F(1), F(0), F(1)), *signs]
    assert confirmed([F(-3, 4), F(150), F(-1, 50), F(6)], beale) == F(-1, 20)
    marshall = [(half, F(-11, 2), F(-5, 2), F(9), F(0)), (half, F(-3, 2), F(-1, 2), F(1), F(0)),
                (F(1), F(0), F(0), F(0), F(1)), *signs]
    assert confirmed([F(-10), F(57), F(9), F(24)], marshall) == -1


@given(st.integers(2, 5), st.randoms(use_true_random=False))
def test_all_rows_through_one_point(n, rng):
    """Everything is degenerate: the optimum is 0 at the origin, or the cone contains a ray of descent."""
    rows = [(*(F(rng.randint(-2, 2)) for _ in range(n)), F(0)) for _ in range(3 * n)]
    objective = [F(rng.randint(-2, 2)) for _ in range(n)]
    value = confirmed(objective, rows)
    boxed = confirmed(objective, rows + [(*(F(s * (i == j)) for i in range(n)), F(1))
                                         for j in range(n) for s in (1, -1)])
    assert boxed is not None
    assert (value == 0) == (boxed == 0)
    assert value in (0, None)


def test_the_start_decides_only_how_long_it_takes():
    """A problem that floats cannot hold, from its optimal rows, from wrong ones and from nowhere."""
    huge = F(10) ** 400
    rows = [(huge, F(1), huge), (F(1), huge, F(1)), (F(-1), F(-1), F(5))]
    assert {confirmed([F(-1), F(-1)], rows, tight) for tight in ((0, 1), (2,), (0, 1, 2), ())} == {-1}
