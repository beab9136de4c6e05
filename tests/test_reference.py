"""The oracle against published counts, closed forms, and a still more naive enumeration."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction
from math import comb

import cdd
import cdd.gmp
import pytest
from hypothesis import given, settings

from tests.reference import affine_pieces, cells, decide, evaluate, linear_regions, output_range, satisfies
from tests.strategies import (
    Touching,
    random_box,
    random_network,
    random_point,
    random_query,
    touching_queries,
)
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, Point, dot

F = Fraction


def arithmetic_network(widths: tuple[int, ...], modulus: int) -> Network:
    """The networks N(d0, ..., dk; p) of the tables: weights and biases by a congruence."""
    weights = [[[(3 * i + 5 * j + 2 * k + i * j + 1) % modulus - modulus // 2 for j in range(columns)]
                for i in range(rows)] for k, (columns, rows) in enumerate(itertools.pairwise(widths))]
    biases = [[((2 * i + 3 * k + 1) % 5 - 2) / 2 for i in range(rows)] for k, rows in enumerate(widths[1:])]
    return Network.from_arrays(weights, biases)


def unit_row(size: int, index: int) -> Point:
    return tuple(F(int(i == index)) for i in range(size))


def relu_layer(rows: Sequence[Sequence[Fraction | int]], bias: Sequence[Fraction | int]) -> Layer:
    return Layer.relu(Matrix.from_rationals(rows), Matrix.column(bias))


@pytest.mark.parametrize(("widths", "modulus", "radius", "counts", "ranges"), [
    ((2, 3, 1), 7, 1, (7, 4), ["-2 16"]),
    ((2, 3, 1), 11, 1, (7, 7), ["-8 137/8"]),
    ((2, 4, 2), 7, 1, (11, 11), ["-2 16", "-1/10 13"]),
    ((2, 4, 2), 11, 1, (11, 11), ["-27/5 57/2", "-79/2 31/10"]),
    ((2, 3, 3, 1), 7, 1, (17, 9), ["0 32"]),
    ((2, 4, 4, 2), 7, 1, (30, 30), ["1/3 32", "-89/2 3/4"]),
    ((2, 5, 5, 5, 1), 7, 1, (73, 51), ["-73 206/13"]),
    ((2, 5, 5, 5, 1), 7, 3, (77, 54), []),
    ((2, 8, 8, 2), 7, 1, (106, 105), ["1/8 72", "-131/2 17/2"]),
    ((2, 8, 8, 2), 7, 3, (109, 108), []),
])
def test_table_of_congruence_networks(widths: tuple[int, ...], modulus: int, radius: int, counts: tuple[int, int],
                                      ranges: list[str]) -> None:
    network = arithmetic_network(widths, modulus)
    box = Box.from_bounds([-radius] * 2, [radius] * 2)
    found = cells(network, box)
    assert (len(found), linear_regions(found), affine_pieces(found)) == (*counts, counts[1])
    for index, text in enumerate(ranges):
        low, high = map(F, text.split())
        assert output_range(network, box, unit_row(network.outputs, index)) == (low, high)


def test_two_demonstration_networks() -> None:
    first = Network((relu_layer([[2, 0], [1, -1], [1, 1]], [F(1, 2), -1, F(-1, 2)]),
                     relu_layer([[-1, 0, 1], [1, -1, 0]], [F(-1, 2), F(1, 2)])))
    found = cells(first, Box.from_bounds([0, 0], [2, 2]))
    assert (len(found), linear_regions(found)) == (4, 3)
    second = Network((relu_layer([[F(3, 2), 1], [0, F(1, 2)]], [F(1, 2), F(1, 2)]),
                      relu_layer([[F(-3, 2), 1], [F(1, 10), -1]], [F(1, 10), F(1, 5)])))
    assert len(cells(second, Box.from_bounds([-1, -1], [1, 1]))) == 6


@pytest.mark.parametrize(("depth", "on_the_line"), [(1, 3), (2, 6), (3, 10), (4, 18), (5, 34)])
def test_tent_networks(depth: int, on_the_line: int) -> None:
    bias: Sequence[Fraction | int] = (0, F(-1, 2))
    network = Network((relu_layer([[1], [1]], bias), *[relu_layer([[2, -4], [2, -4]], bias)] * (depth - 1),
                       Layer.affine(Matrix.from_rationals([[2, -4]]), Matrix.zeros(1, 1))))
    inside = cells(network, Box.from_bounds([0], [1]))
    assert linear_regions(inside) == 2**depth
    assert affine_pieces(inside) == 2**depth
    assert linear_regions(cells(network, Box.whole_space(1))) == on_the_line


@pytest.mark.parametrize(("units", "inputs"), [(6, 2), (6, 3), (8, 3)])
@pytest.mark.parametrize("central", [True, False])
def test_arrangements_in_general_position(units: int, inputs: int, central: bool) -> None:
    """Hyperplanes normal to the moment curve, counted by Zaslavsky's and Schlaefli's formulas."""
    rows = [[F(t) ** k for k in range(inputs)] for t in range(1, units + 1)]
    bias = [F(0) if central else F(t) ** inputs for t in range(1, units + 1)]
    found = cells(Network((relu_layer(rows, bias),)), Box.whole_space(inputs))
    assert len(found) == (2 * sum(comb(units - 1, i) for i in range(inputs)) if central
                          else sum(comb(units, i) for i in range(inputs + 1)))


def test_identically_zero_units_do_not_split() -> None:
    line = Box.whole_space(1)
    one, zero = Matrix.identity(1), Matrix.zeros(1, 1)
    relu = Layer.relu(one, zero)
    assert len(cells(Network((relu, relu)), line)) == 2
    assert [c.pattern for c in cells(Network((Layer.relu(zero, zero),)), line)] == [((False,),)]
    both = Network((relu_layer([[1], [-1]], [0, 0]), Layer.affine(Matrix.from_rationals([[1, -1]]), zero)))
    found = cells(both, line)
    assert (len(found), linear_regions(found), affine_pieces(found)) == (2, 1, 1)


def test_equal_maps_on_separate_cells_are_separate_regions() -> None:
    bump = Network((relu_layer([[1], [1], [1]], [1, 0, -1]), Layer.affine(Matrix.from_rationals([[1, -2, 1]]),
                                                                         Matrix.zeros(1, 1))))
    found = cells(bump, Box.whole_space(1))
    assert (len(found), linear_regions(found), affine_pieces(found)) == (4, 4, 3)


def test_touching_at_a_vertex_is_no_common_facet() -> None:
    """relu((|x| + |y|) / 2 - 1): four triangles with value 0 around the origin, opposite ones meet in it alone."""
    half = F(1, 2)
    network = Network((relu_layer([[1, 0], [0, 1], [-1, 0], [0, -1]], [0] * 4),
                       relu_layer([[1, 1, 0, 0], [0, 0, 1, 1]], [0, 0]),
                       relu_layer([[half, half]], [-1])))
    found = cells(network, Box.whole_space(2))
    zero = [c for c in found if not any(c.weight[0]) and not c.constant[0]]
    assert len(zero) == 4
    assert linear_regions(zero) == 1
    assert linear_regions([c for c in zero if c.interior[0] * c.interior[1] > 0]) == 2


def test_fixed_inputs_leave_the_affine_hull() -> None:
    network = Network((relu_layer([[1, 1], [0, 1], [1, 0]], [0, 0, -1]), Layer.identity(3)))
    found = cells(network, Box.from_bounds([-2, F(1, 3)], [2, F(1, 3)]))
    assert len(found) == 3  # the second unit does not vary
    assert all(c.interior[1] == F(1, 3) and len(c.weight[0]) == 1 for c in found)
    assert len(cells(network, Box.from_bounds([0, 0], [0, 0]))) == 1
    assert output_range(network, Box.from_bounds([2, 1], [2, 1]), unit_row(3, 0)) == (F(3), F(3))


def test_fixed_inputs_keep_their_denominator() -> None:
    """The output is 3/25 at the only input 3/2: a common denominator must serve both."""
    network = Network((Layer.affine(Matrix.from_rationals([[Fraction(2, 25)]]), Matrix.column([0])),))
    box = Box((Fraction(3, 2),), (Fraction(3, 2),))
    for sign, offset, expected in ((1, Fraction(149, 100), None), (-1, Fraction(-3, 2), (Fraction(3, 2),))):
        rows = (HalfSpace((Fraction(sign), Fraction(0)), offset),)
        assert decide(Query(network, box, (rows,))) == expected


def test_thin_margins_are_decided() -> None:
    def ask(network: Network, half_space: HalfSpace, radius: int = 1) -> Point | None:
        return decide(Query(network, Box.from_bounds([-radius], [radius]), ((half_space,),)))

    zero = Network.from_arrays([[[1.0], [-1.0], [2.0], [-2.0]], [[2.0, -2.0, -1.0, 1.0]]], [[0.0] * 4, [0.0]])
    assert ask(zero, HalfSpace((F(0), F(-1)), F(-1, 10**8))) is None
    assert ask(zero, HalfSpace((F(0), F(1)), F(0))) is not None
    assert ask(zero, HalfSpace((F(0), F(1)), F(0), strict=True)) is None
    absolute = Network((Layer(Matrix.identity(1), Matrix.zeros(1, 1), Matrix.column([-1])),))
    assert ask(absolute, HalfSpace((F(0), F(1)), F(0))) == (F(0),)
    assert ask(absolute, HalfSpace((F(0), F(1)), F(0), strict=True)) is None


def test_unbounded_inputs_are_decided_as_such() -> None:
    network = Network.from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    above = HalfSpace((F(0), F(-1)), F(-10**9))
    for box in (Box.whole_space(1), Box((F(0),), (None,)), Box((None,), (F(-3),))):
        assert decide(Query(network, box, ((above,),))) is not None
        assert decide(Query(network, box, ((HalfSpace((F(0), F(1)), F(0), strict=True),),))) is None
        with pytest.raises(ValueError, match="bounded"):
            output_range(network, box, (F(1),))


def test_empty_disjuncts_and_no_disjuncts() -> None:
    network, box = Network((Layer.identity(1),)), Box.from_bounds([0], [1])
    assert decide(Query(network, box, ((),))) is not None
    assert decide(Query(network, box, ())) is None


def naive(query: Query) -> bool:
    """Every sign of every unit, closed, no pruning: one linear program each, with the slack of the strict rows."""
    network, box = query.network, query.domain
    width = box.dimension
    domain = [[-lo, *unit_row(width, i)] for i, lo in enumerate(box.lower) if lo is not None]
    domain += [[hi, *(-v for v in unit_row(width, i))] for i, hi in enumerate(box.upper) if hi is not None]
    for signs in itertools.product((1, -1), repeat=sum(layer.units for layer in network.layers)):
        left = iter(signs)
        rows = [[*r, F(0)] for r in domain]
        y = [[F(0), *unit_row(width, i)] for i in range(width)]  # constant first
        for layer in network.layers:
            z = [[sum((w * f[j] for w, f in zip(row, y, strict=True)), bias if j == 0 else F(0))
                  for j in range(width + 1)]
                 for row, (bias,) in zip(layer.weight.rows(), layer.bias.rows(), strict=True)]
            y = []
            for f, (slope,) in zip(z, layer.slope.rows(), strict=True):
                sign = next(left)
                rows.append([*(sign * v for v in f), F(0)])
                y.append([v if sign == 1 else slope * v for v in f])
        vector = [[F(0), *unit_row(width, i)] for i in range(width)] + y
        for disjunct in query.disjuncts:
            asked = [[(h.offset if j == 0 else F(0)) - sum(a * f[j] for a, f in zip(h.normal, vector, strict=True))
                      for j in range(width + 1)] + [F(-int(h.strict))] for h in disjunct]
            cap = [[F(1), *[F(0)] * width, F(-1)], [F(0)] * (width + 1) + [F(1)]]
            program = cdd.gmp.linprog_from_array([*rows, *asked, *cap], cdd.LPObjType.MAX)
            cdd.gmp.linprog_solve(program, cdd.LPSolverType.CRISS_CROSS)
            if program.status == cdd.LPStatusType.OPTIMAL and program.obj_value > 0:
                return True
    return False


@pytest.mark.parametrize("degenerate", [True, False])
def test_agrees_with_all_closed_patterns(degenerate: bool) -> None:
    answers = []
    for seed in itertools.count():
        query = random_query(random.Random(seed), degenerate)
        if sum(layer.units for layer in query.network.layers) <= 6:
            found = decide(query)
            assert (found is not None) == naive(query), seed
            answers.append(found is not None)
            if len(answers) == 120:
                break
    assert 30 < sum(answers) < 90


@given(touching_queries())
@settings(max_examples=60)
def test_touching_queries(touching: Touching) -> None:
    x = decide(touching.query)
    assert (x is not None) == touching.nonempty
    assert x is None or (satisfies(touching.query, x) and touching.query.satisfied_disjunct(x) == 0)


@pytest.mark.parametrize("seed", range(40))
def test_cells_cover_the_box_and_agree_with_evaluation(seed: int) -> None:
    rng = random.Random(seed)
    network = random_network(rng, degenerate=seed % 2 == 0)
    box = random_box(rng, network.inputs, degenerate=seed % 2 == 0)
    found = cells(network, box)
    free = [i for i in range(box.dimension) if box.lower[i] is None or box.lower[i] != box.upper[i]]
    assert len({c.pattern for c in found}) == len(found)
    for cell in found:
        inside = [*(cell.interior[i] for i in free), F(1)]
        assert all(dot(list(map(F, row)), inside) > 0 for row in cell.constraints)
        assert box.contains(cell.interior)
        signs = [tuple(s == 1 or z > 0 for z, (s,) in zip(zs, layer.slope.rows(), strict=True)) for zs, layer in
                 zip(network.pre_activations(cell.interior), network.layers, strict=True)]
        assert cell.pattern == tuple(signs)
    for _ in range(10):
        x = random_point(rng, box)
        u = [x[i] for i in free]
        around = [c for c in found if all(dot(list(map(F, row)), [*u, F(1)]) >= 0 for row in c.constraints)]
        assert around
        for cell in around:
            value = tuple(sum((w * v for w, v in zip(row, u, strict=True)), constant)
                          for row, constant in zip(cell.weight, cell.constant, strict=True))
            assert value == evaluate(network, x)


@pytest.mark.parametrize("seed", range(20))
def test_the_range_bounds_every_value_and_is_attained(seed: int) -> None:
    rng = random.Random(seed)
    network = random_network(rng, degenerate=seed % 2 == 0, outputs=1)
    box = random_box(rng, network.inputs, degenerate=seed % 2 == 0, bounded=True)
    low, high = output_range(network, box, (F(1),))
    assert all(low <= evaluate(network, random_point(rng, box))[0] <= high for _ in range(20))
    zero = (F(0),) * network.inputs
    for normal, offset in ((F(1), low), (F(-1), -high)):
        attained = Query(network, box, ((HalfSpace((*zero, normal), offset),),))
        exceeded = Query(network, box, ((HalfSpace((*zero, normal), offset, strict=True),),))
        assert decide(attained) is not None
        assert decide(exceeded) is None
