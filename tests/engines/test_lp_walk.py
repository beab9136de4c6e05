"""The compiled walk by linear programs: its two proofs near their limits, its exact answers, its choice."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from tests.strategies import random_network
from verifier.engines import propagate
from verifier.engines.lp_cells import is_combination
from verifier.engines.lp_walk import LpWalk
from verifier.engines.propagate import Propagation, Region, cells, count_cells
from verifier.geometry import programs_compiled as compiled
from verifier.geometry.traversal import Walk
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import FloatArray, Matrix

ONE = Fraction(1)


def cube(dimension: int) -> Box:
    return Box.from_bounds([-ONE] * dimension, [ONE] * dimension)


def one_layer(*rows: tuple[int | Fraction, ...]) -> Network:
    return Network((Layer.relu(Matrix.from_rationals([list(map(Fraction, row[:-1])) for row in rows]),
                               Matrix.column([Fraction(row[-1]) for row in rows])),))


def gaussian(*sizes: int, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    weights: list[FloatArray] = [rng.standard_normal((b, a)) for a, b in itertools.pairwise(sizes)]
    return Network.from_arrays(weights, [rng.standard_normal(b) / 2 for b in sizes[1:]])


def walked(network: Network, box: Box) -> LpWalk:
    walk = LpWalk(Propagation(Region(network, box), "lp").space, collect=False)
    while not walk.finished:
        walk.step()
    return walk


@pytest.mark.parametrize("dimension", [1, 2, 3, 6])
@pytest.mark.parametrize("bits", [10, 40, 52, 60, 200])
def test_a_corner_cut_off_by_little(dimension: int, bits: int) -> None:
    """sum x > n - d: the corner of the box is cut off for d > 0, touched for d = 0, missed for d < 0."""
    d = Fraction(1, 2**bits)
    for scale in (1, Fraction(1, 3), 3 * 2**100):
        for margin, expected in ((d, 2), (0, 1), (-d, 1)):
            row = tuple(scale * v for v in (*(1,) * dimension, margin - dimension))
            for network in (one_layer(row), one_layer(tuple(-v for v in row))):
                assert walked(network, cube(dimension)).cells == expected


@pytest.mark.parametrize("bits", [10, 40, 52, 60, 200])
def test_a_row_that_misses_a_row_by_little(bits: int) -> None:
    """Parallel hyperplanes through the middle, and one through an edge that two others make, up to 2^-bits."""
    d = Fraction(1, 2**bits)
    third = Fraction(1, 3)
    for margin, parallel, concurrent in ((d, 3, 7), (0, 2, 6), (-d, 3, 7)):
        assert walked(one_layer((1, 2, -1, third), (third, 2 * third, -third, third * third + margin)),
                      cube(3)).cells == parallel
        assert walked(one_layer((1, 2, 1, 0), (2, -1, 1, 0), (3, 1, 2, margin)), cube(3)).cells == concurrent


def what_floats_prove(value: Fraction, at: tuple[Fraction, ...]) -> tuple[bool, bool, bool]:
    """Of a row in thirds that is ``value`` at the point: is the point proved to be inside the part where the row is
    positive, is the row proved to be negative there, and is it proved to be nonnegative in the part where the row less
    ``value`` is (with the multiplier 1)?"""
    third = Fraction(1, 3)
    linear = (third, 2 * third, -5 * third)
    constant = -sum((a * v for a, v in zip(linear, at, strict=True)), Fraction(0))
    network = one_layer((*linear, constant + value), (*linear, constant), (1, 0, 0, -1))
    walk = LpWalk(Propagation(Region(network, cube(3)), "lp").space, collect=False)
    plan, w = walk.space.plan, walk._work
    row, moved, negative = range(plan.first[0], plan.first[1])

    def prepare(facets: list[int], goal: int) -> None:
        w.sign[:] = 1
        compiled.load(plan, w, np.array(facets, dtype=np.int64), 3)
        w.candidate[:] = [float(v) for v in at]
        w.goal[:] = w.rows[:, goal]

    prepare([row], negative)
    inside = compiled.strictly_inside(w, w.slack[negative])
    prepare([], row)
    below = compiled.strictly_inside(w, w.slack[row])
    prepare([moved], row)
    facet = 0
    scale = w.table[0, facet] / w.rows[0, moved]
    w.goal[:] *= scale
    w.basis[:] = [facet, -2, -3]
    w.cost[:] = [1.0, 0.0, 0.0]
    return inside, below, compiled.bounded_below(plan, w, row, scale)


@pytest.mark.parametrize("bits", [10, 40, 46, 50, 53, 56, 60, 80])
def test_floats_prove_only_what_is_true(bits: int) -> None:
    """Rows that no float holds, at a point where they are +-2^-bits or zero."""
    at = (Fraction(1, 4), Fraction(-3, 8), Fraction(5, 16))
    d = Fraction(1, 2**bits)
    above, same, below = (what_floats_prove(v, at) for v in (d, Fraction(0), -d))
    assert above == ((True, False, True) if bits <= 40 else (above[0], False, above[2]))
    assert same == (False, False, False)
    assert below == ((False, True, False) if bits <= 40 else (False, below[1], False))


def test_rounding_proves_nothing() -> None:
    """At many points where the row is zero, and its float value positive or negative by rounding."""
    rng = random.Random(0)
    for _ in range(40):
        at = tuple(Fraction(rng.randint(-1023, 1023), 1024) for _ in range(3))
        assert what_floats_prove(Fraction(0), at) == (False, False, False)


def test_the_exact_answers_are_few_where_nothing_ties() -> None:
    walk = walked(gaussian(6, 8, 6, 1), cube(6))
    assert walk.cells > 500
    assert walk.statistics.exact_signs * 50 < walk.cells


def test_combinations() -> None:
    """3 x + 2 y + 6 = 1 (x + 2 y + 1) + 2 (x + 2): what is left is 1; one less is a tie, two less is none."""
    rows = [(1, 2, 1), (1, 0, 2)]
    assert [is_combination((3, 2, c), rows) for c in (6, 5, 4)] == [True, True, False]
    assert not is_combination((1, 4, 100), rows)  # needs the second row negative
    assert not is_combination((1, 2, 100), [(1, 2, 1), (2, 4, 5)])


def test_central_arrangements_are_decided_at_the_vertex() -> None:
    """Without biases every unit that keeps its sign in a cell ties at the origin; m generic hyperplanes in n inputs
    have 2 sum_{k < n} binomial(m - 1, k) cells."""
    for n, m in ((2, 7), (3, 7), (5, 8)):
        rng = np.random.default_rng(n)
        network = one_layer(*((*row, 0) for row in rng.integers(-99, 100, (m, n)).tolist()))
        walk = walked(network, cube(n))
        assert walk.cells == 2 * sum(math.comb(m - 1, k) for k in range(n))
        assert walk.statistics.exact_signs > 0


def test_ties_in_many_inputs() -> None:
    """Small integers, repeated and negated units in 5 to 7 inputs: the two representations see the same cells."""
    asked = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = 5 + seed % 3
        first = rng.integers(-1, 2, (5, n))
        weight = np.vstack([first, first[:1], -first[1:2], np.zeros((1, n), dtype=int)])
        network = Network.from_arrays([weight, rng.integers(-1, 2, (3, 8)), np.ones((1, 3))],
                                      [rng.integers(-1, 2, 8), rng.integers(-1, 2, 3), [0]])
        found = Counter(c.pattern for c in cells(network, cube(n), representation="lp"))
        assert found == Counter(c.pattern for c in cells(network, cube(n), representation="vertices")), seed
        walk = walked(network, cube(n))
        assert walk.cells == len(found)
        asked += walk.statistics.exact_signs
    assert asked > 0


def test_a_walk_goes_on_after_any_interruption() -> None:
    network = gaussian(4, 6, 5, 1, seed=2)
    space = Propagation(Region(network, cube(4)), "lp").space
    expected = walked(network, cube(4)).cells
    for budget in (1, 1000, 20_000):
        walk = LpWalk(space, collect=True)
        collected = 0
        while not walk.finished:
            collected += len(walk.step(budget))
        assert collected == walk.cells == expected


def test_every_unloaded_subtree_is_walked_once() -> None:
    for seed in range(8):
        network = random_network(random.Random(seed), True, inputs=3)
        space = Propagation(Region(network, cube(3)), "lp").space
        walk = LpWalk(space, collect=False)
        while not walk.finished and not (walk.settled and walk.cells >= 2):
            walk.step(500)
        rest = walk.unload() if walk.settled else []
        below = [LpWalk(space, collect=False, start=[cell]) for cell in rest]
        for other in below:
            while not other.finished:
                other.step()
        assert walk.finished
        assert walk.cells + sum(other.cells for other in below) == count_cells(network, cube(3)), seed


def test_a_trial_chooses_how_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both choices give the same number, and the trial's own work is not lost or counted twice."""
    monkeypatch.setattr(propagate, "TRIAL_BUDGET", 50_000)
    network = gaussian(6, 7, 5, 1)
    numbers, kinds = set(), set()
    for cost in (0.0, 1e9):
        monkeypatch.setattr(propagate, "LP_COST", cost)
        chosen = Propagation(Region(network, cube(6)))
        kinds.add(type(chosen._counting_walk()))
        numbers.add(chosen.count())
    assert kinds == {Walk, LpWalk}
    assert numbers == {count_cells(network, cube(6), representation="vertices")}
