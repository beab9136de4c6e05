from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.solvers.liars import ALL_LIES, EXACT_LIARS, HONEST_FALLBACK
from tests.solvers.oracle import box_rows, cdd_maximum, dual_value, inner, random_problem
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.solvers import highs
from verifier.solvers.basis import basic_solution, float_view
from verifier.solvers.exact_lp import SOLVERS, Solvers, optimum, solve
from verifier.solvers.linear_program import (
    Infeasible,
    LinearProgram,
    LpError,
    Optimal,
    Unbounded,
    is_feasible,
    is_ray,
    lower_bound,
)

F = Fraction


def feasible(matrix, equality, box, x):
    rows = matrix.rows()
    return box.contains(x) and all(inner(r[:-1], x) == r[-1] if e else inner(r[:-1], x) <= r[-1]
                                   for r, e in zip(rows, equality, strict=True))


def confirm(problem, answer):
    """The answer's own proof, by schoolbook arithmetic; returns the answer as the oracle words it."""
    objective, matrix, equality, box = problem
    rows = matrix.rows()
    if isinstance(answer, Unbounded):
        assert feasible(matrix, equality, box, answer.x)
        assert inner(objective, answer.ray) < 0
        for scale in (1, 1000):
            far = [v + scale * d for v, d in zip(answer.x, answer.ray, strict=True)]
            assert feasible(matrix, equality, box, far)
        return "unbounded"
    assert all(m >= 0 or e for m, e in zip(answer.row_multipliers, equality, strict=True))
    if isinstance(answer, Infeasible):
        assert dual_value([F(0)] * len(objective), rows, box, answer.row_multipliers) > 0
        return "infeasible"
    assert isinstance(answer, Optimal)
    assert feasible(matrix, equality, box, answer.x)
    assert inner(objective, answer.x) == answer.value == dual_value(objective, rows, box, answer.row_multipliers)
    return answer.value


def expected(problem):
    objective, matrix, equality, box = problem
    rows = matrix.rows()
    rows += [tuple(-v for v in row) for row, e in zip(rows, equality, strict=True) if e]
    answer = cdd_maximum([-c for c in objective], rows + box_rows(box))
    return answer if isinstance(answer, str) else -answer


def program(problem):
    objective, matrix, equality, box = problem
    return LinearProgram.from_matrix(objective, matrix, box, equality)


@pytest.mark.parametrize("kind", ["integer", "nearly", "thirds"])
def test_agrees_with_cddlib_on_random_problems(kind):
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(250):
        problem = random_problem(rng, kind)
        answer = confirm(problem, solve(program(problem)))
        assert answer == expected(problem)
        seen.add(answer if isinstance(answer, str) else "optimal")
    assert seen == {"optimal", "infeasible", "unbounded"}


@pytest.mark.parametrize("solvers", HONEST_FALLBACK)
def test_a_lying_float_solver_changes_nothing(solvers):
    rng = np.random.default_rng(11)
    for _ in range(40):
        problem = random_problem(rng, "integer")
        assert confirm(problem, solve(program(problem), solvers)) == expected(problem)


@pytest.mark.parametrize("solvers", ALL_LIES)
def test_when_all_lie_the_answer_is_right_or_an_error(solvers):
    rng = np.random.default_rng(13)
    for _ in range(15):
        problem = random_problem(rng, "integer")
        try:
            answer = solve(program(problem), solvers)
        except LpError:
            continue
        assert confirm(problem, answer) == expected(problem)


@pytest.mark.parametrize("exact", EXACT_LIARS)
def test_nobody_right_is_an_error(exact):
    def useless(lp, start):
        raise highs.SolverError

    lp = LinearProgram.from_matrix([1], Matrix.from_rationals([[-1, -1]]), Box.whole_space(1))
    with pytest.raises(LpError, match="1 rows and 1 variables"):
        optimum(lp, Solvers(useless, exact))


def test_float_solver_suffices_when_it_is_right():
    def forbidden(objective, rows, tight):
        raise AssertionError("fallback used")

    rng = np.random.default_rng(3)
    for _ in range(30):
        values = rng.normal(size=(30, 6)).astype(np.float32)
        lp = LinearProgram.from_matrix([F(float(v)) for v in rng.normal(size=5)], Matrix.from_floats(values),
                                       Box.from_bounds([-1] * 5, [1] * 5))
        assert isinstance(solve(lp, Solvers(SOLVERS.propose, forbidden)), Optimal | Infeasible)


def test_margins_below_every_tolerance():
    tiny = F(1, 2**60)
    box = Box.whole_space(1)
    gap = Matrix.from_rationals([[1, 0], [-1, -tiny]])  # x <= 0 and x >= tiny
    assert isinstance(solve(LinearProgram.from_matrix([0], gap, box)), Infeasible)
    sliver = Matrix.from_rationals([[1, tiny], [-1, 0]])
    answer = solve(LinearProgram.from_matrix([-1], sliver, box))
    assert isinstance(answer, Optimal)
    assert answer.value == -tiny
    # the reduced cost tiny decides between the ends of the interval
    ends = LinearProgram.from_matrix([1, -1 - tiny], Matrix.from_rationals([[1, -1, 0], [-1, 1, 0]]),
                                     Box.from_bounds([0, 0], [1, 1]))
    answer = solve(ends)
    assert isinstance(answer, Optimal)
    assert answer.x == (1, 1)
    assert answer.value == -tiny


def test_magnification_repairs_a_basis_without_the_fallback():
    """The solver accepts the first basis, which violates a row by 2^-45; the refined problem shows the violation."""
    calls = []

    def counted(lp, start):
        calls.append(start)
        return highs.solve(lp, start)

    def forbidden(objective, rows, tight):
        raise AssertionError("fallback used")

    rows = Matrix.from_rationals([[1, 1, 1], [1, 1, 1 - F(1, 2**45)]])
    lp = LinearProgram.from_matrix([-1, -1], rows, Box.from_bounds([0, 0], [1, 1]))
    bad = highs.Basis(np.array([highs.Position.BASIC, highs.Position.LOWER], dtype=np.int8),
                      np.array([highs.Position.UPPER, highs.Position.BASIC], dtype=np.int8))
    proposal = highs.FloatSolution(highs.FloatStatus.OPTIMAL, -1.0, np.array([1.0, 0.0]), np.array([-1.0, 0.0]),
                                   np.zeros(2), bad, None)
    assert optimum(lp, Solvers(counted, forbidden), proposal).value == -1 + F(1, 2**45)
    assert len(calls) == 1


def test_data_beyond_floats():
    huge, small = F(10) ** 400, F(1, 10**400)
    lp = LinearProgram.from_matrix([huge], Matrix.from_rationals([[-small, -huge]]), Box.whole_space(1))
    answer = solve(lp)
    assert isinstance(answer, Optimal)
    assert answer.value == F(10) ** 1200


@pytest.mark.parametrize(("rows", "kind"),
                         [([[1]], Optimal), ([[-1]], Infeasible), ([], Optimal), ([[0], [0]], Optimal)])
def test_no_variables(rows, kind):
    problem = ([], Matrix.from_rationals(rows, 1), [False] * len(rows), Box((), ()))
    answer = solve(program(problem))
    assert isinstance(answer, kind)
    assert confirm(problem, answer) == expected(problem)


def test_zero_equation_with_nonzero_right_side():
    problem = ([F(1)], Matrix.from_rationals([[0, -1]]), [True], Box.whole_space(1))
    answer = solve(program(problem))
    assert isinstance(answer, Infeasible)
    assert answer.row_multipliers[0] > 0
    confirm(problem, answer)


def test_fixed_variables():
    problem = ([F(1), F(1)], Matrix.from_rationals([[-1, -1, -2]]), [False], Box((F(1, 3), None), (F(1, 3), None)))
    answer = solve(program(problem))
    assert isinstance(answer, Optimal)
    assert answer.x == (F(1, 3), F(5, 3))
    confirm(problem, answer)


def test_exact_tests_reject_what_is_slightly_wrong():
    lp = LinearProgram.from_matrix([-1], Matrix.from_rationals([[3, 1]]), Box.whole_space(1))
    assert is_feasible(lp, [F(1, 3)])
    assert not is_feasible(lp, [F(1 / 3 + 1e-16)])
    assert lower_bound(lp, [F(1, 3)]) == F(-1, 3)
    assert lower_bound(lp, [F(1 / 3)]) is None
    assert lower_bound(lp, [F(-1, 3)]) is None
    assert is_ray(LinearProgram.from_matrix([1], Matrix.from_rationals([[3, 1]]), Box.whole_space(1)), [F(-1)])
    assert not is_ray(lp, [F(1)])


def test_a_basis_of_another_problem_is_none():
    lp = LinearProgram.from_matrix([1, 1], Matrix.from_rationals([[1, 1, 1], [2, 2, 2]]), Box.whole_space(2))

    def basis(columns, rows):
        return highs.Basis(np.array(columns, dtype=np.int8), np.array(rows, dtype=np.int8))

    assert basic_solution(lp, basis([1, 1], [2, 2])) is None  # singular
    assert basic_solution(lp, basis([1, 1], [2, 1])) is None  # wrong size
    assert basic_solution(lp, basis([1], [2, 1])) is None  # wrong shape
    assert basic_solution(lp, basis([0, 1], [2, 1])) is None  # at a bound that is missing
    assert basic_solution(lp, basis([3, 1], [2, 1])) == ((0, 1), (-1, 0))


def test_float_view_magnifies_exactly():
    lp = LinearProgram.from_matrix([1], Matrix.from_rationals([[1, F(1, 3)]]), Box((F(0),), (None,)))
    view = float_view(lp, [F(1, 3) - F(1, 2**70)], 2**70)
    scale = view.matrix[0, 0]
    assert view.row_upper[0] == scale
    assert view.column_lower[0] == -float(F(2**70, 3) - 1)
    assert view.column_upper[0] == np.inf


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="do not fit"):
        LinearProgram.from_matrix([1, 2], Matrix.from_rationals([[1, 1]]), Box.whole_space(1))
    with pytest.raises(ValueError, match="equality flags"):
        LinearProgram.from_matrix([1], Matrix.from_rationals([[1, 1]]), Box.whole_space(1), [True, False])
    lp = LinearProgram.from_matrix([1], Matrix.from_rationals([[1, 1]]), Box.whole_space(1))
    with pytest.raises(ValueError, match="multipliers"):
        lower_bound(lp, [])


SMALL = st.integers(-3, 3).map(Fraction)


@st.composite
def problems(draw):
    n = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(SMALL, min_size=n + 1, max_size=n + 1), max_size=7))
    equality = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    bounds = draw(st.lists(st.tuples(st.none() | SMALL, st.none() | SMALL), min_size=n, max_size=n))
    ordered = [(min(b), max(b)) if None not in b else b for b in bounds]
    box = Box(tuple(lo for lo, _ in ordered), tuple(hi for _, hi in ordered))
    return draw(st.lists(SMALL, min_size=n, max_size=n)), Matrix.from_rationals(rows, n + 1), equality, box


@settings(max_examples=150)
@given(problems())
def test_agrees_with_cddlib(problem):
    assert confirm(problem, solve(program(problem))) == expected(problem)


@settings(max_examples=60)
@given(problems(), st.integers(-40, 40))
def test_scaling_the_objective_scales_the_value(problem, exponent):
    objective, matrix, equality, box = problem
    factor = F(2) ** exponent
    first = solve(program(problem))
    second = solve(program(([factor * c for c in objective], matrix, equality, box)))
    assert type(first) is type(second)
    if isinstance(first, Optimal):
        assert second.value == factor * first.value
