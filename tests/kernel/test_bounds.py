"""The rigorous bounds against exact evaluation: whatever the slopes, whatever the size of the numbers."""

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from tests.strategies import random_network, random_query
from verifier.kernel.bounds import FloatBounds, Slopes, default_slopes
from verifier.kernel.branches import Branches, split
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, dot

SILLY = (0.0, 1.0, -1.0, 0.5, 2.0, -7.25, 1e-30, 1e12, 128.0, 1e300, -1e-310)
EXTREME = (1e300, -1e300, 1e-310, -1e-310, 5e-324, 1e155, -1e155, 1e-160, 1.0, -1.0, 0.0, 0.1, 2.0**-1022, 1.7e308)


class Region:
    """A branch of a network's domain with points of it: bounds on units are the points' own range, widened."""

    def __init__(self, rng, network, box, rows, points=12):
        self.query = Query(network, box, (tuple(rows),))
        self.points = [tuple(lo + (hi - lo) * Fraction(rng.choice((0, 0, 1, 3, 4, 8, 8)), 8)
                             for lo, hi in zip(box.lower, box.upper, strict=True)) for _ in range(points)]
        self.values = [network.pre_activations(x) for x in self.points]
        self.outputs = [network.evaluate(x) for x in self.points]
        self.branches = Branches.root(self.query)
        for layer, (lower, upper) in enumerate(zip(self.branches.lower, self.branches.upper, strict=True)):
            phase = network.layers[layer].has_phase
            for i in np.nonzero(phase)[0]:
                seen = [z[layer][i] for z in self.values]
                lower[0, i] = _below(min(seen), rng)
                upper[0, i] = -_below(-max(seen), rng)

    def prepared(self, slopes, compiled=False):
        """The bounds with their error terms calibrated on this region, and the slopes of every layer."""
        bounds = FloatBounds(self.query)
        bounds.compiled = compiled
        chosen = []
        for layer in range(len(bounds.weight)):
            bounds.calibrate(self.branches)
            chosen.append(slopes(bounds, self.branches, layer))
        return bounds, chosen


def _below(value, rng):
    """A number below, as a proof may state it: a binary32 number, at times far away or infinite."""
    if rng.random() < 0.1:
        return -np.inf
    with np.errstate(over="ignore"):
        number = np.nextafter(np.float32(max(-3e38, min(3e38, value))), np.float32(-np.inf))
    assert number == -np.inf or Fraction(float(number)) <= value or value < -3e38
    return float(number) if Fraction(float(number)) <= value else -np.inf


def honest(bounds, branches, layer):
    return Slopes(*default_slopes(branches.lower[layer], branches.upper[layer], bounds.slope[layer]))


def silly(rng):
    def choose(bounds, branches, layer):
        shape = branches.lower[layer].shape
        p, n = (np.array([rng.choice(SILLY) for _ in range(shape[1])])[None] for _ in range(2))
        linear = ~bounds.has_phase[layer]
        p[0, linear] = n[0, linear] = 1.0
        return Slopes(p, n)
    return choose


def row_value(h, x, y):
    return dot(h.normal, (*x, *y)) - h.offset


def assert_sound(region, slopes, compiled=False):
    """Nothing the bounds say is above an exact value; returns the largest finite bounds for a closer look."""
    bounds, chosen = region.prepared(slopes, compiled)
    rows = region.query.disjuncts[0]
    index = np.arange(len(rows))
    zeros = np.zeros(len(rows), dtype=np.int64)
    lower = bounds.row_bounds(region.branches, index, zeros, chosen).lower
    for r, h in enumerate(rows):
        for x, y in zip(region.points, region.outputs, strict=True):
            assert not lower[r] > np.finfo(float).max
            if lower[r] > -np.inf:
                assert Fraction(float(lower[r])) <= row_value(h, x, y)
    said = [lower]
    for layer in range(len(bounds.weight)):
        units = bounds.weight[layer].shape[0]
        for sign in (1.0, -1.0):
            found = bounds.unit_bounds(region.branches, layer, np.zeros(units, dtype=np.int64), np.arange(units),
                                       np.full(units, sign), chosen).lower
            said.append(found)
            for i in range(units):
                if found[i] > -np.inf:
                    assert all(Fraction(float(found[i])) <= int(sign) * z[layer][i] for z in region.values)
    return np.concatenate(said)


def random_region(rng, degenerate):
    network = random_network(rng, degenerate)
    lower = [Fraction(rng.randint(-8, 8), 4) for _ in range(network.inputs)]
    width = rng.choice((0, Fraction(1, 3), 1, Fraction(1, 2**30)))
    box = Box(tuple(lower), tuple(v + width for v in lower))
    width = network.inputs + network.outputs
    rows = [HalfSpace(tuple(Fraction(rng.randint(-9, 9), rng.choice((1, 3, 7))) for _ in range(width)),
                      Fraction(rng.randint(-9, 9), 7)) for _ in range(3)]
    return Region(rng, network, box, rows)


@pytest.mark.parametrize("seed", range(60))
def test_bounds_hold_for_any_slopes(seed):
    rng = random.Random(seed)
    region = random_region(rng, bool(seed % 2))
    for slopes in (honest, silly(rng), silly(rng)):
        for compiled in (False, True):
            assert_sound(region, slopes, compiled)


@pytest.mark.parametrize("seed", range(60))
def test_both_forms_agree_within_the_error_term(seed):
    rng = random.Random(seed)
    region = random_region(rng, bool(seed % 2))
    rows = np.arange(3)
    zeros = np.zeros(3, dtype=np.int64)
    for slopes in (honest, lambda b, br, k: Slopes(*(np.full(br.lower[k].shape, 1.0) for _ in range(2)))):
        found = []
        for compiled in (False, True):
            bounds, chosen = region.prepared(slopes, compiled)
            found.append(bounds.row_bounds(region.branches, rows, zeros, chosen))
        first, second = found
        known = np.isfinite(first.lower)
        assert (known == np.isfinite(second.lower)).all()
        assert (np.abs(first.lower[known] - second.lower[known]) <= first.error[known]).all()


def test_many_bounds_are_finite():
    """The tests above would be empty if every bound were infinite."""
    count = sum(np.isfinite(assert_sound(random_region(random.Random(seed), True), honest)).sum() for seed in range(20))
    assert count > 100


def extreme_network(rng):
    """Weights from subnormal to overflowing, also not dyadic, in up to three layers of up to three units."""
    sizes = [rng.randint(1, 3) for _ in range(rng.randint(2, 4))]

    def number():
        value = Fraction(rng.choice(EXTREME))
        return value / 3 if rng.random() < 0.3 else value

    layers = []
    for inputs, units in itertools.pairwise(sizes):
        weight = Matrix.from_rationals([[number() for _ in range(inputs)] for _ in range(units)])
        slopes = [rng.choice((0, 1, Fraction(1, 3), -1, 2, Fraction(1e300), Fraction(1e-310), Fraction(3, 2)))
                  for _ in range(units)]
        layers.append(Layer(weight, Matrix.column([number() for _ in range(units)]), Matrix.column(slopes)))
    return Network(tuple(layers))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(300))
def test_overflow_and_underflow_prove_nothing_false(seed):
    rng = random.Random(seed)
    network = extreme_network(rng)
    ends = [sorted(Fraction(rng.choice(EXTREME)) for _ in range(2)) for _ in range(network.inputs)]
    if rng.random() < 0.5:
        ends = [(Fraction(-1), Fraction(rng.choice((-1, 1)))) for _ in ends]
    box = Box(tuple(lo for lo, _ in ends), tuple(hi for _, hi in ends))
    rows = [HalfSpace(tuple(Fraction(rng.choice(EXTREME)) for _ in range(network.inputs + network.outputs)),
                      Fraction(rng.choice((*EXTREME, 10**400))) / 3) for _ in range(2)]
    region = Region(rng, network, box, rows)
    for slopes in (honest, silly(rng)):
        for compiled in (False, True):
            assert_sound(region, slopes, compiled)


def test_a_large_coefficient_on_an_underflowing_piece():
    """2^900 * (slope * bound) with slope * bound subnormal: the rounding of the inner product is magnified."""
    bound = 3 * 2.0**-1074
    for slope in (Fraction(3, 2), Fraction(1, 3)):
        network = Network((Layer(Matrix.from_rationals([[1]]), Matrix.column([0]), Matrix.column([slope])),
                           Layer.affine(Matrix.from_rationals([[Fraction(2) ** 900]]), Matrix.column([0]))))
        box = Box.from_bounds([-bound], [-bound])
        query = Query(network, box, ((HalfSpace((Fraction(0), Fraction(1)), Fraction(0)),),))
        branches = Branches.root(query)
        branches.lower[0][:] = -bound
        branches.upper[0][:] = -bound
        for compiled in (False, True):
            bounds = FloatBounds(query)
            bounds.compiled = compiled
            slopes = []
            for layer in range(2):
                bounds.calibrate(branches)
                slopes.append(honest(bounds, branches, layer) if layer else
                              Slopes(np.zeros((1, 1)), np.zeros((1, 1))))
            lower = bounds.row_bounds(branches, np.array([0]), np.array([0]), slopes).lower
            assert Fraction(float(lower[0])) <= network.evaluate([Fraction(-bound)])[0]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("spoiled", ["p", "lower", "upper", "lo", "hi"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_numbers_prove_nothing(value, spoiled, compiled):
    """A NaN or an infinity among slopes, unit bounds or the box, where the proof needs a number."""
    network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, -2.0]]], [[0.5, 0.25], [0.0]])
    query = Query(network, Box.from_bounds([-1], [1]), ((HalfSpace((Fraction(0), Fraction(1)), Fraction(-100)),),))
    one = np.zeros(1, dtype=np.int64)
    root = Branches.root(query)
    root.lower[0][:], root.upper[0][:] = -4.0, 4.0
    branches = root.take(slice(None))
    slopes = [Slopes(np.full((1, 2), 0.5), np.full((1, 2), 0.5)), Slopes(np.ones((1, 1)), np.ones((1, 1)))]
    target = {"p": slopes[0].p, "lower": branches.lower[0], "upper": branches.upper[0], "lo": branches.lo,
              "hi": branches.hi}[spoiled]

    def proved(calibration):
        bounds = FloatBounds(query)
        bounds.compiled = compiled
        for _ in network.layers:
            bounds.calibrate(calibration)
        with np.errstate(all="ignore"):
            return bool(bounds.prove_rows(branches, one, one, slopes)[0])

    assert proved(root)
    target[0, 0] = value
    if spoiled not in ("lo", "hi") or np.isnan(value):  # a box lies in the domain, which is bounded here
        assert not proved(branches)
    assert not (np.isnan(value) and proved(root))


@pytest.mark.parametrize("compiled", [False, True])
def test_nothing_is_proved_on_an_unbounded_domain(compiled):
    network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    row = HalfSpace((Fraction(0), Fraction(1)), Fraction(-100))
    for box in (Box((None,), (None,)), Box((Fraction(0),), (None,)), Box((None,), (Fraction(0),))):
        query = Query(network, box, ((row,),))
        branches = Branches.root(query)
        bounds = FloatBounds(query)
        bounds.compiled = compiled
        one = np.zeros(1, dtype=np.int64)
        slopes = [Slopes(np.ones((1, 1)), np.ones((1, 1))) for _ in range(2)]
        with np.errstate(all="ignore"):
            assert not bounds.prove_units(branches, 0, one, one, np.ones(1), np.array([-1e308]), slopes)[0]
            for _ in range(2):
                bounds.calibrate(branches)
            assert not bounds.prove_rows(branches, one, one, slopes)[0]


def test_zero_width_box_is_evaluation():
    network = Network.from_arrays([[[3.0, 1.0], [-1.0, 2.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.5]])
    x = (Fraction(1, 2), Fraction(1, 4))
    (y,) = network.evaluate(x)
    for gap, expected in ((Fraction(1, 2**40), True), (Fraction(0), False), (-Fraction(1, 2**40), False)):
        query = Query(network, Box(x, x), ((HalfSpace((Fraction(0),) * 2 + (Fraction(1),), y - gap),),))
        branches = Branches.root(query)
        bounds = FloatBounds(query)
        slopes = []
        for layer in range(2):
            branch, unit = branches.undecided(layer)
            if len(branch):
                for sign, side in ((1.0, branches.lower), (-1.0, branches.upper)):
                    found = bounds.unit_bounds(branches, layer, branch, unit, np.full(len(branch), sign), slopes)
                    side[layer][branch, unit] = sign * found.lower
            bounds.calibrate(branches)
            slopes.append(honest(bounds, branches, layer))
        assert bounds.prove_rows(branches, np.array([0]), np.array([0]), slopes)[0] == expected


def test_no_bound_is_stated_tighter_than_the_truth():
    """The proof of ``z >= t`` fails for every t above the exact minimum, and for NaN."""
    rng = random.Random(5)
    tried = 0
    for seed in range(40):
        region = random_region(random.Random(seed), True)
        bounds, slopes = region.prepared(honest)
        for layer in range(len(bounds.weight)):
            for i in range(bounds.weight[layer].shape[0]):
                least = min(z[layer][i] for z in region.values)
                above = np.nextafter(float(least), np.inf)
                if Fraction(above) <= least:
                    above = np.nextafter(above, np.inf)
                for stated in (above, above + abs(above) * rng.random(), np.inf, np.nan):
                    one = np.zeros(1, dtype=np.int64)
                    tried += 1
                    assert not bounds.prove_units(region.branches, layer, one, np.array([i]), np.ones(1),
                                                  np.array([stated]), slopes)[0]
    assert tried > 400


def test_a_query_without_half_spaces_has_bounds():
    network = Network.from_arrays([[[1.0]]], [[0.0]])
    bounds = FloatBounds(Query(network, Box.from_bounds([0], [1]), ((),)))
    assert bounds.row_output.shape == (0, 1)
    assert bounds.row_input.shape == (0, 1)


def test_children_inherit_bounds_that_hold():
    """Split at random: every point of the region lies in a child that still bounds its pre-activations."""
    for seed in range(30):
        rng = random.Random(seed)
        query = random_query(rng, True)
        if not query.domain.is_bounded or not query.disjuncts:
            continue
        region = Region(rng, query.network, query.domain, query.disjuncts[0])
        units = sum(layer.units for layer in query.network.layers)
        for on_input, index in ((True, rng.randrange(query.network.inputs)), (False, rng.randrange(units))):
            at = np.array([float(region.branches.lo[0, index] + region.branches.hi[0, index]) / 2 if on_input else 0.0])
            children = split(region.branches, np.array([on_input]), np.array([index]), at)
            assert len(children) == 2
            for x, z in zip(region.points, region.values, strict=True):
                inside = [all(lo <= v <= hi for v, lo, hi in zip(x, children.lo[b], children.hi[b], strict=True))
                          and all(children.lower[k][b, i] <= z[k][i] <= children.upper[k][b, i]
                                  for k, layer in enumerate(query.network.layers)
                                  for i in np.nonzero(layer.has_phase)[0]) for b in range(2)]
                assert any(inside)
