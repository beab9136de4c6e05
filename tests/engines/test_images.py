"""Images that are computed when they are asked for: shared vertices, dimensions and bounds, against each cell alone."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction as F

import numpy as np
import pytest

from tests.engines.test_propagate import cube, modular
from tests.engines.test_reach import images
from tests.strategies import random_box, random_network
from verifier import reach
from verifier.engines.cell_units import Harvest, prepared
from verifier.engines.propagate import Propagation, Region
from verifier.engines.reach import MappedBatch, map_cells
from verifier.engines.shared_vertices import SharedVertices
from verifier.geometry.homogeneous import Generators, to_point
from verifier.geometry.polytope import Polyhedron
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix


def random_region(seed: int) -> Region:
    """A network with any slopes over a bounded box or polytope, flat ones too; up to three inputs."""
    rng = random.Random(seed)
    network = random_network(rng, seed % 4 > 0, inputs=rng.choice((1, 2, 2, 3)))
    box = random_box(rng, network.inputs, True, bounded=True)
    row = HalfSpace((F(1),) * network.inputs, sum((v for v in box.upper if v is not None), F(0)))
    return Region(network, box, (row,) if seed % 3 == 0 else (), rng.choice((None, None, 1, 0)))


@pytest.mark.parametrize("seed", range(60))
def test_vertices_that_cells_share_are_those_of_each_cell(seed):
    region = random_region(seed)
    kept = Network(region.kept) if region.kept else None
    found = images(region, "vertices")
    cells = list(Propagation(region, "vertices").cells())
    assert [one.pattern for one in found] == [cell.signs for cell in cells]
    for one, cell in zip(found, cells, strict=True):
        assert tuple(to_point(v.input) for v in one.vertices) == cell.vertices
        for v in one.vertices:
            assert to_point(v.output) == (kept.evaluate(to_point(v.input)) if kept else to_point(v.input))


@pytest.mark.parametrize("seed", range(60))
def test_dimensions_bounds_and_vertices_are_those_of_the_images(seed):
    region = random_region(seed)
    found = images(region, "vertices")
    parts = found.union().parts
    assert found.dimensions() == Counter(part.dimension for part in parts)
    assert found.bounding_box() == found.union().bounding_box()
    for cell in found:
        for part in (cell.image, cell.region):
            assert part.given_generators is not None
            plain = Polyhedron(part.ambient_dimension, None, Generators(part.given_generators.vertices))
            assert sorted(plain.generators.vertices) == sorted(part.generators.vertices)


def test_most_vertices_are_shared():
    region = Region(modular((2, 8, 8, 2), 7), cube(2))
    (batch,) = Harvest(region, map_cells, "vertices")
    assert isinstance(batch, MappedBatch)
    shared = SharedVertices(prepared(region, "vertices"))
    total = sum(len(shared.of(batch.cells, c)) for c in range(len(batch.full)))
    assert len(batch.full) == 106
    assert len(shared._known) < total / 2


def test_a_vertex_seen_from_cells_with_other_maps():
    """Concurrent, repeated and negated units, and a second layer that sees them."""
    first = Layer.relu(Matrix.from_rationals([[1, 0], [1, 0], [-1, 0], [0, 1], [1, 1], [1, -1]]),
                       Matrix.column([0] * 6))
    second = Layer.relu(Matrix.from_rationals([[1, -1, 1, -2, 0, 1], [1, 1, 1, 1, 1, 1]]), Matrix.column([0, -1]))
    network = Network((first, second, Layer.affine(Matrix.from_rationals([[1, 1], [1, -1], [0, 2]]),
                                                   Matrix.column([0, 0, 0]))))
    found = reach(network, cube(2))
    for one in found.sources:
        for v in one.vertices:
            assert network.evaluate(to_point(v.input)) == to_point(v.output)
    assert found.dimensions == found.union.dimensions
    assert found.bounding_box == found.union.bounding_box()


def test_bounds_that_floats_do_not_know():
    """Outputs beyond binary64, and ones that differ by less than its precision."""
    big, tiny = F(10**320), F(1, 10**330)
    network = Network((Layer.relu(Matrix.from_rationals([[1], [-1]]), Matrix.column([0, 0])),
                       Layer.affine(Matrix.from_rationals([[big, big], [tiny, 2 * tiny], [1, 1 + tiny]]),
                                    Matrix.column([0, 1, 0]))))
    found = reach(network, cube(1))
    assert found.bounding_box == Box((F(0), F(1), F(0)), (big, 1 + 2 * tiny, 1 + tiny))
    assert found.dimensions == {1: 2}


def test_many_cells_that_tie(monkeypatch):
    """Outputs of ReLUs are 0 on half of the cells: one of them is enough, whatever their number."""
    rng = np.random.default_rng(5)
    layer = Layer.relu(Matrix.from_floats(rng.normal(size=(9, 3))), Matrix.from_floats(rng.normal(size=(9, 1))))
    found = reach(Network((layer, layer_of(rng, 9, 4))), cube(3))
    asked = []
    inner = SharedVertices.of
    monkeypatch.setattr(SharedVertices, "of", lambda *given: asked.append(given[2]) or inner(*given))
    box = found.bounding_box
    assert box.lower == (F(0),) * 4
    assert found.cells > 100
    assert len(asked) < 40
    assert box == found.union.bounding_box()


def layer_of(rng, inputs, units):
    """A ReLU layer in general position."""
    return Layer.relu(Matrix.from_floats(rng.normal(size=(units, inputs))), Matrix.zeros(units, 1))


def test_nothing_and_unbounded_sets():
    network = modular((2, 4, 2), 11)
    nothing = reach(network, Box.from_bounds([0, 0], [1, 1]), timeout=1e-9)
    assert (nothing.finished, nothing.cells, nothing.bounding_box, dict(nothing.dimensions)) == (False, 0, None, {})
    whole = reach(network, Box((F(0), None), (F(1), None)))
    assert whole.bounding_box == whole.union.bounding_box()
    assert whole.dimensions == whole.union.dimensions
    assert [cell.pattern for cell in whole.sources[1:3]] == [whole.sources[1].pattern, whole.sources[2].pattern]
    with pytest.raises(ValueError, match="an output of the set"):
        whole.attaining(0, [(1, 10**9, 10**9)])


def test_a_batch_is_compact():
    """No coordinates are kept: a cell takes bytes for its signs, and some words a vertex and a hyperplane."""
    region = Region(modular((2, 8, 8, 2), 7), cube(2))
    (batch,) = Harvest(region, map_cells, "vertices")
    assert {array.dtype for array in (batch.cells.signs, batch.cells.table, batch.cells.incidence)} == {
        np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.uint64)}
