"""Pairs of cells with a common facet, against brute force over all pairs, and counts of linear regions from them."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from tests import reference
from tests.engines.test_propagate import cube, modular, one_layer
from tests.strategies import random_box, random_network
from verifier.engines.adjacency import CellRows, FacetPair, facet_pairs, unsigned
from verifier.engines.propagate import Cell, Propagation, Region, UnitFacet
from verifier.geometry.exact_maps import ExactMaps
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix


def all_cells(network: Network, box: Box, representation: str = "auto", layers: int | None = None) -> list[Cell]:
    return list(Propagation(Region(network, box, (), layers), representation).cells())


def linear_regions(cells: list[Cell], pairs: list[FacetPair]) -> int:
    leader = list(range(len(cells)))

    def root(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for pair in pairs:
        if cells[pair.first].affine_map == cells[pair.second].affine_map:
            leader[root(pair.first)] = root(pair.second)
    return len({root(i) for i in range(len(cells))})


def check_pair(cells: list[Cell], pair: FacetPair) -> None:
    """The point lies on the one hyperplane, inside all else, on both sides and inside the domain."""
    assert isinstance(pair.facet, UnitFacet)
    first, second = cells[pair.first], cells[pair.second]
    for cell in (first, second):
        signs = {unsigned(row): reference._value(row, pair.point) for row in cell.constraints}
        assert signs.pop(unsigned(pair.row)) == 0
        assert all(v > 0 for v in signs.values())
    for row in first.chart.rows:
        assert reference._value(row, pair.point) < 0
    rows = CellRows(first.maps, first.signs)
    differing = [i for i, (p, q) in enumerate(zip(first.signs, second.signs, strict=True)) if p != q]
    assert all(not any(rows.rows[i]) or unsigned(rows.rows[i]) == unsigned(pair.row) for i in differing)


@pytest.mark.parametrize("representation", ["vertices", "lp"])
@pytest.mark.parametrize("block", range(3))
def test_random_networks_agree_with_brute_force(block: int, representation: str) -> None:
    for seed in range(10 * block, 10 * block + 10):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0)
        box = random_box(rng, network.inputs, seed % 4 > 0, bounded=representation == "vertices")
        expected = {cell.pattern: cell for cell in reference.cells(network, box)}
        cells = all_cells(network, box, representation)
        if len(cells) > 30:
            continue
        pairs = list(facet_pairs(cells))
        assert len({(p.first, p.second) for p in pairs}) == len(pairs)
        for pair in pairs:
            assert pair.first < pair.second
            check_pair(cells, pair)
        brute = {(i, j) for i, j in itertools.combinations(range(len(cells)), 2)
                 if reference._share_facet(expected[cells[i].pattern], expected[cells[j].pattern])}
        assert {(p.first, p.second) for p in pairs} == brute, seed


@pytest.mark.parametrize(("widths", "p", "r", "regions"), [
    ((2, 3, 1), 7, 1, 4), ((2, 3, 1), 11, 1, 7), ((2, 4, 2), 11, 1, 11), ((2, 3, 3, 1), 7, 1, 9),
    ((2, 4, 4, 2), 7, 1, 30), ((2, 5, 5, 5, 1), 7, 1, 51), ((2, 5, 5, 5, 1), 7, 3, 54), ((2, 8, 8, 2), 7, 3, 108)])
def test_linear_regions_of_the_tables(widths: tuple[int, ...], p: int, r: int, regions: int) -> None:
    cells = all_cells(modular(widths, p), cube(2, r))
    assert linear_regions(cells, list(facet_pairs(cells))) == regions


@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_a_deeper_unit_on_the_hyperplane_need_not_flip(representation: str) -> None:
    """Duplicated, scaled and negated units, a unit that is active on both sides, one that is zero on one side."""
    first = one_layer([(1, 0, 0), (2, 0, 0), (-1, 0, 0), (0, 1, 0)]).layers[0]
    second = Layer.relu(Matrix.from_rationals([(1, 0, 1, 0), (0, 0, 3, 0), (0, -1, 1, 0)]), Matrix.zeros(3, 1))
    cells = all_cells(Network((first, second)), cube(2), representation)
    assert len(cells) == 4
    pairs = list(facet_pairs(cells))
    assert len(pairs) == 4
    right = bytes([1, 1, 0, 1, 1, 0, 0])
    left = bytes([0, 0, 1, 1, 1, 1, 1])
    rows = CellRows(cells[0].maps, right)
    assert rows.across((1, 0, 0), ExactMaps(cells[0].maps.layers, cells[0].chart)) == left
    assert {right, left} <= {cell.signs for cell in cells}


@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_a_face_of_lower_dimension_is_no_facet(representation: str) -> None:
    """Four lines through one point: each sector borders two others, not the one opposite."""
    cells = all_cells(one_layer([(a, b, 0) for a, b in ((1, 0), (0, 1), (1, 1), (1, -1))]), cube(2), representation)
    pairs = [(p.first, p.second) for p in facet_pairs(cells)]
    assert len(cells) == len(pairs) == 8
    assert np.bincount(np.array(pairs).ravel()).tolist() == [2] * 8


def test_a_part_of_the_cells_has_the_pairs_among_it() -> None:
    cells = all_cells(one_layer([(1, 0, 0), (1, 0, Fraction(-1, 2)), (1, 0, Fraction(1, 2))]), cube(2))
    assert len(list(facet_pairs(cells))) == 3
    ordered = sorted(cells, key=lambda cell: cell.interior)
    assert list(facet_pairs(ordered[::2])) == []
    assert list(facet_pairs([])) == []
    assert list(facet_pairs(all_cells(one_layer([(1, 0, 0)]), Box.from_bounds([1, 1], [1, 1])))) == []
