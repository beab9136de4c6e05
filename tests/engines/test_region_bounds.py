"""Closed-form bounds against the printed values, against each other, and against counts."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction as F

import pytest

from tests.strategies import random_network
from verifier.counting import region_bound
from verifier.engines import region_bounds as bounds
from verifier.engines.region_bounds import LayerUnits
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.ball import Ball
from verifier.kernel.network import Layer, Network
from verifier.kernel.rational import Matrix


@pytest.mark.parametrize(("inputs", "widths", "product", "refined"), [
    (2, (4, 4), 121, 121), (2, (8, 8), 1369, 1369), (2, (8, 8, 8), 50653, 50653), (3, (6, 6), 1764, 1764),
    (2, (2, 10), 224, 79), (2, (16, 5), 2192, 2192), (2, (5, 16), 2192, 2192),
    (10, (20, 20), 380276955556, 380276955556), (1, (5, 5, 5), 216, 216)])
def test_upper_bounds_have_the_printed_values(inputs, widths, product, refined):
    assert bounds.montufar_2017_upper(inputs, widths) == product
    assert bounds.serra_2018_upper(inputs, widths) == refined
    assert bounds.hinz_2021_upper(inputs, widths) == refined
    assert bounds.trivial_upper(bounds.relu_layers(widths)) == 2 ** sum(widths)


def test_lower_bounds_have_the_printed_values():
    shape = 2, (8, 8, 8)
    assert bounds.pascanu_2013_lower(*shape) == 592
    assert bounds.montufar_2014_lower(*shape) == 9472
    assert bounds.serra_2018_lower(*shape) == 23125
    assert bounds.one_input_maximum((5, 5, 5)) == 216
    assert bounds.arora_2018_lower(2, 4, 3, 3) == 2 * (1 + 3) * 9
    with pytest.raises(ValueError, match="at least 6 units for 2 inputs"):
        bounds.serra_2018_lower(2, (2, 10))
    with pytest.raises(ValueError, match="at least 2 units"):
        bounds.montufar_2014_lower(2, (1, 10))


def test_arrangements():
    assert (bounds.cells_of(6, 2), bounds.cells_of(6, 3), bounds.bounded_cells(6, 2)) == (22, 42, 10)
    assert [bounds.central_cells(m, 3) for m in (6, 8, 10, 12)] == [32, 58, 92, 134]
    assert bounds.central_cells(0, 3) == 1
    assert bounds.raghu_2017_order(2, 4, 3) == 4**6
    assert bounds.hanin_rolnick_2019_expectation(2, 10, F(3), F(1, 2)) == F(75, 2)
    assert bounds.hanin_rolnick_2019_expectation(3, 2, F(1), F(1)) == 4


def test_the_refinement_is_the_sum_over_inactive_units():
    """Serra's formula, written out: all J with 0 <= j_l <= min(n_0, n_1 - j_1, ..., n_l)."""
    for seed in range(60):
        rng = random.Random(seed)
        inputs, widths = rng.randint(1, 4), tuple(rng.randint(1, 5) for _ in range(rng.randint(1, 3)))
        total = 0
        for drops in itertools.product(*(range(n + 1) for n in widths)):
            left, allowed = inputs, True
            for n, j in zip(widths, drops, strict=True):
                allowed &= j <= min(left, n)
                left = min(left, n - j)
            total += math.prod(math.comb(n, j) for n, j in zip(widths, drops, strict=True)) * allowed
        assert bounds.serra_2018_upper(inputs, widths) == total == bounds.hinz_2021_upper(inputs, widths)
        assert total <= bounds.montufar_2017_upper(inputs, widths)


def test_other_slopes_lose_no_dimension():
    """Two absolute values, then ten ReLUs: 4 * 56 cells, where the formula for ReLUs says 79."""
    rng = random.Random(1)
    first = Layer(Matrix.identity(2), Matrix.zeros(2, 1), Matrix.column([-1, -1]))
    rows = [[F(rng.randint(-30, 30)), F(rng.randint(-30, 30)), F(rng.randint(-30, 30))] for _ in range(10)]
    second = Layer.relu(Matrix.from_rationals([r[:2] for r in rows]), Matrix.column([r[2] for r in rows]))
    shape = bounds.shape_of(Network((first, second)))
    assert shape == (LayerUnits(0, 2), LayerUnits(10))
    assert bounds.refined_upper(2, shape) == bounds.product_upper(2, shape) == 224
    linear = Layer.affine(Matrix.identity(2), Matrix.zeros(2, 1))
    assert bounds.refined_upper(2, bounds.shape_of(Network((linear, second)))) == 56
    absolute = Layer(Matrix.from_rationals([[F(1), F(0)], [F(0), F(1)]]), Matrix.column([-40, -40]), first.slope)
    found = sum(batch.count for batch in RegionWalk(Network((absolute, second)),
                                                    Ball((F(0), F(0)), F(1000), "inf")).batches(False))
    assert 79 < found <= 224


def test_local_bounds_hold_and_are_ordered():
    for seed in range(60):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0, inputs=rng.choice((1, 2, 2, 3)))
        centre = tuple(F(rng.randint(-2, 2), 2) for _ in range(network.inputs))
        for norm in ("1", "2", "inf"):
            ball = Ball(centre, F(rng.choice((1, 2, 6)), 4), norm)
            found = sum(batch.count for batch in RegionWalk(network, ball).batches(False))
            bound = region_bound(network, ball)
            assert found <= bound.refined <= bound.product, (seed, norm)
            if bound.first is not None and len(network.layers) == 1:
                assert bound.refined == found
