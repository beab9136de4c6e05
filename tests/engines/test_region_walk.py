"""All three counts against brute force, published and derived numbers, and flats; balls against exact distances."""

from __future__ import annotations

import random
from fractions import Fraction as F

import numpy as np
import pytest

from tests import reference
from tests.engines.test_propagate import cube, modular
from tests.geometry.test_nearest import at, nearest_by_all_faces
from tests.strategies import random_box, random_layer, random_network
from verifier.engines import frontier, region_walk
from verifier.engines.linear_regions import AffineMaps
from verifier.engines.lp_cells import ExactWalk
from verifier.engines.lp_walk import LpWalk
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.ball import Ball
from verifier.geometry.chart import integral
from verifier.geometry.flats import cells_by_flats, meets_interior, meets_open_unit_ball
from verifier.geometry.nearest import nearest_point
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix


def counts(network, domain):
    walk = RegionWalk(network, domain)
    maps, cells = AffineMaps(walk), 0
    for batch in walk.batches():
        cells += batch.count
        maps.add_all(batch.cells)
    return cells, maps.linear_regions(), maps.count


def in_space(network):
    return counts(network, Polytope(Box.whole_space(network.inputs)))


@pytest.mark.parametrize(("widths", "modulus", "radius", "expected"), [
    ((2, 3, 1), 7, 1, (7, 4, 4)), ((2, 3, 1), 11, 1, (7, 7, 7)), ((2, 4, 2), 7, 1, (11, 11, 11)),
    ((2, 4, 2), 11, 1, (11, 11, 11)), ((2, 3, 3, 1), 7, 1, (17, 9, 9)), ((2, 4, 4, 2), 7, 1, (30, 30, 30)),
    ((2, 5, 5, 5, 1), 7, 1, (73, 51, 51)), ((2, 5, 5, 5, 1), 7, 3, (77, 54, 54)),
    ((2, 8, 8, 2), 7, 1, (106, 105, 105)), ((2, 8, 8, 2), 7, 3, (109, 108, 108))])
def test_the_table_of_derived_counts(widths, modulus, radius, expected):
    assert counts(modular(widths, modulus), Polytope(cube(2, radius))) == expected


def tent(depth):
    layers, weight = [], [[1], [1]]
    for _ in range(depth):
        layers.append(Layer.relu(Matrix.from_rationals(weight), Matrix.column([F(0), F(-1, 2)])))
        weight = [[2, -4], [2, -4]]
    return Network((*layers, Layer.affine(Matrix.from_rationals([[2, -4]]), Matrix.column([0]))))


def test_tents():
    unit = Polytope(Box.from_bounds([0], [1]))
    assert [counts(tent(k), unit)[:2] for k in range(1, 6)] == [(2**k, 2**k) for k in range(1, 6)]
    assert [in_space(tent(k))[0] for k in range(1, 6)] == [3, 6, 10, 18, 34]


@pytest.mark.parametrize(("n", "units", "cells"), [(3, 10, 176), (4, 12, 794), (5, 15, 4944)])
def test_general_position_has_zaslavskys_number(n, units, cells):
    rng = np.random.default_rng(7)
    weight, bias = rng.normal(size=(units, n)), rng.normal(size=(units, 1))
    general = Network((Layer.relu(Matrix.from_floats(weight), Matrix.from_floats(bias)),))
    assert sum(b.count for b in RegionWalk(general, Polytope(Box.whole_space(n))).batches(False)) == cells


@pytest.mark.parametrize(("n", "units", "cells"), [(2, 7, 14), (3, 6, 32), (3, 10, 92), (4, 7, 84)])
def test_central_arrangements_have_schlaeflis_number(n, units, cells):
    rng = np.random.default_rng(8)
    central = Network((Layer.relu(Matrix.from_floats(rng.normal(size=(units, n))), Matrix.zeros(units, 1)),))
    assert in_space(central)[0] == cells
    for norm in ("1", "2", "inf"):
        assert counts(central, Ball((F(0),) * n, F(1, 2**30), norm))[0] == cells


@pytest.mark.parametrize("block", range(2))
def test_random_networks_agree_with_brute_force(block):
    """Boxes that are flat, thin or unbounded among them."""
    for seed in range(35 * block, 35 * block + 35):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0)
        box = random_box(rng, network.inputs, seed % 4 > 0)
        cells = reference.cells(network, box)
        expected = len(cells), reference.linear_regions(cells), reference.affine_pieces(cells)
        assert counts(network, Polytope(box)) == expected, seed


def test_what_remains_is_bounded_at_every_moment(monkeypatch):
    monkeypatch.setattr(region_walk, "BUDGET", 60)
    for name, value in (("FIRST_WORK", 500), ("PIECE", 100), ("MOST_OPEN", 6), ("TOGETHER", 4)):
        monkeypatch.setattr(frontier, name, value)
    networks = [modular((3, 4, 3, 1), 5), modular((2, 4, 4, 2), 7)]
    networks.append(Network((Layer(networks[1].layers[0].weight, networks[1].layers[0].bias,
                                   Matrix.column([0, -1, 1, F(1, 2)])), *networks[1].layers[1:])))
    moments = 0
    for network in networks:
        n = network.inputs
        for domain in (Polytope(cube(n)), Polytope(Box.whole_space(n)), Ball((F(0),) * n, F(1), "2"),
                       Ball((F(1, 3),) * n, F(1, 2), "1")):
            for most in (0, 8) if n == 2 else (8,):
                with monkeypatch.context() as representation:
                    representation.setattr(region_walk, "MOST_INPUTS", most)
                    total = counts(network, domain)[0]
                    walk = RegionWalk(network, domain)
                    assert total <= walk.remaining() == walk.total_bound
                    found = 0
                    for batch in walk.batches():
                        found += batch.count
                        assert total - found <= walk.remaining()
                        moments += 0 < found < total
                    assert walk.remaining() == 0
    assert moments > 60


def test_what_remains_of_a_walk_without_units():
    linear = Network((Layer.affine(Matrix.from_rationals([[1, 2]]), Matrix.column([3])),))
    for domain in (Polytope(Box.whole_space(2)), Ball((F(0), F(0)), F(1), "2")):
        walk = RegionWalk(linear, domain)
        assert [(batch.count, walk.remaining()) for batch in walk.batches()] == [(1, 0)]


def test_space_agrees_with_exact_programs():
    networks = [modular((2, 4, 4, 2), 7), modular((3, 4, 3, 1), 5), modular((3, 2, 4, 3, 1), 5)]
    table = [[F(v) for v in row] for row in ((1, 0, 1), (1, 0, -1), (0, 1, 1), (1, 1, 0), (1, -1, 0), (0, 1, -2))]
    networks.append(Network((Layer.relu(Matrix.from_rationals([r[:2] for r in table]),
                                        Matrix.column([r[2] for r in table])),
                             Layer.relu(Matrix.from_rationals([[1, -1, 0, 1, 1, 0], [0, 1, -2, 0, 1, 1]]),
                                        Matrix.column([0, -1])))))
    wedge = (HalfSpace((F(1), F(-1)), F(0)), HalfSpace((F(-1), F(-1)), F(1, 2)))
    strip = Box((F(-1), None), (F(1), None))
    below_one = (HalfSpace((F(0), F(1)), F(1)),)  # looks like the bound of a coordinate that has two
    domains = [Polytope(box, rows) for box in (Box.whole_space(2), strip) for rows in ((), wedge, below_one)]
    for network in networks:
        for domain in domains if network.inputs == 2 else [Polytope(Box.whole_space(3))]:
            walk = RegionWalk(network, domain)
            exact = ExactWalk(walk.propagation.splitting, walk.chart, walk.maps)
            trailing = walk.propagation.trailing
            assert {cell.signs for cell in walk.cells()} == {cell.signs + trailing for cell in exact}


def test_networks_without_biases_in_space_need_hardly_an_exact_answer():
    """All rows vanish in the origin, the walk's first inner point: the constants are known to be 0."""
    rng = np.random.default_rng(3)
    central = Network(tuple(Layer.relu(Matrix.from_floats(rng.normal(size=shape)), Matrix.zeros(shape[0], 1))
                            for shape in ((7, 4), (5, 7), (4, 5))))
    walk = LpWalk(RegionWalk(central, Polytope(Box.whole_space(4))).propagation.space, collect=True)
    found = set()
    while not walk.finished:
        found |= {cell.signs for cell in walk.step()}
    assert len(found) == walk.cells > 100
    assert walk.statistics.exact_signs == 1
    box = RegionWalk(central, Polytope(cube(4, 1)))  # cones through the origin
    assert {cell.signs for cell in box.cells()} == found


@pytest.mark.parametrize("bits", [10, 30, 45, 52, 60, 200])
def test_thin_parts_are_seen_and_what_touches_is_none(bits):
    """A line at a distance of 1 - e/5, a third one past the crossing of two, a fold of the second layer at e."""
    disk, plane = Ball((F(0), F(0)), F(1), "2"), Polytope(Box.whole_space(2))
    axes = Layer.relu(Matrix.identity(2), Matrix.zeros(2, 1))
    for e in (F(-1, 2**bits), F(0), F(1, 2**bits)):
        tangent = Network((Layer.relu(Matrix.from_rationals([[3, 4]]), Matrix.column([e - 5])),))
        assert counts(tangent, disk)[0] == 1 + (e > 0)
        three = Network((Layer.relu(Matrix.from_rationals([[1, 0], [0, 1], [1, 1]]), Matrix.column([0, 0, -e])),))
        deep = Network((axes, Layer.relu(Matrix.from_rationals([[1, 1]]), Matrix.column([-e]))))
        for domain in (disk, plane):
            assert counts(three, domain)[0] == 6 + (e != 0)
            assert counts(deep, domain)[0] == 4 + 3 * (e > 0)


def rows_in_ball(cell, ball):
    """The cell's rows in the coordinates ``(x - centre) / radius``."""
    return [integral([*(F(a) * ball.radius for a in row[:-1]), at(row, ball.centre)])
            for row in dict.fromkeys(cell.constraints)]


def ball_by_distances(network, ball):
    """Brute force: the cells of the box around the ball, each with its exact distance; and the linear regions, by the
    exact distances of common facets."""
    near = []
    for cell in reference.cells(network, ball.box):
        rows = rows_in_ball(cell, ball)
        foot = nearest_by_all_faces(rows, ball.dimension) if len(rows) < 9 else nearest_point(rows, ball.dimension)
        if sum((v * v for v in foot), F(0)) < 1:
            near.append((cell, rows))
    leader = list(range(len(near)))

    def root(i):
        return i if leader[i] == i else root(leader[i])

    for i, (a, rows) in enumerate(near):
        for j, (b, others) in enumerate(near[:i]):
            if (a.weight, a.constant) == (b.weight, b.constant) and reference._share_facet(a, b):
                foot = nearest_point([*rows, *others], ball.dimension)
                if foot is not None and sum((v * v for v in foot), F(0)) < 1:
                    leader[root(i)] = root(j)
    return len(near), len({root(i) for i in range(len(near))}), reference.affine_pieces([cell for cell, _ in near])


def test_deep_networks_in_euclidean_balls():
    for seed in range(90):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0, inputs=rng.choice((1, 2, 2, 3)))
        ball = Ball(tuple(F(rng.randint(-2, 2), 2) for _ in range(network.inputs)), F(rng.choice((1, 2, 3)), 2), "2")
        expected = ball_by_distances(network, ball)
        assert counts(network, ball) == expected, seed


def test_polyhedral_balls_are_polytopes():
    for seed in range(60):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0, inputs=rng.choice((1, 2, 3)))
        centre = tuple(F(rng.randint(-2, 2), 2) for _ in range(network.inputs))
        cells = reference.cells(network, Ball(centre, F(1), "inf").box)
        assert counts(network, Ball(centre, F(1), "inf"))[0] == len(cells), seed
        # |x - c|_1 >= 1 on a cell exactly if every orthant's part is beyond its row
        near = 0
        for cell in cells:
            rows = rows_in_ball(cell, Ball(centre, F(1), "inf"))
            small = Ball((F(0),) * network.inputs, F(1), "1")
            inside = [integral([*(-a for a in row.normal), row.offset]) for row in small.rows] or [(1, 1), (-1, 1)]
            near += reference_interior([*rows, *inside])
        assert counts(network, Ball(centre, F(1), "1"))[0] == near, seed


def reference_interior(rows):
    """Whether all rows can be positive at once, by the reference's linear program."""
    _, slack = reference._most_slack(reference._with_slack([(row, True) for row in rows], 1))
    return slack > 0


def test_single_layers_in_balls_have_their_flat_count():
    """Through the centre, tangent, parallel, repeated: 300 layers for each norm."""
    for seed in range(300):
        rng = random.Random(seed)
        n = rng.choice((1, 2, 2, 3))
        layer = random_layer(rng, seed % 4 > 0, n, rng.randint(1, 6), 0.2)
        ball = F(rng.choice((1, 2, 3)), 2)
        centre = tuple(F(rng.randint(-1, 1)) for _ in range(n))
        for norm in ("1", "2", "inf"):
            walk = RegionWalk(Network((layer,)), Ball(centre, ball, norm))
            rows = [walk.maps.row(0, i, b"") for i in range(layer.units) if layer.has_phase[i]]
            expected = cells_by_flats(rows, meets_open_unit_ball if walk.euclidean else meets_interior(walk.chart.rows))
            assert sum(batch.count for batch in walk.batches(False)) == expected, (seed, norm)


def test_cells_that_join_only_outside_of_the_ball():
    """relu(x1 - 1) - relu(x1 - 1) apart, two cells of one map joined through a facet that the ball does not meet."""
    # y = relu(relu(x0) - x1) ... two half-planes x1 > |x0| side: cells x0 < 0 and x0 > 0 with y = 0 above a cone
    first = Layer.relu(Matrix.from_rationals([[1, 0], [-1, 0], [0, 1], [0, -1]]), Matrix.zeros(4, 1))
    second = Layer.relu(Matrix.from_rationals([[1, 1, -1, 1]]), Matrix.column([0]))
    network = Network((first, second))  # relu(|x0| - x1): zero above the cone, |x0| - x1 below
    above = counts(network, Ball((F(0), F(5)), F(1), "2"))
    assert above == (2, 1, 1)
    beside = counts(network, Ball((F(0), F(-5)), F(5), "2"))  # touches the apex of the cone from below
    assert beside[1:] == (2, 2)
    shifted = Network((Layer.relu(first.weight, first.bias), Layer.relu(Matrix.from_rationals([[-1, -1, 1, -1]]),
                                                                         Matrix.column([0]))))
    # relu(x1 - |x0|): zero on the cells x0 > 0 and x0 < 0, which share the facet x0 = 0, x1 <= 0 alone
    assert counts(shifted, Ball((F(0), F(1)), F(1), "2")) == (4, 4, 3)
    assert counts(shifted, Ball((F(0), F(1)), F(1) + F(1, 2**40), "2"))[1:] == (3, 3)
