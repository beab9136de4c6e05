import threading
from fractions import Fraction

import pytest

from verifier.solvers import cdd

F = Fraction


@pytest.mark.parametrize("criss_cross", [False, True])
def test_optimum_with_multipliers(criss_cross):
    rows = [(F(1), F(1), F(3)), (F(1), F(-1), F(1)), (F(-1), F(0), F(0)), (F(0), F(-1), F(0))]
    answer = cdd.solve_exact([F(-1), F(-2, 7)], rows, criss_cross)
    assert answer is not None
    assert answer.x == (2, 1)
    assert answer.multipliers == (F(9, 14), F(5, 14), 0, 0)


@pytest.mark.parametrize("criss_cross", [False, True])
def test_no_claim_without_an_optimum(criss_cross):
    assert cdd.solve_exact([F(1)], [(F(1), F(0)), (F(-1), F(-1))], criss_cross) is None
    assert cdd.solve_exact([F(1)], [(F(1), F(0))], criss_cross) is None
    assert cdd.solve_exact([F(1)], [], criss_cross) is None


def test_no_rows_and_no_variables():
    answer = cdd.solve_exact([F(0)], [])
    assert answer is not None
    assert answer.multipliers == ()
    nothing = cdd.solve_exact([], [(F(1),)])
    assert nothing is not None
    assert nothing.x == ()
    assert cdd.solve_exact([], [(F(-1),)]) is None


def test_threads_get_their_own_answers():
    answers = {}

    def work(k):
        for _ in range(20):
            answers[k] = cdd.solve_exact([F(1)], [(F(-1), F(-k)), (F(1), F(100))])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[k].x for k in range(4)] == [(0,), (1,), (2,), (3,)]
