"""Exact bounds never say more than is true, say all that floating point proves, and say exact things exactly."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from tests.strategies import random_number, random_point
from verifier.kernel.bounds import FloatBounds, Slopes, default_slopes
from verifier.kernel.branches import Branches
from verifier.kernel.exact_bounds import ExactBounds
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, Point, ceil_float, dot, floor_float
from verifier.kernel.word_bounds import FRACTION_BITS, Start

SLOPES = (Fraction(0), Fraction(1, 100), Fraction(float(np.float32(0.01))), Fraction(-1), Fraction(2), Fraction(-1, 2))
MARGIN = Fraction(1, 2**40)
INFINITY = float("inf")


@dataclass(frozen=True)
class Case:
    """Branches of a query, each with points that lie in it."""

    query: Query
    branches: Branches
    points: list[list[Point]]
    slopes: list[Slopes]


def random_network(rng: random.Random, degenerate: bool, slopes: tuple[Fraction, ...], linear: bool) -> Network:
    """Up to four layers; hidden layers with linear units only if ``linear``."""
    layers, width = [], rng.randint(1, 4)
    for units in [rng.randint(1, 7) for _ in range(rng.randint(0, 3))]:
        own = [Fraction(1) if linear and rng.random() < 0.3 else rng.choice(slopes) for _ in range(units)]
        layers.append(Layer(*matrices(rng, degenerate, units, width), Matrix.column(own)))
        width = units
    outputs = rng.randint(1, 3)
    layers.append(Layer.affine(*matrices(rng, degenerate, outputs, width)))
    return Network(tuple(layers))


def matrices(rng: random.Random, degenerate: bool, rows: int, columns: int) -> tuple[Matrix, Matrix]:
    numbers = [[random_number(rng, degenerate) for _ in range(columns + 1)] for _ in range(rows)]
    return Matrix.from_rationals([row[:-1] for row in numbers], columns), Matrix.column([row[-1] for row in numbers])


def random_rows(rng: random.Random, network: Network, degenerate: bool) -> tuple[HalfSpace, ...]:
    on_inputs = rng.random() < 0.5
    return tuple(HalfSpace(tuple(random_number(rng, degenerate) if on_inputs or k >= network.inputs else Fraction(0)
                                 for k in range(network.inputs + network.outputs)),
                           random_number(rng, degenerate) / rng.choice((1, 3, 10)), rng.random() < 0.5)
                 for _ in range(rng.randint(1, 3)))


def random_case(rng: random.Random, degenerate: bool, linear: bool = True) -> Case:
    """Branches are found backwards: bounds are the extremes over some points, at times wider, at times infinite."""
    network = random_network(rng, degenerate, SLOPES, linear)
    inputs = network.inputs
    query = Query(network, Box.from_bounds([-3] * inputs, [3] * inputs), (random_rows(rng, network, degenerate),))
    count = rng.randint(1, 4)
    root = Branches.root(query)
    branches = root.take(np.zeros(count, dtype=np.int64))
    points = []
    for b in range(count):
        inside = [random_point(rng, query.domain) for _ in range(rng.choice((1, 2, 2, 5, 8)))]
        points.append(inside)
        for k, values in enumerate(zip(*inside, strict=True)):
            branches.lo[b, k], branches.hi[b, k] = floor_float(min(values)), ceil_float(max(values))
        for j, layer in enumerate(zip(*map(network.pre_activations, inside), strict=True)):
            for i, values in enumerate(zip(*layer, strict=True)):
                if network.layers[j].has_phase[i]:
                    wider = [rng.choice((0, 0, 0, 1, Fraction(1, 2**60))) for _ in range(2)]
                    branches.lower[j][b, i] = floor_float(min(values) - wider[0])
                    branches.upper[j][b, i] = ceil_float(max(values) + wider[1])
                    if rng.random() < 0.02:
                        branches.upper[j][b, i] = INFINITY
    return Case(query, branches, points, random_slopes(rng, network, branches))


def random_slopes(rng: random.Random, network: Network, branches: Branches) -> list[Slopes]:
    """One for each branch: sensible ones, others, and what no slope should be."""
    result = []
    for j, layer in enumerate(network.layers):
        p, n = default_slopes(branches.lower[j], branches.upper[j], layer.slopes)
        wild = [np.array([[rng.choice((rng.uniform(-2, 2), 1e300, INFINITY, float("nan"))) for _ in row] for row in a])
                for a in (p, n)]
        keep = [np.array([[rng.random() < 0.9 for _ in row] for row in a], dtype=bool) for a in (p, n)]
        result.append(Slopes(*(np.where(k, a, w) for k, a, w in zip(keep, (p, n), wild, strict=True))))
    return result


def enclosing(case: Case) -> Branches:
    """One branch that contains all of them, which can stand for the root."""
    branches, inputs = case.branches, case.query.network.inputs
    extent = [np.maximum(np.abs(a), np.abs(b)).max(axis=0) for a, b in zip(branches.lower, branches.upper, strict=True)]
    return Branches(*(np.array([[end] * inputs]) for end in (-3.0, 3.0)), [-a[None] for a in extent],
                    [a[None] for a in extent], np.ones((1, 1), dtype=bool))


def own_slopes(slopes: list[Slopes], branch: np.ndarray) -> list[Slopes]:
    """The same slopes, said for every bound instead of every branch."""
    return [Slopes(s.p[branch], s.n[branch], own_p=True, own_n=True) for s in slopes]


def all_units(case: Case, layer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(branch, unit, sign)``: every bound that can be asked for."""
    units = case.query.network.layers[layer].units
    grid = np.array([(b, i, s) for b in range(len(case.branches)) for i in range(units) for s in (1, -1)])
    return grid[:, 0], grid[:, 1], grid[:, 2].astype(np.float64)


def unit_minimum(case: Case, layer: int, branch: int, unit: int, sign: float) -> Fraction:
    """The least value at the branch's points."""
    return min(int(sign) * case.query.network.pre_activations(x)[layer][unit] for x in case.points[branch])


def long_only(exact: ExactBounds, monkeypatch: pytest.MonkeyPatch) -> ExactBounds:
    monkeypatch.setattr(exact.words, "lower", lambda branches, start, branch, slopes: [None] * len(branch))
    return exact


@pytest.mark.parametrize("seed", range(60))
def test_no_bound_exceeds_a_value_that_is_taken(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    case = random_case(rng, degenerate=seed % 2 == 0)
    words, long = ExactBounds(case.query), long_only(ExactBounds(case.query), monkeypatch)
    root = enclosing(case)
    for layer in range(len(case.query.network.layers)):
        branch, unit, sign = all_units(case, layer)
        least = [unit_minimum(case, layer, b, i, s) for b, i, s in zip(branch, unit, sign, strict=True)]
        too_much = np.array([np.nextafter(floor_float(v), INFINITY) for v in least])
        slopes = own_slopes(case.slopes, branch) if seed % 3 else case.slopes
        for exact in (words, long):
            assert not exact.prove_units(case.branches, layer, branch, unit, sign, too_much, slopes).any()
        start = Start(layer - 1, words.layers[layer].table, unit, sign.astype(np.int64))
        for values in (words.words.lower(case.branches, start, branch, slopes),
                       long._lower(case.branches, start, branch, slopes)):
            assert all(v is None or Fraction(v, 2**FRACTION_BITS) <= w for v, w in zip(values, least, strict=True))
        words.calibrate(root)
    rows = case.query.disjuncts[0]
    grid = [(b, r) for b in range(len(case.branches)) for r in range(len(rows))]
    branch, row = (np.array(a, dtype=np.int64) for a in zip(*grid, strict=True))
    false = [not any(rows[r].contains(x + case.query.network.evaluate(x)) for x in case.points[b]) for b, r in grid]
    slopes = own_slopes(case.slopes, branch) if seed % 3 else case.slopes
    for exact in (words, long):
        proved = exact.prove_rows(case.branches, row, branch, slopes)
        assert (proved <= np.array(false)).all()


@pytest.mark.parametrize("seed", range(40))
def test_all_that_floats_prove_with_a_reserve_is_proved_in_words(seed: int) -> None:
    """With the reserve that the search leaves; without the slower form, even with hidden linear units."""
    rng = random.Random(1000 + seed)
    case = random_case(rng, degenerate=seed % 2 == 0, linear=seed % 4 < 2)
    query, branches, exact, floats = case.query, case.branches, ExactBounds(case.query), FloatBounds(case.query)
    slopes = [Slopes(*default_slopes(branches.lower[j], branches.upper[j], layer.slopes))
              for j, layer in enumerate(query.network.layers)]
    wide = enclosing(case)
    floats.input_extent = np.full(query.network.inputs, 3.0)
    found_some = False
    for layer in range(len(query.network.layers)):
        branch, unit, sign = all_units(case, layer)
        found = floats.unit_bounds(branches, layer, branch, unit, sign, slopes)
        safe = found.lower - 32 * found.error
        at = np.flatnonzero(np.isfinite(safe))
        found_some |= len(at) > 0
        asked = branches, layer, branch[at], unit[at], sign[at], safe[at], slopes
        assert exact.prove_units(*asked).all()
        start = Start(layer - 1, exact.layers[layer].table, unit[at], sign[at].astype(np.int64))
        values = exact.words.lower(branches, start, branch[at], slopes)
        assert all(v is not None and Fraction(v, 2**FRACTION_BITS) >= Fraction(s)
                   for v, s in zip(values, safe[at].tolist(), strict=True))
        floats.calibrate(wide)
        exact.calibrate(wide)
    assert found_some


def affine_image(layer: Layer, functions: list[Point]) -> list[Point]:
    """``W f + b`` for affine functions ``f``, each its coefficients followed by its constant."""
    columns = list(zip(*functions, strict=True))
    images = [[dot(row, column) for column in columns] for row in layer.weight.rows()]
    return [(*f[:-1], f[-1] + b) for f, (b,) in zip(images, layer.bias.rows(), strict=True)]


def minimum(function: Point, box: Box) -> Fraction:
    found = box.minimum(function[:-1])
    assert found is not None
    return found + function[-1]


@pytest.mark.parametrize("seed", range(40))
def test_on_linear_branches_the_minimum_is_exact(seed: int) -> None:
    """Where every unit is decided the function is affine: its minimum is proved, and nothing beyond it."""
    rng = random.Random(2000 + seed)
    degenerate = seed % 2 == 0
    network = random_network(rng, degenerate, (Fraction(0), Fraction(-1), Fraction(2), Fraction(1, 4)), linear=True)
    inputs = network.inputs
    centre = [random_number(rng, degenerate) for _ in range(inputs)]
    values = network.pre_activations(centre)
    functions = [tuple(Fraction(int(i == k)) for k in range(inputs + 1)) for i in range(inputs)]
    pre_activations = []
    for layer, z in zip(network.layers, values, strict=True):
        pre_activations.append(affine_image(layer, functions))
        factor = [Fraction(1) if v >= 0 else s for v, (s,) in zip(z, layer.slope.rows(), strict=True)]
        functions = [tuple(f * v for v in function) for f, function in zip(factor, pre_activations[-1], strict=True)]
    signed = [tuple(v if z >= 0 else -v for v in function) for own, found in zip(values, pre_activations, strict=True)
              for z, function in zip(own, found, strict=True)]
    width = next(w for w in (1, Fraction(1, 4), Fraction(1, 2**10), Fraction(1, 2**20), 0) if w == 0 or all(
        minimum(f, Box.from_bounds([v - w for v in centre], [v + w for v in centre])) >= 0 for f in signed))
    box = Box.from_bounds([v - width for v in centre], [v + width for v in centre])
    active = [np.array([v >= 0 for v in z]) for z in values]
    lo, hi = box.outward_floats()
    branches = Branches(lo[None], hi[None], [np.where(a, 0.0, -INFINITY)[None] for a in active],
                        [np.where(a, INFINITY, 0.0)[None] for a in active], np.ones((1, 1), dtype=bool))
    slopes = [Slopes(np.zeros((1, layer.units)), np.zeros((1, layer.units))) for layer in network.layers]

    exact = ExactBounds(Query(network, box, ()))
    two = np.zeros(2, dtype=np.int64)
    for j, found in enumerate(pre_activations):
        for i, function in enumerate(found):
            least = floor_float(minimum(function, box))
            stated = np.array([least, np.nextafter(least, INFINITY)])
            assert exact.prove_units(branches, j, two, two + i, np.ones(2), stated, slopes).tolist() == [True, False]

    normal = tuple(random_number(rng, degenerate) for _ in range(inputs + network.outputs))
    combined = (*normal[:inputs], Fraction(0))
    for weight, function in zip(normal[inputs:], functions, strict=True):
        combined = tuple(a + weight * b for a, b in zip(combined, function, strict=True))
    offsets = [minimum(combined, box) + m for m in (-MARGIN, 0, MARGIN)]
    rows = tuple(HalfSpace(normal, offset, strict) for offset in offsets for strict in (False, True))
    numbers = np.arange(len(rows))
    proved = ExactBounds(Query(network, box, (rows,))).prove_rows(branches, numbers, np.zeros_like(numbers), slopes)
    assert proved.tolist() == [True, True, False, True, False, False]


@pytest.mark.parametrize("seed", range(30))
def test_magnitudes_hold_and_words_prove_no_more_than_long_integers(seed: int) -> None:
    """On networks with hidden linear units: what is subtracted for them is enough, and so never too little."""
    rng = random.Random(3000 + seed)
    case = random_case(rng, degenerate=seed % 3 == 0)
    network, exact, root = case.query.network, ExactBounds(case.query), enclosing(case)
    for j, layer in enumerate(network.layers):
        branch, unit, sign = all_units(case, j)
        start = Start(j - 1, exact.layers[j].table, unit, sign.astype(np.int64))
        words = exact.words.lower(case.branches, start, branch, case.slopes)
        # the same slopes, shortened in another way: only functions without undecided units must agree in order
        long = exact._lower(case.branches, start, branch, case.slopes)
        decided = np.array([all(((lower[b] >= 0) | (upper[b] <= 0) | ~own.has_phase).all() for lower, upper, own in zip(
            case.branches.lower[:j], case.branches.upper[:j], network.layers[:j], strict=True)) for b in branch])
        assert all(w is None or (v is not None and w <= v) for w, v, d in zip(words, long, decided, strict=True) if d)
        exact.calibrate(root)
        magnitude = exact.layers[j].linear_magnitude
        assert magnitude is not None
        for x in (x for points in case.points for x in points):
            z = network.pre_activations(x)[j]
            assert sum(abs(v) for v, phase in zip(z, layer.has_phase, strict=True) if not phase) * 2**64 <= magnitude


def one_relu() -> tuple[Query, Branches, list[Slopes]]:
    """``y = relu(x)``, on three branches: fine, with a bound missing, with an end of the box missing."""
    network = Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    query = Query(network, Box.whole_space(1), ((HalfSpace((Fraction(0), Fraction(1)), Fraction(-1)),),))
    one, nothing = np.ones((3, 1)), np.zeros((3, 1))
    lo, lower = np.array([[-1.0], [-1.0], [-INFINITY]]), np.array([[-1.0], [-INFINITY], [-1.0]])
    branches = Branches(lo, one, [lower, nothing], [one.copy(), nothing], np.ones((3, 1), dtype=bool))
    return query, branches, [Slopes(one / 2, one / 2), Slopes(one, one)]


@pytest.mark.parametrize("long", [False, True])
def test_nothing_is_proved_from_infinite_bounds(long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    query, branches, slopes = one_relu()
    exact = long_only(ExactBounds(query), monkeypatch) if long else ExactBounds(query)
    branch = np.arange(3)
    zero = np.zeros(3, dtype=np.int64)
    assert exact.prove_rows(branches, zero, branch, slopes).tolist() == [True, False, False]
    low = np.full(3, -1.0)
    assert exact.prove_units(branches, 1, branch, zero, np.ones(3), low, slopes).tolist() == [True, False, False]
    assert exact.prove_units(branches, 0, branch, zero, np.ones(3), low, []).tolist() == [True, True, False]
    for stated in (float("nan"), INFINITY, -INFINITY):
        assert not exact.prove_units(branches, 0, branch, zero, np.ones(3), np.full(3, stated), []).any()
    for bad in (float("nan"), INFINITY):
        branches.lower[0][0], branches.upper[0][0] = -bad, bad
        assert not exact.prove_rows(branches, zero, branch, slopes).any()


@pytest.mark.parametrize(("scale", "slope"), [
    (Fraction(1, 3), Fraction(0)), (Fraction(2) ** 300, Fraction(0)), (Fraction(1, 2**300), Fraction(1, 3)),
    (Fraction(1), Fraction(5000)), (Fraction(1), Fraction(10) ** 400), (Fraction(1), Fraction(1, 2**200))])
def test_numbers_of_every_size_and_kind(scale: Fraction, slope: Fraction) -> None:
    """``y = act(scale x) / scale`` in the middle of much smaller and much larger weights."""
    first = Layer(Matrix.from_rationals([[scale], [scale / 2**200], [0]]), Matrix.column([0, 0, scale * 2**100]),
                  Matrix.column([slope, 0, slope]))
    second = Layer.affine(Matrix.from_rationals([[1 / scale, 1 / scale, -1 / scale / 2**100]]), Matrix.column([1]))
    query = Query(Network((first, second)), Box.from_bounds([-1], [1]), ())
    branches = Branches.root(query)
    for i in range(3):
        branches.lower[0][0, i] = 0.0 if i < 2 else floor_float(scale * 2**100)
        branches.upper[0][0, i] = ceil_float(scale * (1, Fraction(1, 2**200), 2**100)[i])
    branches.lo[:] = 0.0
    slopes = [Slopes(np.ones((1, 3)), np.ones((1, 3)))]
    zero = np.zeros(2, dtype=np.int64)
    stated = np.array([-(2.0**-30), 2.0**-30])
    assert ExactBounds(query).prove_units(branches, 1, zero, zero, np.ones(2), stated, slopes).tolist() == [True, False]


def test_a_query_without_half_spaces() -> None:
    query, branches, _ = one_relu()
    exact = ExactBounds(Query(query.network, query.domain, ((),)))
    nothing = np.zeros(0, dtype=np.int64)
    assert exact.prove_units(branches, 0, nothing, nothing, np.zeros(0), np.zeros(0), []).shape == (0,)
