from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.solvers.liars import ALL_LIES, HONEST_FALLBACK
from tests.solvers.oracle import box_rows, cdd_maximum, dual_value, inner, random_problem
from tests.solvers.test_exact_lp import problems
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.solvers.linear_program import LpError
from verifier.solvers.two_lps import Refutation, Witness, strict_feasibility, verify_refutation, verify_witness

F = Fraction
LINE = Box.whole_space(1)


def confirm(matrix, strict, box, answer):
    """The answer's own proof, by schoolbook arithmetic; returns whether a point exists."""
    rows = matrix.rows()
    if isinstance(answer, Witness):
        assert box.contains(answer.x)
        for row, s in zip(rows, strict, strict=True):
            value = inner(row[:-1], answer.x)
            assert value < row[-1] if s else value <= row[-1]
        return True
    assert isinstance(answer, Refutation)
    assert all(m >= 0 for m in answer.multipliers)
    least = dual_value([F(0)] * box.dimension, rows, box, answer.multipliers)
    assert least is not None
    assert least > 0 or (least == 0 and any(m > 0 and s for m, s in zip(answer.multipliers, strict, strict=True)))
    return False


def expected(matrix, strict, box):
    """One linear program by cddlib: the largest slack of the strict rows."""
    rows = [(*row[:-1], F(int(s)), row[-1]) for row, s in zip(matrix.rows(), strict, strict=True)]
    rows += [(*row[:-1], F(0), row[-1]) for row in box_rows(box)]
    rows.append((*[F(0)] * box.dimension, F(1), F(1)))
    slack = cdd_maximum([F(0)] * box.dimension + [F(1)], rows)
    return slack != "infeasible" and (slack > 0 or not any(strict))


@pytest.mark.parametrize("kind", ["integer", "nearly", "thirds"])
def test_agrees_with_cddlib_on_random_problems(kind):
    rng = np.random.default_rng(5)
    seen = []
    for _ in range(250):
        _, matrix, strict, box = random_problem(rng, kind)
        seen.append(confirm(matrix, strict, box, strict_feasibility(matrix, strict, box)))
        assert seen[-1] == expected(matrix, strict, box)
    assert 25 < sum(seen) < 225


@settings(max_examples=150)
@given(problems())
def test_agrees_with_cddlib(problem):
    _, matrix, strict, box = problem
    assert confirm(matrix, strict, box, strict_feasibility(matrix, strict, box)) == expected(matrix, strict, box)


@pytest.mark.parametrize("solvers", HONEST_FALLBACK)
def test_a_lying_float_solver_changes_nothing(solvers):
    rng = np.random.default_rng(17)
    for _ in range(40):
        _, matrix, strict, box = random_problem(rng, "integer")
        answer = strict_feasibility(matrix, strict, box, solvers)
        assert confirm(matrix, strict, box, answer) == expected(matrix, strict, box)


@pytest.mark.parametrize("solvers", ALL_LIES)
def test_when_all_lie_the_answer_is_right_or_an_error(solvers):
    rng = np.random.default_rng(19)
    for _ in range(15):
        _, matrix, strict, box = random_problem(rng, "integer")
        try:
            answer = strict_feasibility(matrix, strict, box, solvers)
        except LpError:
            continue
        assert confirm(matrix, strict, box, answer) == expected(matrix, strict, box)


@pytest.mark.parametrize(("strict", "exists"), [((False, False), True), ((True, False), False), ((False, True), False),
                                                ((True, True), False)])
@pytest.mark.parametrize("box", [LINE, Box.from_bounds([-1], [1])])
def test_touching_half_lines(strict, exists, box):
    """x <= 0 and x >= 0, each weak or strict."""
    matrix = Matrix.from_rationals([[1, 0], [-1, 0]])
    answer = strict_feasibility(matrix, strict, box)
    assert confirm(matrix, strict, box, answer) is exists
    if exists:
        assert answer == Witness((F(0),))


@pytest.mark.parametrize("strict", [False, True])
def test_touching_the_box(strict):
    """x >= 1 on a box that ends at 1: the bounds of a box are never strict."""
    matrix, box = Matrix.from_rationals([[-1, -1]]), Box.from_bounds([0], [1])
    answer = strict_feasibility(matrix, [strict], box)
    assert confirm(matrix, [strict], box, answer) is not strict


def test_equations_do_not_hide_strict_rows():
    """With x = y as two rows the common slack is 0 whether or not a strict row holds; the second program tells."""
    diagonal = [[1, -1, 0], [-1, 1, 0]]
    box = Box.from_bounds([-1, -1], [1, 1])
    for last, exists in (([-1, -1, -1], True), ([-1, 1, 0], False), ([-1, -1, -2], False)):
        matrix = Matrix.from_rationals([*diagonal, last])
        flags = [False, False, True]
        for domain in (box, Box.whole_space(2)):
            expectation = exists or (domain is not box and last[-1] == -2)
            assert confirm(matrix, flags, domain, strict_feasibility(matrix, flags, domain)) is expectation


def test_motzkin_refutation_has_weight_on_a_strict_row():
    matrix = Matrix.from_rationals([[1, 1, 0], [-1, -1, 0], [-1, 0, 0], [1, 0, 0], [0, -1, 0]])
    flags = [False, False, False, False, True]  # x + y = 0, x = 0, y > 0
    answer = strict_feasibility(matrix, flags, Box.whole_space(2))
    assert isinstance(answer, Refutation)
    assert answer.multipliers[4] > 0
    confirm(matrix, flags, Box.whole_space(2), answer)


def test_no_rows_and_no_variables():
    nothing = Box((), ())
    assert strict_feasibility(Matrix.zeros(0, 1), [], nothing) == Witness(())
    assert isinstance(strict_feasibility(Matrix.zeros(0, 3), [], Box.from_bounds([1, 2], [1, 3])), Witness)
    for offset, flag, exists in ((0, False, True), (0, True, False), (1, True, True), (-1, False, False)):
        matrix = Matrix.from_rationals([[offset]])
        assert confirm(matrix, [flag], nothing, strict_feasibility(matrix, [flag], nothing)) is exists


def test_fixed_and_free_variables():
    box = Box((F(1, 3), None), (F(1, 3), None))
    matrix = Matrix.from_rationals([[1, 1, 0], [-1, -1, 0]])
    assert strict_feasibility(matrix, [False, False], box) == Witness((F(1, 3), F(-1, 3)))
    assert isinstance(strict_feasibility(matrix, [False, True], box), Refutation)


def test_margins_below_every_tolerance():
    tiny = F(1, 2**200)
    for gap, exists in ((tiny, True), (F(0), False), (-tiny, False)):
        matrix = Matrix.from_rationals([[3, 1 + gap], [-3, -1]])  # 1 < 3x < 1 + gap
        for box in (LINE, Box.from_bounds([0], [1])):
            assert confirm(matrix, [True, True], box, strict_feasibility(matrix, [True, True], box)) is exists


def test_interior_witness_is_short():
    rng = np.random.default_rng(2)
    values = np.hstack([rng.normal(size=(40, 4)), np.full((40, 1), 0.5)]).astype(np.float32)
    answer = strict_feasibility(Matrix.from_floats(values), [True] * 40, Box.from_bounds([-1] * 4, [1] * 4))
    assert isinstance(answer, Witness)
    assert all(v.denominator <= 2**16 for v in answer.x)


def test_verify_refutation_knows_the_difference():
    matrix = Matrix.from_rationals([[1, 0], [-1, 0]])
    assert not verify_refutation(matrix, [False, False], LINE, [F(1), F(1)])
    assert verify_refutation(matrix, [False, True], LINE, [F(1), F(1)])
    assert not verify_refutation(matrix, [False, True], LINE, [F(0), F(0)])
    assert not verify_refutation(matrix, [False, True], LINE, [F(1), F(1) + F(1, 10**30)])
    assert not verify_refutation(matrix, [True, True], LINE, [F(-1), F(-1)])
    assert verify_refutation(Matrix.from_rationals([[1, -2]]), [False], Box.from_bounds([-1], [1]), [F(1, 7)])
    assert not verify_refutation(Matrix.from_rationals([[1, -1]]), [False], Box.from_bounds([-1], [1]), [F(1)])
    assert verify_refutation(Matrix.from_rationals([[1, -1]]), [True], Box.from_bounds([-1], [1]), [F(1)])


def test_verify_witness_is_exact():
    matrix = Matrix.from_rationals([[3, 1]])
    assert verify_witness(matrix, [False], LINE, [F(1, 3)])
    assert not verify_witness(matrix, [True], LINE, [F(1, 3)])
    assert not verify_witness(matrix, [False], Box.from_bounds([1], [2]), [F(1, 3)])


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="flags"):
        strict_feasibility(Matrix.from_rationals([[1, 1]]), [], LINE)
    with pytest.raises(ValueError, match="coordinates"):
        strict_feasibility(Matrix.from_rationals([[1, 1]]), [True], Box.whole_space(2))
    with pytest.raises(ValueError, match="multipliers"):
        verify_refutation(Matrix.from_rationals([[1, 1]]), [True], LINE, [])


@settings(max_examples=60)
@given(problems(), st.randoms(use_true_random=False))
def test_order_and_scale_of_rows_do_not_matter(problem, random):
    _, matrix, strict, box = problem
    first = strict_feasibility(matrix, strict, box)
    order = list(range(len(strict)))
    random.shuffle(order)
    factors = [F(random.randint(1, 9), random.randint(1, 9)) for _ in order]
    scaled = [[factor * v for v in matrix.row(i)] for i, factor in zip(order, factors, strict=True)]
    again = strict_feasibility(Matrix.from_rationals(scaled, box.dimension + 1), [strict[i] for i in order], box)
    assert type(again) is type(first)
