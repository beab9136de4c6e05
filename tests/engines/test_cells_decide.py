"""Safety by cells, proofs without margins, and the work units below both."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import reference
from tests.engines.test_propagate import TABLE, cube, modular
from tests.engines.test_reach import images
from tests.strategies import random_query, random_touching
from verifier.api import verify
from verifier.engines import branch_and_bound, cell_safety, cell_units, subtrees
from verifier.engines.at_once import prove_at_once
from verifier.engines.cell_points import PartsOf, PointsOf, _filter, point_in
from verifier.engines.cell_safety import search_by_cells
from verifier.engines.cell_units import Batch, Harvest
from verifier.engines.propagate import Region, count_cells
from verifier.engines.reach import map_cells
from verifier.engines.subtrees import SearchResult, search
from verifier.kernel.certificate import unpack
from verifier.kernel.checker import NoPoint, PointIn, check_no_point, check_point
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix
from verifier.properties.safety import Outcome
from verifier.sets import output_range

ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])


def query_of(seed: int) -> Query:
    """Touching ones, unbounded ones, several disjuncts, rows on inputs and outputs, strict and not."""
    rng = random.Random(seed)
    return random_touching(rng, bool(seed % 2)).query if seed % 4 == 0 else random_query(rng, bool(seed % 2))


def require_right(query: Query, found: SearchResult, exact: bool) -> None:
    truth = reference.decide(query)
    if truth is not None:
        assert found.point is not None
        check_point(PointIn(query, found.point))
    else:
        assert found.finished
        check_no_point(NoPoint(query), map(unpack, found.blocks), exact)


class Pickling:
    """Runs units as another process would: from their bytes, and in another order than asked."""

    def __init__(self) -> None:
        self.units = 0

    def map(self, function: Callable[[Any], Any], iterable: Iterable[Any], /) -> Iterator[Any]:
        units = [pickle.dumps(unit) for unit in iterable]
        self.units += len(units)
        done = {k: pickle.dumps(function(pickle.loads(units[k]))) for k in reversed(range(len(units)))}
        return (pickle.loads(done[k]) for k in range(len(units)))


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_units, "FIRST_BUDGET", 1)
    monkeypatch.setattr(cell_units, "UNIT_BUDGET", 2_000)
    monkeypatch.setattr(cell_units, "STEP", 200)


@pytest.mark.parametrize("block", range(2))
def test_cells_agree_with_brute_force(block: int) -> None:
    for seed in range(25 * block, 25 * block + 25):
        query = query_of(seed)
        require_right(query, search_by_cells(query), exact=seed % 5 == 0)


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bounded query is begun anew by units at once."""
    monkeypatch.setattr(branch_and_bound, "FEW_PHASES", -1)
    monkeypatch.setattr(subtrees, "COMPILE_AFTER", 0)
    monkeypatch.setattr(subtrees, "TRIAL_BUDGET", 0)
    monkeypatch.setattr(subtrees, "prove_at_once", lambda _query: None)


@pytest.mark.usefixtures("walked")
def test_walks_agree_with_brute_force() -> None:
    for seed in range(1000, 1030):
        query = query_of(seed)
        require_right(query, search(query), exact=seed % 5 == 0)


@pytest.mark.usefixtures("walked")
def test_a_clipped_output_is_bounded_by_two_units() -> None:
    """0 <= relu(f) - relu(f - 1) <= 1, attained wherever f is not between, on many cells: a few branches suffice."""
    network = clipped(modular((2, 8, 8, 1), 7))
    for sign, bound in ((1, 1), (-1, 0)):
        better = Query(network, cube(2), ((HalfSpace((F(0), F(0), F(-sign)), F(-sign * bound), strict=True),),))
        found = search(better)
        assert found.finished
        assert found.effort.boxes <= 10
        check_no_point(NoPoint(better), map(unpack, found.blocks), exact=True)
    (told,) = output_range(network, cube(2))
    assert (told.minimum.value, told.maximum.value) == (F(1, 8), 1)


@pytest.mark.parametrize("widths", [(5, 10, 10, 1), (8, 12, 12, 1), (3, 24, 24, 1)])
def test_plateaus_are_decided_in_any_dimension(widths: tuple[int, ...]) -> None:
    """y > max of a clipped output holds with margin zero on a set of full dimension; y >= max does not hold."""
    network = clipped(gaussian(widths))
    for strict in (True, False):
        row = (*(F(0) for _ in range(widths[0])), F(-1))
        found = search(Query(network, cube(widths[0]), ((HalfSpace(row, F(-1), strict),),)))
        assert found.finished == strict
        assert (found.point is None) == strict
        assert found.effort.work < 1_000_000_000


def test_exact_maxima_of_plateaus_are_proved() -> None:
    network = clipped(gaussian((5, 10, 10, 1)))
    (told,) = output_range(network, cube(5))
    assert (told.minimum.value, told.maximum.value) == (0, 1)


def gaussian(widths: tuple[int, ...]) -> Network:
    """A network with float32 weights; a clip of it to [0, 1] is constant on sets of full dimension."""
    generator = np.random.default_rng(sum(widths))
    shapes = list(zip(widths[1:], widths, strict=False))
    weights = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    biases = [generator.normal(size=m).astype(np.float32) for m, _ in shapes]
    return Network.from_arrays(weights=weights, biases=biases)


@pytest.mark.parametrize("small", [True, False])
def test_a_proof_without_margin_does_not_depend_on_who_ran_the_units(monkeypatch: pytest.MonkeyPatch,
                                                                     small: bool) -> None:
    """Whether the walk is dealt out, or bisection after an attempt by units that was given up."""
    query, unit = (written_twice(7, 3), 20_000_000) if small else (above_maximum(gaussian((5, 10, 10, 1))), 500_000)
    for name, budget in (("COMPILE_AFTER", 1), ("TRIAL_BUDGET", 1), ("WALK_BUDGET", 1), ("FIRST_BUDGET", 1),
                         ("UNIT_BUDGET", unit)):
        monkeypatch.setattr(subtrees, name, budget)
    executor = Pickling()
    alone, shared = search(query), search(query, executor=executor)
    assert alone.finished
    assert executor.units > 4
    assert alone.blocks == shared.blocks
    check_no_point(NoPoint(query), map(unpack, alone.blocks))


def above_maximum(network: Network) -> Query:
    """``y > max``: no point, and no margin."""
    domain = cube(network.inputs)
    (told,) = output_range(network, domain)
    row = (*(F(0) for _ in range(network.inputs)), F(-1))
    return Query(network, domain, ((HalfSpace(row, -told.maximum.value, strict=True),),))


@pytest.mark.parametrize(("pairs", "inputs"), [(6, 3), (6, 5)])
def test_functions_that_are_zero_are_decided(pairs: int, inputs: int) -> None:
    query = written_twice(pairs, inputs)
    found = search(query)
    assert found.finished
    assert found.effort.work < 1_500_000_000
    check_no_point(NoPoint(query), map(unpack, found.blocks))


def written_twice(pairs: int, inputs: int) -> Query:
    """``sum a (k relu(z) - relu(k z)) > 0``: zero, with no two units alike."""
    rng = random.Random(pairs + 10 * inputs)
    rows, output = [], []
    for _ in range(pairs):
        row = [F(rng.randint(-8, 8), 4) for _ in range(inputs + 1)]
        factor, sign = rng.choice((2, 3, F(1, 2))), rng.choice((1, -1, 2))
        rows += [row, [factor * v for v in row]]
        output += [sign * factor, -sign]
    network = Network((Layer.relu(Matrix.from_rationals([r[:-1] for r in rows]), Matrix.column([r[-1] for r in rows])),
                       Layer.affine(Matrix.from_rationals([output]), Matrix.column([0]))))
    return Query(network, cube(inputs), ((HalfSpace((F(0),) * inputs + (F(-1),), F(0), strict=True),),))


def clipped(network: Network) -> Network:
    """The network with one output, as a clip to [0, 1]."""
    *hidden, last = network.layers
    rows = Matrix.from_rationals([*last.weight.rows()] * 2)
    ((bias,),) = last.bias.rows()
    return Network((*hidden, Layer.relu(rows, Matrix.column([bias, bias - 1])),
                    Layer.affine(Matrix.from_rationals([[1, -1]]), Matrix.column([0]))))


def test_what_the_last_activations_bound_is_proved_at_once() -> None:
    negative = HalfSpace((F(0), F(1)), F(0), strict=True)
    below = HalfSpace((F(0), F(1)), F(-1))
    query = Query(ABSOLUTE, Box.whole_space(1), ((negative,), (HalfSpace((F(1), F(0)), F(3)), below)))
    block = prove_at_once(query)
    assert block is not None
    assert len(block.exact_leaves) == 2
    check_no_point(NoPoint(query), [block], exact=True)
    touching = Query(ABSOLUTE, Box.whole_space(1), ((HalfSpace(negative.normal, F(0)),),))
    assert prove_at_once(touching) is None


def test_what_is_bounded_at_once_ends_however_many_cells_there_are() -> None:
    """A sum of 60 absolute values on R^3 is never negative; a walk of its cells would take thousands of branches."""
    generator = np.random.default_rng(0)
    half = generator.integers(-8, 9, size=(60, 3))
    network = Network.from_arrays(weights=[np.concatenate([half, -half]), np.ones((1, 120))],
                                  biases=[np.zeros(120), np.zeros(1)])
    query = Query(network, Box.whole_space(3), ((HalfSpace((F(0), F(0), F(0), F(1)), F(0), strict=True),),))
    found = search(query)
    assert found.finished
    assert found.effort.boxes < 300
    check_no_point(NoPoint(query), map(unpack, found.blocks), exact=True)


def test_the_filter_leaves_out_nothing_that_has_a_point() -> None:
    left_out = 0
    for seed in range(3000, 3060):
        query = query_of(seed)
        if not query.domain.is_bounded or not query.disjuncts:
            continue

        def compare(batch: Batch, query: Query = query, seed: int = seed) -> tuple[list[int], int]:
            if batch.propagation.chart.dimension == 0:
                return [], 0
            possible = _filter(query, batch.propagation).possible(batch.found)
            for cell, row in zip(batch.cells(), possible, strict=True):
                for disjunct in np.flatnonzero(~row).tolist():
                    assert point_in(cell, query, disjunct) is None, seed
            return [int((~possible).sum())], 0

        left_out += sum(Harvest(Region(query.network, query.domain), compare, "vertices"))
    assert left_out > 100


def test_the_filter_decides_most_cells() -> None:
    network = modular((2, 8, 8, 2), 7)
    query = Query(network, cube(2), ((HalfSpace((F(0), F(0), F(-1), F(0)), F(-71)),),))  # the maximum is 72
    possible = list(Harvest(Region(network, cube(2)), _Possible(query)))
    assert sum(cells for cells, _ in possible) == 106
    assert 1 <= sum(left for _, left in possible) <= 6


class _Possible:
    def __init__(self, query: Query) -> None:
        self.query = query

    def __call__(self, batch: Batch) -> tuple[list[tuple[int, int]], int]:
        return [(len(batch), int(_filter(self.query, batch.propagation).possible(batch.found).sum()))], 0


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("representation", ["vertices", "lp"])
def test_units_give_the_same_results_wherever_they_run(representation: Any) -> None:
    network = modular((2, 5, 5, 5, 1), 7)
    region = Region(network, cube(2))
    alone = images(region, representation)
    executor = Pickling()
    harvest = Harvest(region, map_cells, representation, executor=executor)
    assert sum(1 for _ in harvest) > 0
    assert executor.units > 10
    assert (harvest.cells, harvest.finished) == (73, True) == (len(alone), True)
    shared = images(region, representation, Pickling())
    assert [(c.pattern, c.graph) for c in shared] == [(c.pattern, c.graph) for c in alone]
    assert len({c.pattern for c in alone}) == 73


@pytest.mark.usefixtures("small_units")
def test_a_certificate_does_not_depend_on_who_ran_the_units() -> None:
    network = modular((2, 8, 8, 2), 7)
    for offset, point in ((F(-73), False), (F(-70), True)):
        query = Query(network, cube(2), ((HalfSpace((F(0), F(0), F(-1), F(0)), offset),),))
        alone, shared = search_by_cells(query), search_by_cells(query, executor=Pickling())
        assert (alone.blocks, alone.point, alone.finished) == (shared.blocks, shared.point, shared.finished)
        assert (alone.point is not None) == point


def test_time_that_is_over_is_unknown() -> None:
    query = query_of(3)
    harvest = Harvest(Region(query.network, query.domain), PointsOf(query), deadline=0.0)
    assert (list(harvest), harvest.finished) == ([], False)
    found = search_by_cells(query, deadline=0.0)
    assert (found.point, found.finished) == (None, False)
    assert verify(query.network, [query], engine="propagate", timeout=1e-9).outcome is Outcome.UNKNOWN


def test_engines_that_contradict_each_other_stop_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    query = Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(0), strict=True),),))
    lie = SearchResult((), False, (F(0),), search(query).effort)
    monkeypatch.setattr(cell_safety, "search", lambda _query, **_options: lie)
    with pytest.raises(AssertionError, match="whose cells have none"):
        search_by_cells(query)


def test_parts_are_where_points_are() -> None:
    for seed in range(4000, 4030):
        query = query_of(seed)
        region = Region(query.network, query.domain)
        points = [(found.signs, found.disjunct, found.x) for found in Harvest(region, PointsOf(query))]
        parts = {(part.signs, part.disjunct): part.region for part in Harvest(region, PartsOf(query))}
        assert set(parts) == {(signs, disjunct) for signs, disjunct, _ in points}
        for signs, disjunct, x in points:
            assert parts[signs, disjunct].contains(x)
            assert query.satisfied_disjunct(x) is not None


@pytest.mark.parametrize(("widths", "p", "radius", "ranges"), [(t[0], t[1], t[2], t[-1]) for t in TABLE if t[-1]])
def test_exact_ends_of_ranges_are_the_thresholds(widths: Any, p: int, radius: int, ranges: Any) -> None:
    network = modular(widths, p)
    zeros = (F(0),) * network.inputs
    for j, (low, high) in enumerate(ranges):
        for sign, end in ((1, low), (-1, high)):
            normal = (*zeros, *(F(sign * (i == j)) for i in range(network.outputs)))
            outcomes = [verify(network, [Query(network, cube(2, radius), ((HalfSpace(normal, sign * end, strict),),))],
                               engine="propagate").outcome for strict in (False, True)]
            assert outcomes == [Outcome.VIOLATED, Outcome.HOLDS]


def test_more_inputs_than_vertices_allow() -> None:
    wide = Network.from_arrays([[[1.0] + [0.5] * 11], [[1.0]]], [[0.25], [0.0]])
    assert count_cells(wide, cube(12)) == 2
    query = Query(wide, cube(12), ((HalfSpace((*(F(0),) * 12, F(-1)), F(-27, 4), strict=True),),))
    require_right(query, search_by_cells(query), exact=True)


@pytest.mark.skipif("VERIFIER_DATA" not in os.environ, reason="needs the public benchmark families")
@pytest.mark.parametrize(("family", "properties", "every"), [("acasxu", ("prop_3", "prop_4"), 44),
                                                             ("rl_benchmarks", (), 75)])
def test_engines_agree_on_public_instances(family: str, properties: tuple[str, ...], every: int) -> None:
    from benchmarks.engines import verdicts
    from verifier.suite import read_instances

    instances = [i for i in read_instances(Path(os.environ["VERIFIER_DATA"]) / family)
                 if not properties or Path(i.property).name.split(".")[0] in properties][::every]
    compared = 0
    for instance in instances:
        said, _ = verdicts(instance, seconds=5, brute=2)
        assert len(set(said.values())) == 1, (instance, said)
        compared += len(said) > 1
    assert compared >= 1
