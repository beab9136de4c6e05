"""The mixed-integer engine against brute force, with solvers that lie, and as other programs read its models."""

from __future__ import annotations

import io
import os
import random
import re
import signal
import subprocess
import time
import warnings
from dataclasses import replace
from fractions import Fraction as F

import highspy
import numpy as np
import pulp as pulp_library
import pytest

from tests import reference
from tests.engines.test_propagate import cube, modular
from tests.strategies import network_of, random_box, random_network, random_query, random_touching
from verifier.api import verify
from verifier.engines import milp
from verifier.engines.exact_leaf import pattern_at
from verifier.engines.milp import Milp, MilpSolver, decide
from verifier.engines.milp_model import encode, homogenised, propagated, tightened, unit_box
from verifier.engines.milp_patterns import enumerate_patterns
from verifier.engines.propagate import cells
from verifier.formats.errors import InputError
from verifier.kernel.network import Layer, Network, pair
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix
from verifier.properties.safety import Outcome
from verifier.sets import output_range
from verifier.solvers import pulp
from verifier.solvers.child import Child, ChildFailed
from verifier.solvers.highs import solve_mixed
from verifier.solvers.mixed_integer import INFINITY, Limits, MixedSolution, MixedStatus

ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])


def highs(program, seconds):
    return solve_mixed(program, Limits(seconds, 20_000))


def cbc(program, seconds):
    return pulp.solve(program, "cbc", Limits(seconds, 20_000))


def query_of(seed: int) -> Query:
    rng = random.Random(seed)
    return random_touching(rng, seed % 2 == 0).query if seed % 3 == 0 else random_query(rng, seed % 2 == 0)


# --- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solve", "seeds"), [(highs, range(36)), (cbc, range(36, 48))])
def test_points_are_found_where_brute_force_finds_them(solve, seeds):
    for seed in seeds:
        query = query_of(seed)
        point = Milp(query.network, query.domain, solve).find(query.disjuncts).point
        assert (point is None) == (reference.decide(query) is None), seed
        assert point is None or query.satisfied_disjunct(point) is not None


@pytest.mark.parametrize(("solve", "seeds"), [(None, range(6)), (highs, range(3, 6)), (cbc, range(7, 9))])
def test_patterns_are_those_of_the_cells(solve, seeds):
    for seed in seeds:
        rng = random.Random(seed)
        network = random_network(rng, True, inputs=2)
        box = random_box(rng, 2, True)
        expected = {cell.pattern for cell in cells(network, box)}
        found = enumerate_patterns(network, box, (), solve)
        assert found.finished
        assert set(found.patterns) == expected
        assert len(found.patterns) == len(expected)


@pytest.mark.parametrize("solve", [None, highs])
def test_a_unit_that_is_zero_on_a_cell_is_inactive_there(solve):
    twice = Network((Layer.relu(Matrix.identity(1), Matrix.zeros(1, 1)),) * 2)
    found = enumerate_patterns(twice, cube(1), (), solve)
    assert set(found.patterns) == {((True,), (True,)), ((False,), (False,))}


def test_every_missing_branch_is_refuted():
    """What is refuted and what is found are the two sides of every unit that bounds leave open, and is not constant."""
    network, box = modular((2, 7, 6, 1), 5), cube(2)
    found = enumerate_patterns(network, box)
    assert set(found.patterns) == {cell.pattern for cell in cells(network, box)}
    bounds = propagated(network, box)
    open_units = np.concatenate([(low < 0) & (high > 0) for low, high in zip(bounds.lower, bounds.upper, strict=True)])
    signs = [sum(p, ()) for p in found.patterns]
    beginnings = [{s[:n] for s in signs} for n in range(len(open_units) + 1)]
    assert len(beginnings[0]) == 1
    missing = sum(2 * len(beginnings[n]) - len(beginnings[n + 1]) for n in range(len(open_units)) if open_units[n])
    assert 0 < found.refuted < missing
    assert found.refuted + found.again <= missing  # units that are constant on a cell need no refutation


def test_patterns_in_a_polytope_and_in_all_of_space():
    network = modular((2, 5, 4, 1), 3)
    row = HalfSpace((F(1), F(1)), F(1, 2))
    for box, rows in ((cube(2), (row,)), (Box.whole_space(2), ()), (Box.whole_space(2), (row,))):
        found = enumerate_patterns(network, box, rows)
        assert found.finished
        assert set(found.patterns) == {cell.pattern for cell in cells(network, box, rows)}


def test_an_enumeration_stops_at_its_deadline():
    found = enumerate_patterns(modular((2, 7, 6, 1), 5), cube(2), deadline=time.time())
    assert not found.finished


@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_ranges_equal_those_of_the_propagator(solver):
    for seed in range(3):
        rng = random.Random(seed)
        network = random_network(rng, True, inputs=2, outputs=1)
        box = random_box(rng, 2, True, bounded=True)
        one, other = (output_range(network, box, engine=engine, solver=solver) for engine in ("milp", "propagate"))
        assert [(r.minimum.value, r.maximum.value) for r in one] == [(r.minimum.value, r.maximum.value) for r in other]


def test_the_solver_finds_the_maximum_itself():
    """Without the search's help: what it starts from is the answer."""
    network = modular((2, 8, 8, 2), 7)
    for objective, expected in (((F(0), F(0), F(1), F(0)), output_range(network, cube(2))[0].maximum.value),):
        x = Milp(network, cube(2), highs).best((), objective)
        assert network.evaluate(x)[0] == expected


def test_a_pair_of_networks_and_unbounded_domains():
    """|x| and -|x'| meet at 0 only; on the whole line, through homogenisation."""
    negated = Network((*ABSOLUTE.layers[:1], Layer.affine(Matrix.from_rationals([[-1, -1]]), Matrix.zeros(1, 1))))
    both = pair(ABSOLUTE, negated)
    equal = tuple(HalfSpace((F(0), F(0), F(s), F(-s)), F(0)) for s in (1, -1))
    for domain in (cube(2), Box.whole_space(2)):
        model = Milp(both, domain, highs)
        assert model.homogeneous == (not domain.is_bounded)
        assert model.find((equal,)).point == (0, 0)
        apart = (*equal, HalfSpace((F(-1), F(0), F(0), F(0)), F(0), strict=True))
        assert model.find((apart,)).point is None


def test_homogenisation_agrees_with_the_network():
    network = modular((2, 5, 4, 2), 3)
    scaled = homogenised(network)
    for x, s in (((F(1, 3), F(-2)), F(1, 7)), ((F(5), F(1)), F(2))):
        image = scaled.evaluate([*(s * v for v in x), s])
        assert image == (*(s * y for y in network.evaluate(x)), s)
    assert unit_box(2).contains((F(-1), F(1), F(0)))


def test_tightened_bounds_are_tighter_and_true():
    network = modular((3, 8, 8, 8, 1), 5)
    box = cube(3)
    loose = propagated(network, box)
    tight = tightened(network, box, loose)
    before, after = (sum(float((high - low).sum()) for low, high in zip(b.lower, b.upper, strict=True))
                     for b in (loose, tight))
    assert after < before
    rng = random.Random(1)
    for _ in range(50):
        x = [F(rng.randint(-8, 8), 8) for _ in range(3)]
        for layer, z, low, high in zip(network.layers, network.pre_activations(x), tight.lower, tight.upper,
                                       strict=True):
            assert all(a <= v <= b for v, a, b, phase in zip(z, low, high, layer.has_phase, strict=True) if phase)
    query = Query(network, box, ((HalfSpace((F(0),) * 3 + (F(-1),), F(-10)),),))
    answers = [Milp(network, box, highs, tighten=t).find(query.disjuncts).point is None for t in (False, True)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("slope", [F(0), F(1, 100), F(-1), F(2), F(1)])
def test_the_model_has_exactly_the_graph(slope):
    """With the input fixed, the output has one value, whatever the slope."""
    network = Network((Layer(Matrix.from_rationals([[2]]), Matrix.column([F(1, 2)]), Matrix.column([slope])),))
    encoding = encode(network, cube(1), propagated(network, cube(1)))
    assert len(encoding.binaries) == (slope != 1)
    for x in (F(-1), F(-1, 4), F(0), F(3, 4)):
        for sign in (1.0, -1.0):
            program = encoding.program.with_cost({encoding.outputs[0]: sign})
            fixed = replace(program.variables[encoding.inputs[0]], lower=float(x), upper=float(x))
            solution = highs(replace(program, variables=(fixed, *program.variables[1:])), None)
            assert solution.point[encoding.outputs[0]] == pytest.approx(float(network.evaluate([x])[0]), abs=1e-7)


# --- liars -----------------------------------------------------------------------------------------------------------


def _says_infeasible(program, seconds):
    return MixedSolution(MixedStatus.INFEASIBLE)


def _says_optimal_zeros(program, seconds):
    return MixedSolution(MixedStatus.OPTIMAL, np.zeros(len(program.variables)), -1.0, -1.0)


def _noise(program, seconds):
    rng = np.random.default_rng(len(program.rows))
    return MixedSolution(MixedStatus.OPTIMAL, rng.normal(size=len(program.variables)) * 3, -9.0, -9.0)


def _flips_patterns(program, seconds):
    honest = highs(program, seconds)
    if honest.point is None:
        return honest
    flipped = [1 - v if u.integer else -v for u, v in zip(program.variables, honest.point, strict=True)]
    return replace(honest, point=np.array(flipped), objective=-honest.objective, bound=-honest.bound)


def _misshapen(program, seconds):
    return MixedSolution(MixedStatus.OPTIMAL, np.zeros(3), -1.0, -1.0)


def _not_a_number(program, seconds):
    return MixedSolution(MixedStatus.OPTIMAL, np.full(len(program.variables), np.nan), np.nan, np.nan)


def _infinite(program, seconds):
    return MixedSolution(MixedStatus.FEASIBLE, np.full(len(program.variables), INFINITY), -INFINITY, -INFINITY)


def _fails(program, seconds):
    return MixedSolution(MixedStatus.FAILED, message="no")


LIARS = [_says_infeasible, _says_optimal_zeros, _noise, _flips_patterns, _misshapen, _not_a_number, _infinite, _fails]


@pytest.mark.parametrize("liar", LIARS)
def test_a_lying_solver_never_turns_a_verdict(liar):
    for seed in range(8):
        query = query_of(seed)
        truth = reference.decide(query) is not None
        result, _ = decide(query, liar)
        assert (result.point is not None) == truth
        assert result.finished == (not truth)
        assert result.point is None or query.satisfied_disjunct(result.point) is not None


@pytest.mark.parametrize("liar", LIARS)
def test_a_lying_solver_never_changes_a_range_or_adds_a_pattern(liar, monkeypatch):
    class Stand(MilpSolver):
        def __call__(self, program, seconds):
            return liar(program, seconds)

    monkeypatch.setattr(milp, "MilpSolver", Stand)
    network, box = modular((2, 4, 3, 1), 7), cube(2)
    (told,) = output_range(network, box, engine="milp")
    assert (told.minimum.value, told.maximum.value) == reference.output_range(network, box, [F(1)])
    found = enumerate_patterns(network, box, (), liar)
    assert found.finished
    assert set(found.patterns) == {cell.pattern for cell in cells(network, box)}
    proposes = liar in (_says_optimal_zeros, _noise)
    assert (found.missed > 0, found.dropped > 0) == (not proposes, proposes)


def asked(program, *options):
    """What CBC says with other options than ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = pulp.express(program)
        problem.solve(pulp_library.PULP_CBC_CMD(msg=False, options=list(options)))
    return pulp.read_solution(problem, program)


def test_a_wrong_optimum_of_a_real_solver(monkeypatch):
    """CBC 2.10.3 with its preprocessing prints "postprocessed model is infeasible", and then "optimal" of 109.6, which
    is outside the box; 3.82 is right.  Without it CBC is right."""
    class Stand(MilpSolver):
        def __call__(self, program, seconds):
            return asked(program)

    monkeypatch.setattr(milp, "MilpSolver", Stand)
    network, query = network_of(89)
    (told,) = output_range(network, query.domain, ["Y_0"], engine="milp")
    assert told.maximum.value == F(191, 50)
    objective = (*([F(0)] * network.inputs), F(1), *([F(0)] * (network.outputs - 1)))
    model = Milp(network, query.domain, cbc)
    assert network.evaluate(model.best((), objective))[0] == F(191, 50)
    claim = asked(model.optimum((), objective))
    assert claim.status is MixedStatus.OPTIMAL
    assert model.optimum((), objective).violation(claim.point) > 0.1


def test_bounds_that_only_rounding_keeps_from_zero_make_no_binary():
    """With coefficients of 1e-14 and 1e-61 in the model CBC claimed optima that are none."""
    network = modular((2, 6, 5, 1), 5)
    bounds = propagated(network, cube(2))
    sides = np.concatenate([np.minimum(-low, high) for low, high in zip(bounds.lower, bounds.upper, strict=True)])
    assert ((sides > 0) & (sides < 1e-9)).any()
    model = Milp(network, cube(2), highs)
    program = model.optimum((), (F(0), F(0), F(1)))
    assert min(abs(c) for row in program.rows for c in row.coefficients.values()) > 0.1
    for options in ((), ("preprocess off",), ("preprocess off", "cuts off")):
        assert asked(program, *options).objective == pytest.approx(4.5)


def test_a_large_model_starts_where_local_search_ends(monkeypatch):
    network, box = modular((3, 18, 18, 1), 7), cube(3)
    objective = (F(0),) * 3 + (F(1),)
    seen = []

    def silent(program, seconds):
        seen.append((program, seconds))
        return solve_mixed(program, Limits(1.0, 1))

    model = Milp(network, box, silent, tighten=False)
    x = model.best((), objective)
    ((program, seconds),) = seen
    assert seconds == milp.IMPROVEMENT
    assert program.violation(np.array(program.start)) < 1e-9
    assert network.evaluate(x)[0] >= F(-sum(c * program.start[v] for v, c in program.cost.items())) - F(1, 10**6)
    assert solve_mixed(replace(program, start=()), Limits(1.0, 1)).objective >= solve_mixed(
        program, Limits(1.0, 1)).objective - 1e-9
    other = [F(1, 3), F(-1, 7), F(1)]
    point = np.array(model.encoding.point(other))
    assert model.encoding.program.violation(point) < 1e-9
    assert [a.tolist() for a in model.encoding.pattern(point)][:2] == [
        a.tolist() for a in pattern_at(network, other)][:2]


def test_an_undecided_question_says_why():
    network = modular((4, 24, 24, 1), 7)
    query = Query(network, cube(4), ((HalfSpace((F(0),) * 4 + (F(-1),), F(-10**6)),),))
    assert decide(query, _fails)[0].finished
    hard = Query(network, cube(4, 50), ((HalfSpace((F(0),) * 4 + (F(-1),), F(-10**5), True),),))
    result, reason = decide(hard, _fails, deadline=time.time())
    assert not result.finished
    assert result.point is None
    assert "mixed-integer solver led to no counterexample" in reason


# --- the walk, with child processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_verify_with_a_solver(solver):
    touching = Query(ABSOLUTE, Box.from_bounds([F(-7, 10)], [1]), ((HalfSpace((F(0), F(1)), F(0)),),))
    verdict = verify(ABSOLUTE, [touching], engine="milp", solver=solver)
    assert verdict.outcome is Outcome.VIOLATED
    assert verdict.witness.x == (0,)
    strict = replace(touching, disjuncts=((HalfSpace((F(0), F(1)), F(0), strict=True),),))
    assert verify(ABSOLUTE, [strict], engine="milp", solver=solver, certificate=io.BytesIO()).outcome is Outcome.HOLDS


def test_solvers_that_are_not_there(monkeypatch):
    monkeypatch.setitem(pulp._PULP_NAMES, "scip", ("SCIP_CMD",))
    monkeypatch.setenv("PATH", "")
    for name, word in (("scip", "not installed"), ("abacus", "unknown")):
        with pytest.raises(InputError, match=word):
            verify(ABSOLUTE, [], engine="milp", solver=name)
        with pytest.raises(InputError, match=word):
            output_range(ABSOLUTE, cube(1), engine="milp", solver=name)
    assert pulp.solve(encode(ABSOLUTE, cube(1), propagated(ABSOLUTE, cube(1))).program, "scip",
                      Limits()).status is MixedStatus.FAILED


def test_a_child_that_breaks_is_replaced():
    with Child() as child:
        first = child.call(os.getpid)
        assert child.call(os.getpid) == first != os.getpid()
        for call, word in (((os._exit, 3), "died"), ((int, "x"), "ValueError")):
            with pytest.raises(ChildFailed, match=word):
                child.call(*call)
        with pytest.raises(ChildFailed, match="time limit"):
            child.call(time.sleep, 60, seconds=0.05)
        assert child.call(os.getpid) not in (first, os.getpid())


def test_an_interrupt_stops_the_child():
    def interrupt(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Child() as child:
            number = child.call(os.getpid)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                child.call(time.sleep, 60)
            with pytest.raises(ProcessLookupError):
                os.kill(number, 0)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_solver_that_dies_is_a_failed_solution(monkeypatch):
    monkeypatch.setattr(milp, "solve_mixed", os._exit)  # called with two arguments: raises in the child
    with MilpSolver() as solve:
        program = encode(ABSOLUTE, cube(1), propagated(ABSOLUTE, cube(1))).program
        assert solve(program, None).status is MixedStatus.FAILED


# --- models as files, and PuLP's statuses ----------------------------------------------------------------------------


def by_highs(path):
    """The optimum of a file, by HiGHS' own reader."""
    reader = highspy.Highs()
    reader.setOptionValue("output_flag", False)
    assert reader.readModel(str(path)) != highspy.HighsStatus.kError
    reader.run()
    assert reader.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return reader.getObjectiveValue()


def by_cbc(path):
    """The optimum of a file, by CBC's own reader."""
    command = [pulp._solver("cbc", Limits()).path, str(path), "-preprocess", "off", "-solve"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Optimal solution found" in output
    return float(re.search(r"Objective value: +(\S+)", output)[1])


def questions():
    """Programs of a network with an input that moves nothing (a variable without a row must be in the file all the
    same), of a pair of networks, and of a homogenised one; and their optima."""
    network = modular((2, 6, 5, 1), 5)
    wide = Network((Layer.affine(Matrix.from_rationals([[1, 0, 0], [0, 0, 1]]), Matrix.zeros(2, 1)), *network.layers))
    yield Milp(wide, cube(3), highs).optimum((), (F(0),) * 3 + (F(1),)), -reference.output_range(
        network, cube(2), [F(1)])[1]
    one, other = (modular((2, 4, 1), seed) for seed in (3, 5))
    both = pair(one, other)
    yield Milp(both, cube(4), highs).optimum((), (*(F(0),) * 4, F(1), F(-1))), -(
        reference.output_range(one, cube(2), [F(1)])[1] - reference.output_range(other, cube(2), [F(1)])[0])
    ray = Milp(ABSOLUTE, Box.whole_space(1), highs)
    assert ray.homogeneous
    # |X| - 3s >= 3t, t <= s: at X = 1, s = 1/6
    yield ray.program((HalfSpace((F(0), F(-1)), F(-3), strict=True),)), F(-1, 6)


@pytest.mark.parametrize("suffix", pulp.SUFFIXES)
@pytest.mark.parametrize("number", range(3))
def test_a_written_model_has_the_same_optimum_elsewhere(tmp_path, suffix, number):
    program, expected = list(questions())[number]
    path = tmp_path / f"model{suffix}"
    pulp.write(program, path)
    text = path.read_text()
    assert all(v.name in text for v in program.variables)
    assert all(row.name in text for row in program.rows)
    for read in (by_highs, by_cbc):
        assert read(path) == pytest.approx(float(expected), rel=1e-6)
    assert solve_mixed(program, Limits(10)).objective == pytest.approx(float(expected), rel=1e-6)


def test_no_other_format_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"\.lp or \.mps"):
        pulp.write(encode(ABSOLUTE, cube(1), propagated(ABSOLUTE, cube(1))).program, tmp_path / "model.txt")


def test_a_point_at_a_time_limit_is_no_optimum():
    """PuLP's status says "Optimal" of it; ``sol_status`` does not."""
    encoding = encode(ABSOLUTE, cube(1), propagated(ABSOLUTE, cube(1)))
    program = encoding.program.with_cost({encoding.outputs[0]: 1.0})
    problem = pulp.express(program)
    for variable in problem.variables():
        variable.varValue = 0.0
    for sol_status, expected in ((pulp_library.LpSolutionOptimal, MixedStatus.OPTIMAL),
                                 (pulp_library.LpSolutionIntegerFeasible, MixedStatus.FEASIBLE),
                                 (pulp_library.LpSolutionNoSolutionFound, MixedStatus.STOPPED),
                                 (pulp_library.LpSolutionInfeasible, MixedStatus.INFEASIBLE)):
        problem.assignStatus(pulp_library.LpStatusOptimal, sol_status)
        solution = pulp.read_solution(problem, program)
        assert solution.status is expected
        assert (solution.bound > -INFINITY) == (expected is MixedStatus.OPTIMAL)


@pytest.mark.parametrize("name", pulp.installed())
def test_statuses_of_the_solvers(name):
    encoding = encode(ABSOLUTE, cube(1), propagated(ABSOLUTE, cube(1)))
    y = encoding.outputs[0]
    program = encoding.program.with_cost({y: 1.0})
    assert pulp.solve(program, name, Limits(10)).status is MixedStatus.OPTIMAL
    below = replace(program.variables[y], upper=-0.5)
    nothing = replace(program, variables=(*program.variables[:y], below, *program.variables[y + 1:]))
    for answer in (pulp.solve(nothing, name, Limits(10)), solve_mixed(nothing, Limits(10))):
        assert answer.status is MixedStatus.INFEASIBLE
        assert answer.point is None
