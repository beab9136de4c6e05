import numpy as np
import pytest

from verifier.solvers import highs

INF = np.inf


def lp(*arrays):
    """Cost, matrix, row bounds, column bounds."""
    return highs.FloatLp(*(np.array(a, dtype=np.float64) for a in arrays))


TRIANGLE = lp([-1, -2], [[1, 1], [1, -1]], [-INF, -INF], [3, 1], [0, 0], [INF, INF])


def test_optimum_with_duals_and_basis():
    answer = highs.solve(TRIANGLE)
    assert answer.status is highs.FloatStatus.OPTIMAL
    assert answer.objective == -6
    assert answer.primal.tolist() == [0, 3]
    assert answer.row_duals.tolist() == [-2, 0]
    assert np.allclose(TRIANGLE.matrix.T @ answer.row_duals + answer.column_duals, TRIANGLE.cost)
    assert answer.basis is not None
    assert answer.basis.columns.tolist() == [highs.Position.LOWER, highs.Position.BASIC]
    assert answer.basis.rows.tolist() == [highs.Position.UPPER, highs.Position.BASIC]
    assert answer.dual_ray is None


def test_infeasible_has_a_dual_ray():
    answer = highs.solve(lp([0], [[1], [1]], [2, -INF], [INF, 1], [-INF], [INF]))
    assert answer.status is highs.FloatStatus.INFEASIBLE
    assert answer.dual_ray is not None
    assert abs(answer.dual_ray[0] + answer.dual_ray[1]) < 1e-9
    assert answer.dual_ray[0] != 0


def test_unbounded():
    assert highs.solve(lp([1], [[1]], [-INF], [3], [-INF], [INF])).status is highs.FloatStatus.UNBOUNDED


def test_warm_sequence_equals_fresh_solves():
    rng = np.random.default_rng(1)
    matrix, right = rng.normal(size=(12, 4)), np.ones(12)
    no_bound = np.full(12, -INF)
    warm = highs.WarmLp(lp(np.zeros(4), matrix, no_bound, right, -np.ones(4), np.ones(4)))
    for _ in range(20):
        cost, lower, upper = rng.normal(size=4), -rng.random(4), rng.random(4)
        right = rng.random(12)
        warm.set_costs(cost)
        warm.set_column_bounds(lower, upper)
        warm.set_row_bounds(no_bound, right)
        fresh = highs.solve(lp(cost, matrix, no_bound, right, lower, upper))
        again = warm.solve()
        assert again.status is fresh.status is highs.FloatStatus.OPTIMAL
        assert again.objective == pytest.approx(fresh.objective)


def test_starts_from_a_given_basis():
    first = highs.solve(TRIANGLE)
    again = highs.solve(TRIANGLE, first.basis)
    assert again.primal.tolist() == first.primal.tolist()


def test_no_variables_and_no_rows():
    assert highs.solve(lp([], np.zeros((0, 0)), [], [], [], [])).status is highs.FloatStatus.OPTIMAL
    assert highs.solve(lp([1], np.zeros((0, 1)), [], [], [2], [3])).primal.tolist() == [2]


def test_a_rejected_model_is_an_error():
    with pytest.raises(highs.SolverError):
        highs.solve(lp([0], [[1e30]], [-INF], [1], [0], [1]))
    with pytest.raises(highs.SolverError):
        highs.solve(lp([0], [[np.nan]], [-INF], [1], [0], [1]))
    with pytest.raises(highs.SolverError):
        highs.solve(lp([0], [[1]], [-INF], [1], [2], [np.nan]))
    warm = highs.WarmLp(TRIANGLE)
    with pytest.raises(highs.SolverError):
        warm.set_costs(np.array([np.nan, 0]))
    with pytest.raises(highs.SolverError):
        warm.set_row_bounds(np.array([np.nan, 0]), np.zeros(2))
    with pytest.raises(highs.SolverError):
        warm.set_column_bounds(np.zeros(1), np.zeros(1))


def test_silent(capfd):
    highs.solve(TRIANGLE)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
