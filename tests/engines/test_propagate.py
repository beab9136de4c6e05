"""Cells against brute force, against each other, and against published and derived numbers."""

from __future__ import annotations

import itertools
import os
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import reference
from tests.strategies import random_box, random_network
from verifier.engines import propagate
from verifier.engines.propagate import Cell, Propagation, Region, Representation, cells, count_cells
from verifier.geometry.chart import DomainFacet, EmptyDomainError, chart_of
from verifier.geometry.traversal import Space, Walk
from verifier.geometry.vertex_cell import VertexCell, domain_cell
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix, Point, dot

ONE = Fraction(1)


def cube(dimension: int, radius: int | Fraction = 1) -> Box:
    return Box.from_bounds([-Fraction(radius)] * dimension, [Fraction(radius)] * dimension)


def one_layer(rows: Iterable[Iterable[int | Fraction]]) -> Network:
    table = [[Fraction(v) for v in row] for row in rows]
    return Network((Layer.relu(Matrix.from_rationals([r[:-1] for r in table]), Matrix.column([r[-1] for r in table])),))


def plain_count(network: Network, box: Box) -> int:
    """The plain exact algorithm on vertices, without floats: cut, descend, count."""
    space = Space(network.layers, chart_of(box))

    def descend(cell: VertexCell, signs: bytes, layer: int, unit: int) -> int:
        if layer == len(network.layers):
            return 1
        if unit == network.layers[layer].units:
            return descend(cell, signs, layer + 1, 0)
        if not network.layers[layer].has_phase[unit]:
            return descend(cell, signs + b"\1", layer, unit + 1)
        row = space.maps.row(layer, unit, signs)
        positive, negative = cell.split(row, len(space.chart.rows) + len(signs))
        return sum(descend(part, signs + sign, layer, unit + 1)
                   for part, sign in ((positive, b"\1"), (negative, b"\0")) if part is not None)

    return descend(domain_cell(space.chart), b"", 0, 0)


def check_cell(cell: Cell, network: Network, box: Box) -> None:
    """Exact vertices, constraints, interior, pattern and map of the cell fit each other and the network."""
    rows = cell.constraints
    x = cell.interior
    assert box.contains(x)
    for k, z in enumerate(network.pre_activations(x)):
        for i, value in enumerate(z):
            if network.layers[k].has_phase[i]:
                assert cell.pattern[k][i] == (value > 0)
    weight, constant = cell.affine_map
    for v, u, approximate, radius in zip(cell.vertices, cell.chart_vertices, *cell.float_vertices, strict=True):
        assert box.contains(v)
        assert all(reference._value(row, u) >= 0 for row in rows)
        assert all(abs(Fraction(float(a)) - Fraction(p, u[-1])) <= Fraction(float(radius))
                   for a, p in zip(approximate, u, strict=False)) or np.isinf(radius)
        coordinates = [Fraction(p, u[-1]) for p in u[:-1]]
        image = tuple(dot(w, coordinates) + c for w, c in zip(weight, constant, strict=True))
        assert image == network.evaluate(v)
    for on, u in zip(cell.incidence, cell.chart_vertices, strict=True):
        assert [i for i, row in enumerate(rows) if reference._value(row, u) == 0] == list(on)


# --- brute force -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(8))
def test_random_networks_agree_with_brute_force(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        rng = random.Random(seed)
        degenerate = seed % 4 > 0
        network = random_network(rng, degenerate)
        box = random_box(rng, network.inputs, degenerate, bounded=True)
        expected = reference.cells(network, box)
        found = list(cells(network, box, representation="vertices"))
        assert Counter(c.pattern for c in found) == Counter(c.pattern for c in expected), seed
        assert count_cells(network, box, representation="vertices") == len(expected), seed
        if seed % 10 == 0:
            by_pattern = {c.pattern: c for c in expected}
            for cell in found:
                check_cell(cell, network, box)
                assert cell.pattern in by_pattern


@pytest.mark.parametrize("block", range(2))
def test_linear_programs_agree_with_brute_force(block: int) -> None:
    for seed in range(1000 + 60 * block, 1060 + 60 * block):
        rng = random.Random(seed)
        degenerate = seed % 4 > 0
        network = random_network(rng, degenerate)
        box = random_box(rng, network.inputs, degenerate)  # unbounded ones among them
        expected = reference.cells(network, box)
        found = list(cells(network, box, representation="lp"))
        assert Counter(c.pattern for c in found) == Counter(c.pattern for c in expected), seed
        for cell in found:
            assert box.contains(cell.interior)
            assert all(reference._value(row, cell._body.interior(cell)) > 0 for row in cell.constraints), seed


def test_the_plain_exact_algorithm_agrees() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        network = random_network(rng, True)
        box = random_box(rng, network.inputs, True, bounded=True)
        assert plain_count(network, box) == count_cells(network, box, representation="vertices"), seed


def test_polytopes_flat_ones_too_agree_with_the_cut_network() -> None:
    """Cells of {x in box: rows}: the cells of the network with the rows as first units, on their negative side."""
    for seed in range(120):
        rng = random.Random(seed)
        network = random_network(rng, True)
        box = random_box(rng, network.inputs, True, bounded=True)
        normals = [tuple(Fraction(rng.randint(-2, 2)) for _ in range(network.inputs)) for _ in range(rng.randint(1, 3))]
        offsets = [Fraction(rng.randint(-2, 3), 2) for _ in normals]
        rows = [HalfSpace(n, b) for n, b in zip(normals, offsets, strict=True)]
        first = Layer(Matrix.from_rationals([*normals, *np.eye(network.inputs, dtype=int).tolist()]),
                      Matrix.column([*(-b for b in offsets), *(0 for _ in range(network.inputs))]),
                      Matrix.column([*(0 for _ in rows), *(1 for _ in range(network.inputs))]))
        second = network.layers[0]
        padded = Matrix.from_rationals([(Fraction(0),) * len(rows) + row for row in second.weight.rows()])
        whole = Network((first, Layer(padded, second.bias, second.slope), *network.layers[1:]))
        inside = [c for c in reference.cells(whole, box) if not any(c.pattern[0][:len(rows)])]
        expected = Counter(c.pattern[1:] for c in inside)
        for representation in ("vertices", "lp"):
            try:
                chart = chart_of(box, rows)
                found = Counter(c.pattern for c in cells(network, box, rows, representation=representation))
            except EmptyDomainError:
                assert not expected, seed
                continue
            if chart.dimension == chart_of(box).dimension:
                assert found == expected, seed
            else:
                assert not expected
                assert found


def test_flat_polytopes() -> None:
    """A segment on the diagonal of a square, and a single point."""
    network = one_layer([(1, 1, 0), (1, 0, -ONE / 2), (1, -1, 0)])
    diagonal = [HalfSpace((ONE, -ONE), Fraction(0)), HalfSpace((-ONE, ONE), Fraction(0))]
    for representation in ("vertices", "lp"):
        found = list(cells(network, cube(2), diagonal, representation=representation))
        # x - y vanishes on the whole segment: inactive; x + y and x - 1/2 cut it into three
        assert Counter(c.pattern for c in found) == Counter([((False, False, False),), ((True, False, False),),
                                                             ((True, True, False),)])
        corner = [HalfSpace((ONE, ONE), Fraction(-2))]
        (point,) = cells(network, cube(2), corner, representation=representation)
        assert point.interior == (-1, -1)
        assert point.pattern == ((False, False, False),)
        with pytest.raises(EmptyDomainError, match="contradict"):
            count_cells(network, cube(2), [HalfSpace((ONE, ONE), Fraction(-3))], representation=representation)


def test_two_representations_agree_in_more_inputs() -> None:
    rng = np.random.default_rng(5)
    network = Network.from_arrays([rng.integers(-3, 4, (6, 5)), rng.integers(-3, 4, (4, 6)), np.ones((1, 4))],
                                  [rng.integers(-2, 3, 6), rng.integers(-2, 3, 4), [0]])
    by_vertices = Counter(c.pattern for c in cells(network, cube(5), representation="vertices"))
    by_programs = Counter(c.pattern for c in cells(network, cube(5), representation="lp"))
    assert by_vertices == by_programs
    assert len(by_vertices) > 100


# --- degenerate position ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "expected"), [
    ([(1, 0), (1, 0), (-1, 0), (3, 0)], 2),                                           # one hyperplane, four units
    ([(1, 0), (2, -1), (-2, 1)], 3),
    ([(0, 1), (0, -1), (0, 0), (1, 0)], 2),                                           # constants
    ([(0, 0)], 1),
    ([(1, -1), (-1, -1)], 1),                                                         # through the ends of the domain
], ids=["same", "pairs", "constants", "zero", "ends"])
def test_one_input(rows: list[tuple[int, int]], expected: int) -> None:
    assert count_cells(one_layer(rows), cube(1)) == expected
    assert count_cells(one_layer(rows), cube(1), representation="lp") == expected


@pytest.mark.parametrize("lines", [3, 8, 40])
def test_lines_through_one_point(lines: int) -> None:
    network = one_layer([(k - lines // 2, 3, 0) for k in range(lines)])
    assert count_cells(network, cube(2)) == 2 * lines
    assert count_cells(network, Box.from_bounds([0, 0], [1, 1])) == sum(k - lines // 2 < 0 for k in range(lines)) + 1


@pytest.mark.parametrize("dimension", [2, 3, 4])
def test_integer_grids(dimension: int) -> None:
    units = [(*(int(i == j) for j in range(dimension)), -c) for i in range(dimension) for c in (-1, 0, 1)]
    repeated = [tuple(-2 * v for v in unit) for unit in units]
    assert count_cells(one_layer(units + repeated), cube(dimension, 2)) == 4**dimension


def test_hyperplanes_through_all_corners_of_cubes() -> None:
    """x_i = x_j for all pairs: the braid arrangement has n! cells; with x_i = -x_j and x_i = 0 as well, 2^n n!."""
    for n in (2, 3, 4):
        pairs = list(itertools.combinations(range(n), 2))
        braid = [(*tuple(int(k == i) - int(k == j) for k in range(n)), 0) for i, j in pairs]
        assert count_cells(one_layer(braid), cube(n)) == [2, 6, 24][n - 2]
        signed = [*braid, *((*tuple(int(k in (i, j)) for k in range(n)), 0)
                            for i, j in itertools.combinations(range(n), 2)),
                  *((*tuple(int(k == i) for k in range(n)), 0) for i in range(n))]
        found = Propagation(Region(one_layer(signed), cube(n)))
        assert found.count() == [8, 48, 384][n - 2]
        assert found.statistics.exact_signs > 0


def test_absolute_values_as_pairs_of_units() -> None:
    """y = |x| + |y'| - 1 by pairs: the second layer's kink is a diamond."""
    pair = Layer.relu(Matrix.from_rationals([[1, 0], [-1, 0], [0, 1], [0, -1]]), Matrix.column([0] * 4))
    kink = Layer.relu(Matrix.from_rationals([[1, 1, 1, 1]]), Matrix.column([-1]))
    assert count_cells(Network((pair, kink)), cube(2)) == 8
    assert count_cells(Network((pair, kink)), Box.from_bounds([0, 0], [1, 1])) == 2
    absolute = Layer(Matrix.identity(2), Matrix.zeros(2, 1), Matrix.column([-1, -1]))
    outer = Layer.relu(Matrix.from_rationals([[1, 1]]), Matrix.column([-1]))
    assert count_cells(Network((absolute, outer)), cube(2)) == 8


def test_a_layer_of_zeros_and_dead_cells() -> None:
    zeros = Layer.relu(Matrix.zeros(3, 2), Matrix.zeros(3, 1))
    later = Layer.relu(Matrix.from_rationals([[1, 2, 3]]), Matrix.column([0]))
    (cell,) = cells(Network((zeros, later)), cube(2))
    assert cell.pattern == ((False,) * 3, (False,))
    # relu(x) - 0 is zero on the left half: inactive there and no split
    first = Layer.relu(Matrix.from_rationals([[1, 0]]), Matrix.column([0]))
    second = Layer.relu(Matrix.from_rationals([[1]]), Matrix.column([0]))
    assert {c.pattern for c in cells(Network((first, second)), cube(2))} == {((False,), (False,)), ((True,), (True,))}


@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_numbers_that_no_float_holds(representation: Representation) -> None:
    """Thirds, an offset by 2^-200 and weights of 10^400 are decided exactly."""
    third = Fraction(1, 3)
    thin = one_layer([(third, -third, 0), (3, -3, Fraction(1, 2**200))])
    assert count_cells(thin, cube(2), representation=representation) == 3
    huge = one_layer([(10**400, 1, 0), (-10**400, -1, 0), (10**400, 1, Fraction(1, 10**400))])
    assert count_cells(huge, cube(2), representation=representation) == 3
    tiny = one_layer([(Fraction(1, 10**400), 0, 0), (0, Fraction(1, 10**400), Fraction(2, 10**400))])
    assert count_cells(tiny, cube(2), representation=representation) == 2


def test_many_facets_need_more_words_and_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A circle's tangents: one cell keeps all of them as facets, more than one word of incidence bits has."""
    monkeypatch.setattr("verifier.geometry.traversal.VERTICES", 16)
    tangents = []
    for k in range(150):
        t = Fraction(k - 75, 40)
        tangents.append(((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t), -ONE))
    network = one_layer(tangents)
    found = list(cells(network, cube(2, 2)))
    assert len(found) == count_cells(network, cube(2, 2))
    inner = next(c for c in found if not any(c.pattern[0]))
    assert len(inner.facets) >= 150
    check_cell(inner, network, cube(2, 2))


# --- numbers of the literature ---------------------------------------------------------------------------------------


def modular(widths: tuple[int, ...], p: int) -> Network:
    """N(d0, ..., dk; p): W[i][j] = ((3i + 5j + 2l + ij + 1) mod p) - p // 2, b[i] = ((2i + 3l + 1) mod 5 - 2) / 2."""
    layers = []
    for k, (inputs, units) in enumerate(itertools.pairwise(widths)):
        weight = Matrix.from_rationals([[(3 * i + 5 * j + 2 * k + i * j + 1) % p - p // 2 for j in range(inputs)]
                                        for i in range(units)])
        bias = Matrix.column([Fraction((2 * i + 3 * k + 1) % 5 - 2, 2) for i in range(units)])
        layers.append(Layer.affine(weight, bias) if k == len(widths) - 2 else Layer.relu(weight, bias))
    return Network(tuple(layers))


F = Fraction
TABLE: list[Any] = [
    ((2, 3, 1), 7, 1, 7, 4, 7, [(-2, 16)]),
    ((2, 3, 1), 11, 1, 7, 7, 7, [(-8, F(137, 8))]),
    ((2, 4, 2), 7, 1, 11, 11, 2, [(-2, 16), (F(-1, 10), 13)]),
    ((2, 4, 2), 11, 1, 11, 11, 5, [(F(-27, 5), F(57, 2)), (F(-79, 2), F(31, 10))]),
    ((2, 3, 3, 1), 7, 1, 17, 9, 17, [(0, 32)]),
    ((2, 4, 4, 2), 7, 1, 30, 30, 5, [(F(1, 3), 32), (F(-89, 2), F(3, 4))]),
    ((2, 5, 5, 5, 1), 7, 1, 73, 51, 73, [(-73, F(206, 13))]),
    ((2, 5, 5, 5, 1), 7, 3, 77, 54, 77, None),
    ((2, 8, 8, 2), 7, 1, 106, 105, 11, [(F(1, 8), 72), (F(-131, 2), F(17, 2))]),
    ((2, 8, 8, 2), 7, 3, 109, 108, 11, None),
]


@pytest.mark.parametrize(("widths", "p", "radius", "regions", "maps", "flat", "ranges"), TABLE)
def test_table_of_small_networks(widths: tuple[int, ...], p: int, radius: int, regions: int, maps: int, flat: int,
                                 ranges: list[tuple[Fraction, Fraction]] | None) -> None:
    network = modular(widths, p)
    found = list(cells(network, cube(2, radius)))
    assert len(found) == regions
    affine = [c.affine_map for c in found]
    assert len(set(affine)) == maps
    assert sum(len(w) < 2 or w[0][0] * w[1][1] == w[0][1] * w[1][0] for w, _ in affine) == flat
    if ranges is not None:
        values = [network.evaluate(v) for c in found for v in c.vertices]
        assert [(min(column), max(column)) for column in zip(*values, strict=True)] == ranges


def images(network: Network, box: Box) -> list[set[Point]]:
    return [{network.evaluate(v) for v in c.vertices} for c in cells(network, box)]


def test_first_demo_network() -> None:
    """The set is the triangle (0, 1), (0, 2), (1/2, 1) with the segment {0} x [1, 5]."""
    network = Network((
        Layer.relu(Matrix.from_rationals([[2, 0], [1, -1], [1, 1]]), Matrix.column([F(1, 2), -1, F(-1, 2)])),
        Layer.relu(Matrix.from_rationals([[-1, 0, 1], [1, -1, 0]]), Matrix.column([F(-1, 2), F(1, 2)]))))
    found = list(cells(network, Box.from_bounds([0, 0], [2, 2])))
    assert len(found) == 4
    assert len({c.affine_map for c in found}) == 3
    sets = images(network, Box.from_bounds([0, 0], [2, 2]))
    assert {(0, 1), (0, 2), (F(1, 2), 1)} in sets
    flat = [v for s in sets for v in s if {(0, 1), (0, 2), (F(1, 2), 1)} != s]
    assert {x for x, _ in flat} == {0}
    assert (min(flat), max(flat)) == ((0, 1), (0, 5))


def test_second_demo_network() -> None:
    network = Network((
        Layer.relu(Matrix.from_rationals([[F(3, 2), 1], [0, F(1, 2)]]), Matrix.column([F(1, 2), F(1, 2)])),
        Layer.relu(Matrix.from_rationals([[F(-3, 2), 1], [F(1, 10), -1]]), Matrix.column([F(1, 10), F(1, 5)]))))
    sets = images(network, cube(2))
    assert len(sets) == 6
    assert {(0, 0), (0, F(31, 150)), (F(1, 10), F(1, 5)), (F(3, 10), 0)} in sets
    everything = set().union(*sets)
    assert max(x for x, y in everything if y == 0) == F(11, 10)
    assert max(y for x, y in everything if x == 0) == F(3, 10)
    assert all(x == 0 or y == 0 or y == x * F(-1, 15) + F(31, 150) for x, y in everything)


# --- interface -------------------------------------------------------------------------------------------------------


def test_layers_slopes_and_chart() -> None:
    network = modular((2, 4, 4, 2), 7)
    assert count_cells(network, cube(2), layers=0) == 1
    assert count_cells(network, cube(2), layers=1) == 11
    (whole,) = cells(network, cube(2), layers=0)
    assert set(whole.vertices) == {(a, b) for a in (-1, 1) for b in (-1, 1)}
    assert set(whole.facets) == {DomainFacet(k, i) for k in ("lower", "upper") for i in (0, 1)}
    first = list(cells(network, cube(2), layers=1))
    assert all(len(c.pattern) == 1 and len(c.affine_map[0]) == 4 for c in first)


def test_streaming_stops_when_nobody_asks() -> None:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal
    big = Network.from_arrays([normal((60, 3)), normal((60, 60)), normal((1, 60))],
                              [rng.standard_normal(60), rng.standard_normal(60), [0.0]])
    seen: list[int] = []
    assert len(list(itertools.islice(cells(big, cube(3), progress=seen.append), 300))) == 300
    assert len(seen) <= 3


class Shuffled:
    """An executor that sends its units through pickle, and runs them last to first."""

    def map(self, function: Callable[[Any], Any], iterable: Iterable[Any], /) -> Iterator[Any]:
        units = [pickle.dumps((function, unit)) for unit in iterable]
        results = []
        for data in reversed(units):
            task, unit = pickle.loads(data)
            results.append(task(unit))
        return reversed(results)


@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_subtrees_are_pure_work_units(representation: Representation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagate, "FIRST_BUDGET", 200)
    monkeypatch.setattr(propagate, "UNIT_BUDGET", 2000)
    for seed in range(12):
        rng = random.Random(seed)
        network = random_network(rng, True, inputs=3)
        box = random_box(rng, 3, True, bounded=True)
        expected = count_cells(network, box)
        assert count_cells(network, box, executor=Shuffled(), representation=representation) == expected, seed
    rng = np.random.default_rng(1)
    deep = Network.from_arrays([rng.standard_normal((8, 2)), rng.standard_normal((8, 8)), rng.standard_normal((8, 8))],
                               [rng.standard_normal(8), rng.standard_normal(8), rng.standard_normal(8)], slope=0)
    assert count_cells(deep, cube(2), executor=Shuffled(), representation=representation) == count_cells(deep, cube(2))


def test_a_walk_can_be_interrupted_anywhere() -> None:
    """Unloading after every few steps and loading again changes nothing."""
    rng = np.random.default_rng(2)
    network = Network.from_arrays([rng.integers(-2, 3, (7, 2)), rng.integers(-2, 3, (7, 7)), np.ones((1, 7))],
                                  [rng.integers(-2, 3, 7), rng.integers(-2, 3, 7), [0]])
    space = Space(network.layers[:2], chart_of(cube(2)))
    waiting, found = [space.root()], 0
    while waiting:
        walk = Walk(space, collect=False)
        walk.push(waiting)
        walk.step(300)
        while not walk.settled:
            walk.step(300)
        found += walk.cells
        waiting = walk.unload()
    assert found == len(reference.cells(network, cube(2)))


def test_general_position_needs_no_exact_sign() -> None:
    rng = np.random.default_rng(3)
    network = Network.from_arrays([rng.standard_normal((10, 3)), rng.standard_normal((10, 10)), np.ones((1, 10))],
                                  [rng.standard_normal(10), rng.standard_normal(10), [0.0]])
    walk = Propagation(Region(network, cube(3)))
    assert walk.count() == len(list(cells(network, cube(3), representation="lp")))
    assert walk.statistics.exact_signs == 0


def test_wrong_use_is_said() -> None:
    network = modular((2, 3, 1), 7)
    with pytest.raises(ValueError, match="unbounded domain has no representation by vertices"):
        count_cells(network, Box.whole_space(2), representation="vertices")
    with pytest.raises(ValueError, match="2 inputs, the box 3 coordinates"):
        count_cells(network, cube(3))
    with pytest.raises(ValueError, match="received layers=3"):
        count_cells(network, cube(2), layers=3)
    with pytest.raises(ValueError, match='"auto", "vertices" or "lp"'):
        count_cells(network, cube(2), representation="points")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="received a strict one"):
        count_cells(network, cube(2), [HalfSpace((ONE, ONE), ONE, strict=True)])
    with pytest.raises(ValueError, match="a row of the domain has 1"):
        count_cells(network, cube(2), [HalfSpace((ONE,), ONE)])
    assert count_cells(network, Box.whole_space(2)) == len(reference.cells(network, Box.whole_space(2)))


@pytest.mark.skipif("VERIFIER_DATA" not in os.environ, reason="VERIFIER_DATA does not name a folder of benchmarks")
@pytest.mark.parametrize(("net", "number", "expected"), [
    ("3_3", 4, 1201), ("2_2", 3, 6924), ("1_1", 4, 19143), ("1_1", 3, 71930), ("2_2", 4, 4500), ("3_3", 3, 7935)])
def test_acas_xu(net: str, number: int, expected: int) -> None:
    from verifier.formats.onnx import read_network
    from verifier.formats.vnnlib import read_property

    folder = Path(os.environ["VERIFIER_DATA"]) / "acasxu"
    network = read_network(folder / "onnx" / f"ACASXU_run2a_{net}_batch_2000.onnx").network
    walk = Propagation(Region(network, read_property(folder / "vnnlib" / f"prop_{number}.vnnlib").cases[0].box))
    assert walk.count() == expected
    assert walk.statistics.exact_signs == 0
