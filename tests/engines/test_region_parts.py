"""Regions one by one, and how far points are from their boundaries."""

from __future__ import annotations

import math
import random
from fractions import Fraction as F

import pytest

from tests.engines.test_propagate import cube, modular
from tests.engines.test_region_walk import counts
from tests.strategies import random_network, random_point
from verifier.engines.region_margins import MarginFinder
from verifier.engines.region_parts import contains, edges, region_parts
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.ball import Ball
from verifier.geometry.polytope import Polyhedron
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix, dot

NETWORK = modular((2, 4, 4, 1), 7)
KINDS = ("activation", "linear", "affine")


@pytest.mark.parametrize(("domain", "volume"), [
    (Polytope(cube(2)), F(4)), (Ball((F(0), F(0)), F(1), "1"), F(2)), (Ball((F(0), F(0)), F(1), "2"), None),
    (Polytope(Box.whole_space(2)), None), (Polytope(Box.from_bounds([-1, 0], [1, 0])), None)])
def test_regions_cover_the_domain_with_their_maps(domain, volume):
    expected = counts(NETWORK, domain)
    for number, kind in enumerate(KINDS):
        walk = RegionWalk(NETWORK, domain)
        parts = list(region_parts(walk, kind))
        assert [part.number for part in parts] == list(range(expected[number]))
        assert sum(len(part.cells) for part in parts) == expected[0]
        assert [part.volume is None for part in parts] == [volume is None] * len(parts)
        if volume is not None:
            assert sum(part.volume for part in parts) == volume
        rng = random.Random(3)
        points = [random_point(rng, domain.box) for _ in range(30)]
        for part in parts:
            for cell in part.cells:
                for x in (cell.interior, *(p for p in points if contains(cell, p))):
                    image = tuple(dot(row, x) + c for row, c in zip(part.weight, part.constant, strict=True))
                    assert image == NETWORK.evaluate(x)
                assert all(dot(row.normal, cell.interior) < row.offset for row in cell.inequalities)
        assert all(part.number in parts[other].neighbours for part in parts for other in part.neighbours)
        assert len(list(edges(parts))) == sum(len(part.neighbours) for part in parts) / 2


def test_inequalities_are_not_redundant():
    for cells in (RegionWalk(NETWORK, Polytope(cube(2))), RegionWalk(NETWORK, Polytope(Box.whole_space(2)))):
        for part in region_parts(cells, "activation"):
            rows = part.cells[0].inequalities
            assert len(Polyhedron.from_half_spaces(2, rows).facets()) == len(rows)


def test_neighbours_in_a_graph_of_cells():
    """|x0| + |x1|: four quadrants in a cycle; affine pieces too."""
    absolute = Network((Layer(Matrix.identity(2), Matrix.zeros(2, 1), Matrix.column([-1, -1])),))
    for domain in (Polytope(cube(2)), Polytope(Box.whole_space(2)), Ball((F(0), F(0)), F(1), "2")):
        for kind in KINDS:
            parts = list(region_parts(RegionWalk(absolute, domain), kind))
            assert sorted(len(part.neighbours) for part in parts) == [2, 2, 2, 2]


def test_margins_are_the_largest_balls():
    """Up to the margin one region, beyond it two; exactly at it one, because touching does not count."""
    boundaries = 0
    for seed in range(16):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0, inputs=rng.choice((1, 2, 2, 3)))
        x = tuple(F(rng.randint(-4, 4), rng.choice((1, 2, 3))) for _ in range(network.inputs))
        for norm in ("1", "2", "inf"):
            found = MarginFinder(network, norm).margins(x)
            assert found.activation is None or found.linear is None or found.activation <= found.linear
            for kind, margin in ((0, found.activation), (1, found.linear)):
                if margin is None:
                    assert counts(network, Ball(x, F(1000), norm))[kind] == 1
                    continue
                low = margin if norm != "2" else F(math.isqrt(int(margin * 10**24)), 10**12)
                boundaries += 1
                if low:
                    assert counts(network, Ball(x, low, norm))[kind] == 1
                assert counts(network, Ball(x, low + F(1, 10**9), norm))[kind] > 1
    assert boundaries > 40
