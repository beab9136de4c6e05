"""Cells of networks whose rows come near the end of binary64, or pass it: floats prove nothing there."""

from __future__ import annotations

from fractions import Fraction

import pytest

from verifier.engines.propagate import Representation, cells, count_cells
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.sets import reach

QUARTER = Fraction(1, 4)


def relu(rows: list[list[Fraction | int]], bias: list[Fraction | int]) -> Layer:
    """A ReLU layer."""
    return Layer.relu(Matrix.from_rationals([[Fraction(v) for v in row] for row in rows]),
                      Matrix.column([Fraction(v) for v in bias]))


def dead_zone(before: list[Layer], rows: list[list[Fraction | int]]) -> Network:
    """``relu(x - 1/4) + relu(-x - 1/4)`` beside a unit that counts for nothing."""
    last = Layer.affine(Matrix.from_rationals([[0, 1, 1]]), Matrix.column([0]))
    return Network((*before, relu(rows, [0, -QUARTER, -QUARTER]), last))


def shallow() -> Network:
    """One layer; the values at the ends of [-1, 1] are finite, their difference is not."""
    return dead_zone([], [[10**308], [1], [-1]])


def deep() -> Network:
    """The same, with weights of at most 10^38 over ten layers."""
    layers = [relu([[1], [-1], [1], [-1]], [1, 1, 1, 1])]
    layers += [relu([[10**38, 0, 0, 0], [0, 10**38, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [0, 0, 0, 0])] * 8
    half = Fraction(1, 2)
    return dead_zone(layers, [[8000, -8000, 0, 0], [0, 0, half, -half], [0, 0, -half, half]])


@pytest.mark.parametrize("network", [shallow(), deep()])
@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_rows_that_overflow(network: Network, representation: Representation) -> None:
    box = Box.from_bounds([-1], [1])
    found = sorted(tuple(sorted(v for (v,) in cell.vertices)) for cell in
                   cells(network, box, representation="vertices"))
    assert found == [(-1, -QUARTER), (-QUARTER, 0), (0, QUARTER), (QUARTER, 1)]
    assert count_cells(network, box, representation=representation) == 4
    assert reach(network, box).union.bounding_box() == Box.from_bounds([0], [Fraction(3, 4)])


@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_a_box_near_the_end_of_binary64(representation: Representation) -> None:
    absolute = Network((relu([[1], [-1]], [0, 0]), Layer.affine(Matrix.from_rationals([[1, 1]]), Matrix.column([0]))))
    assert count_cells(absolute, Box.from_bounds([-10**308], [10**308]), representation=representation) == 2
    assert count_cells(absolute, Box.from_bounds([-10**400], [10**400]), representation=representation) == 2
