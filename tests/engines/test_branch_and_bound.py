"""The search against brute force, with every answer proved, and with solvers that lie."""

import random
import time
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from benchmarks.agreement import compare
from tests.proofs import SearchTooLong, check_bytes, search, to_bytes
from tests.reference import decide
from tests.solvers.liars import ALL_LIES, FLOAT_LIARS, HONEST_FALLBACK
from tests.strategies import random_query, random_touching
from verifier.engines import attack, exact_leaf, relaxation, subtrees
from verifier.engines.branch_and_bound import FEW_PHASES, BranchAndBound, OutOfTime, SearchBatch, shorten
from verifier.engines.row_bounds import RowBounds
from verifier.kernel.bounds import FloatBounds
from verifier.kernel.branches import Branches
from verifier.kernel.certificate import InvalidCertificate, unpack
from verifier.kernel.checker import NoPoint, PointIn, check_no_point, check_point
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix
from verifier.solvers import highs
from verifier.solvers.linear_program import LpError
from verifier.solvers.two_lps import Refutation, Witness, strict_feasibility

QUERIES = 2000
CHUNK = 100


def confirmed(query, answer, exact=False):
    """Whether the query has a point, by a theorem.  Raises InvalidCertificate when the answer is none."""
    if answer.point is not None:
        check_point(PointIn(query, answer.point))
        return True
    check_bytes(query, to_bytes([[block.encode() for block in answer.blocks]]), exact)
    return False


@pytest.mark.parametrize("first", range(0, QUERIES, CHUNK))
def test_agreement_with_brute_force(first):
    outcomes = [compare(seed) for seed in range(first, first + CHUNK)]
    assert [(o.seed, o.problem) for o in outcomes if o.problem] == []
    assert sum(o.point for o in outcomes) > 10
    assert sum(o.exact for o in outcomes) > 1


# --- thin cases by hand ----------------------------------------------------------------------------------------------


def query_of(layers, box, rows):
    """``layers``: rows ``(weights, bias)``, ReLU but for the last layer; ``rows``: ``(normal, offset, strict)``."""
    built = [Layer.relu(Matrix.from_rationals([w for w, _ in layer]), Matrix.column([b for _, b in layer]))
             for layer in layers[:-1]]
    last = layers[-1]
    built.append(Layer.affine(Matrix.from_rationals([w for w, _ in last]), Matrix.column([b for _, b in last])))
    return Query(Network(tuple(built)), box,
                 (tuple(HalfSpace(tuple(map(Fraction, n)), Fraction(o), s) for n, o, s in rows),))


TINY = Fraction(1, 2**30)
ABSOLUTE = [[((1,), 0), ((-1,), 0)], [((1, 1), 0)]]
ZERO = [[((1, 1), 0), ((-1, -1), 0), ((1, 1), 0), ((-1, -1), 0)], [((1, -1, -1, 1), 0)]]
STEP = [[((1,), 0), ((1,), -TINY)], [((1, -1), 0)]]
LARGE = [[((2**24,), 1), ((2**24,), 0)], [((1, -1), 0)]]
PLANE = Box.from_bounds([-1, -1], [1, 1])
LINE = Box.from_bounds([-0.7], [1])
CASES = {
    "|x| <= 0": (query_of(ABSOLUTE, LINE, [((0, 1), 0, False)]), True),
    "|x| < 0": (query_of(ABSOLUTE, LINE, [((0, 1), 0, True)]), False),
    "|x| <= -2^-30": (query_of(ABSOLUTE, LINE, [((0, 1), -TINY, False)]), False),
    "|x| <= 0 on R": (query_of(ABSOLUTE, Box.whole_space(1), [((0, 1), 0, False)]), True),
    "|x| < 0 on R": (query_of(ABSOLUTE, Box.whole_space(1), [((0, 1), 0, True)]), False),
    "zero >= 1e-8": (query_of(ZERO, PLANE, [((0, 0, -1), -Fraction(1, 10**8), False)]), False),
    "zero > 0": (query_of(ZERO, PLANE, [((0, 0, -1), 0, True)]), False),
    "zero >= 0": (query_of(ZERO, PLANE, [((0, 0, -1), 0, False)]), True),
    "a step of 2^-30 reaches 4e-10": (query_of(STEP, LINE, [((0, -1), -Fraction(4, 10**10), False)]), True),
    "a step of 2^-30 exceeds itself": (query_of(STEP, LINE, [((0, -1), -TINY, True)]), False),
    "relu(2^24 x + 1) - relu(2^24 x) <= 1/2": (query_of(LARGE, Box.from_bounds([0.9], [1]),
                                                       [((0, 1), Fraction(1, 2), False)]), False),
    "1/3 <= x <= 1/3": (query_of(ABSOLUTE, Box((Fraction(1, 3),), (Fraction(1, 3),)),
                                 [((0, 1), Fraction(1, 3), False)]), True),
    "1/3 <= x < 1/3": (query_of(ABSOLUTE, Box((Fraction(1, 3),), (Fraction(1, 3),)),
                                [((0, 1), Fraction(1, 3), True)]), False),
}


@pytest.mark.parametrize("name", CASES)
def test_thin_cases(name):
    query, expected = CASES[name]
    answer = search(query, most=500)
    assert confirmed(query, answer, exact=True) == expected == confirmed(query, answer)


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e30, 1e-45])
def test_weights_far_from_one(size):
    """Where floats overflow or vanish the phases and exact programs still decide."""
    factor = Fraction(size)
    for strict, expected in ((False, True), (True, False)):
        query = query_of([[((factor,), 0), ((-factor,), 0)], [((factor, factor), 0)]], LINE, [((0, 1), 0, strict)])
        assert confirmed(query, search(query, most=200)) == expected


# --- lies ------------------------------------------------------------------------------------------------------------


def small_queries(count):
    for seed in range(count):
        rng = random.Random(9000 + seed)
        yield random_touching(rng, True).query if seed % 2 else random_query(rng, bool(seed % 4))


QUESTIONS = [(query, decide(query) is not None) for query in small_queries(24)]


def lie(monkeypatch, solvers):
    monkeypatch.setattr(exact_leaf, "strict_feasibility", partial(strict_feasibility, solvers=solvers))
    for module in (attack, relaxation):
        monkeypatch.setattr(module, "solve", solvers.propose)


def verdicts(most=300):
    """For each question whether the verdict was right, or None where there was no verdict."""
    for query, truth in QUESTIONS:
        try:
            yield confirmed(query, search(query, most=most)) == truth
        except (InvalidCertificate, LpError, SearchTooLong):
            yield None


def test_honest_solvers_decide_all_questions():
    assert set(verdicts()) == {True}
    assert {truth for _, truth in QUESTIONS} == {True, False}


@pytest.mark.parametrize("solvers", HONEST_FALLBACK, ids=[f.__name__ for f in FLOAT_LIARS])
def test_lying_float_solvers_change_no_verdict(monkeypatch, solvers):
    lie(monkeypatch, solvers)
    assert set(verdicts()) == {True}


@pytest.mark.parametrize("number", range(len(ALL_LIES)))
def test_when_all_solvers_lie_no_verdict_is_wrong(monkeypatch, number):
    lie(monkeypatch, ALL_LIES[number])
    assert False not in set(verdicts())


@pytest.mark.parametrize("seed", range(4))
def test_leaves_decided_at_random_give_no_wrong_verdict(monkeypatch, seed):
    """The decision procedure itself lies: any point, any multipliers."""
    rng = random.Random(seed)

    def decided_at_random(rows, strict, box):
        if rng.random() < 0.3:
            return Witness(tuple(Fraction(rng.randint(-2, 2)) if lo is None else lo for lo in box.lower))
        return Refutation(tuple(Fraction(rng.randint(0, 2)) for _ in strict))

    monkeypatch.setattr(exact_leaf, "strict_feasibility", decided_at_random)
    answers = list(verdicts())
    assert False not in answers
    assert None in answers


def touching_family(name, count, inputs):
    """A function that is 0 or touches 0, written with more units than FEW_PHASES, asked to be strictly beyond it."""
    rng = random.Random(count + 10 * inputs)
    centre = [Fraction(rng.randint(-4, 4), 8) for _ in range(inputs)]
    units, output = [], []
    total = [Fraction(0)] * (inputs + 1)
    for _ in range(count):
        weights = [Fraction(rng.randint(-8, 8), 4) for _ in range(inputs)]
        bias = -sum((w * c for w, c in zip(weights, centre, strict=True)), Fraction(0))
        bias = bias if name == "through one point" else Fraction(rng.randint(-4, 4), 4)
        opposite = tuple(-w for w in weights), -bias
        units += [(weights, bias), (weights, bias) if name == "duplicates" else opposite]
        output += [1, 1] if name == "through one point" else [1, -1]
        total = [a + b for a, b in zip(total, [*weights, bias], strict=True)]
    if name == "a sum written twice":
        units += [(total[:-1], total[-1]), ([-v for v in total[:-1]], -total[-1])]
        output += [-1, 1]
    return query_of([units, [(output, 0)]], Box.from_bounds([-1] * inputs, [1] * inputs),
                    [((0,) * inputs + (1,), 0, True)])


@pytest.mark.parametrize(("name", "count", "inputs", "most"), [
    ("duplicates", 7, 3, 4000), ("a sum written twice", 6, 3, 4000), ("through one point", 10, 4, 400)])
def test_touching_sets_of_many_units_end(name, count, inputs, most):
    query = touching_family(name, count, inputs)
    assert query.network.phases > FEW_PHASES
    result = subtrees.search(query)
    assert result.finished
    assert result.effort.boxes < most
    theorem = check_no_point(NoPoint(query), map(unpack, result.blocks), exact=True)
    assert theorem.branches <= result.effort.boxes


def test_relaxations_that_touch_are_refuted_without_splitting():
    """y >= 0 because every unit is: one leaf over all of the domain, though 20 units are open."""
    query = touching_family("through one point", 10, 4)
    engine = BranchAndBound(query, walk=True)
    step = engine.expand(SearchBatch.root(query))
    assert len(step.children) == 0
    assert len(step.block.exact_leaves) == 1


# --- deadlines -------------------------------------------------------------------------------------------------------


def test_an_expansion_looks_at_the_clock_before_each_program():
    query = touching_family("duplicates", 7, 3)
    with pytest.raises(OutOfTime):
        BranchAndBound(query, walk=True).expand(SearchBatch.root(query), deadline=0.0)


def test_what_ran_out_of_time_is_not_finished(monkeypatch):
    def expand(*_):
        raise OutOfTime

    monkeypatch.setattr(BranchAndBound, "expand", expand)
    for query in (touching_family("duplicates", 7, 3), CASES["|x| < 0"][0]):
        result = subtrees.search(query, deadline=time.time() + 0.05)
        assert not result.finished
        assert result.point is None


@pytest.mark.parametrize("size", [1e200, 1e300])
def test_attacks_on_huge_numbers_are_silent(size):
    """Warnings are errors in these tests."""
    factor = Fraction(size)
    layers = [[((factor, factor), 0), ((-factor, factor), 0)], [((factor, -factor), 0), ((factor, factor), 1)],
              [((factor, -factor), 0)]]
    query = query_of(layers, Box.from_bounds([-1e300, -1], [1e300, 1]), [((0, 0, 1), -factor, False),
                                                                         ((1, 1, -1), -1, True)])
    lo, hi = query.domain.outward_floats()
    point = attack.descend(FloatBounds(query), lo, hi, 0)
    assert point is None or query.satisfied_disjunct(point) is not None


# --- attacks and cuts ------------------------------------------------------------------------------------------------


def test_climbs_towards_what_is_out_of_reach_end_after_one_program_each(monkeypatch):
    """|x| + |y| <= -100 has no point, and no climb can believe that it comes near one."""
    programs = []
    monkeypatch.setattr(attack, "solve", lambda program: programs.append(program) or highs.solve(program))
    query = query_of([[((1, 0), 0), ((-1, 0), 0), ((0, 1), 0), ((0, -1), 0)], [((1, 1, 1, 1), 0)]], PLANE,
                     [((0, 0, 1), -100, False)])
    assert attack.descend(FloatBounds(query), -np.ones(2), np.ones(2), 0) is None
    assert len(programs) <= attack.POLISHED


def test_climbs_balance_rows_that_pull_apart():
    """|x - 1/3| <= 2^-40 as a narrow valley across the plane: sign descent zigzags, the programs end in it."""
    narrow = Fraction(1, 2**40)
    query = query_of([[((3, 1), 0)], [((1,), 0)]], Box.from_bounds([0, 0], [1, 1]),
                     [((0, 0, 1), Fraction(5, 3) + narrow, False), ((0, 0, -1), -Fraction(5, 3) + narrow, False),
                      ((-1, 2, 0), Fraction(1, 7), False)])
    point = attack.descend(FloatBounds(query), np.zeros(2), np.ones(2), 0)
    assert point is not None
    assert query.satisfied_disjunct(point) is not None


def test_cuts_leave_out_only_what_is_excluded():
    """Beyond a cut no point of the query lies, and at least half of the box is beyond it."""
    cuts = 0
    for seed in range(300):
        query = random_touching(random.Random(seed), bool(seed % 2)).query
        engine = BranchAndBound(query)
        branches = Branches.root(query)
        _, slopes, _ = engine._bound_units(branches)
        rows = RowBounds(engine.bounds, branches, slopes, engine.refutable)
        rows.refute()
        for index, point in zip(*rows.half_spaces_left()[1:], strict=True):
            lo, hi = branches.lo[0].copy(), branches.hi[0].copy()
            middle = lo[index] + (hi[index] - lo[index]) / 2
            if point <= middle:
                lo[index] = point
            else:
                hi[index] = point
            cuts += 1
            generator = np.random.default_rng(seed)
            for x in lo + (hi - lo) * generator.integers(0, 3, (8, len(lo))) / 2:
                assert query.satisfied_disjunct([Fraction(v) for v in x]) is None
    assert cuts > 20


# --- short numbers ---------------------------------------------------------------------------------------------------


def test_short_numbers_are_binary32_and_below():
    rng = random.Random(1)
    values = np.array([rng.choice((-1, 1)) * rng.random() * 2.0 ** rng.randint(-200, 200) for _ in range(3000)]
                      + [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e308, -1e308, 1.0, -1.0])
    short = shorten(values)
    with np.errstate(invalid="ignore"):
        assert (np.isnan(values) | (short <= values)).all()
    assert (short[np.isnan(values)] == -np.inf).all()
    assert ((short == -np.inf) | (short.astype(np.float32) == short)).all()
    ordinary = (np.abs(values) < 2.0**90) & (np.abs(values) > 2.0**-90)
    assert (np.abs(short[ordinary] - values[ordinary]) <= 2.0**-15 * np.abs(values)[ordinary]).all()
