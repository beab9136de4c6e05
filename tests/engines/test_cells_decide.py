"""Safety by cells, proofs along the cells, and the work units below both."""

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
from tests.strategies import random_query, random_touching
from verifier.api import verify
from verifier.engines import cell_safety, cell_units, small_proofs
from verifier.engines.cell_points import PartsOf, PointsOf, _filter, point_in
from verifier.engines.cell_proof import prove_along_cells, prove_at_once
from verifier.engines.cell_safety import search_by_cells
from verifier.engines.cell_units import Batch, Harvest
from verifier.engines.outside_in import prove_outside_in
from verifier.engines.propagate import Region, count_cells
from verifier.engines.reach import map_cells
from verifier.engines.subtrees import SearchResult
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


def test_proofs_along_the_cells_agree_with_brute_force() -> None:
    for seed in range(1000, 1012):
        query = query_of(seed)
        require_right(query, prove_along_cells(query), exact=seed % 5 == 0)


def test_proofs_from_the_outputs_inward_agree_with_brute_force() -> None:
    for seed in range(5000, 5030):
        query = query_of(seed)
        require_right(query, prove_outside_in(query), exact=seed % 5 == 0)


def test_a_clipped_output_is_bounded_by_two_units() -> None:
    """0 <= relu(f) - relu(f - 1) <= 1, attained wherever f is not between, on many cells: three branches suffice."""
    network = clipped(modular((2, 8, 8, 1), 7))
    for sign, bound in ((1, 1), (-1, 0)):
        better = Query(network, cube(2), ((HalfSpace((F(0), F(0), F(-sign)), F(-sign * bound), strict=True),),))
        found = prove_outside_in(better, most=3)
        assert found.finished
        assert (found.effort.boxes, found.effort.exact_leaves) == (3, 2)
        check_no_point(NoPoint(better), map(unpack, found.blocks))
    (told,) = output_range(network, cube(2))
    assert (told.minimum.value, told.maximum.value) == (F(1, 8), 1)


def clipped(network: Network) -> Network:
    """The network with one output, as a clip to [0, 1]."""
    *hidden, last = network.layers
    rows = Matrix.from_rationals([*last.weight.rows()] * 2)
    ((bias,),) = last.bias.rows()
    return Network((*hidden, Layer.relu(rows, Matrix.column([bias, bias - 1])),
                    Layer.affine(Matrix.from_rationals([[1, -1]]), Matrix.column([0]))))


def test_when_branch_and_bound_gives_up_the_proof_is_made_along_the_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_safety, "LINEAR_PROGRAM_WORK", 0)
    monkeypatch.setattr(small_proofs, "prove_at_once", lambda _query: None)
    monkeypatch.setattr(small_proofs, "OUTSIDE_IN_PHASES", -1)
    for seed in range(2000, 2012):
        require_right(query_of(seed), search_by_cells(query_of(seed)), exact=False)
    monkeypatch.setattr(cell_safety, "MOST_CELLS_PROVED", 0)
    for seed in range(2020, 2030):
        require_right(query_of(seed), search_by_cells(query_of(seed)), exact=False)


def test_what_the_last_activations_bound_is_proved_at_once() -> None:
    negative = HalfSpace((F(0), F(1)), F(0), strict=True)
    below = HalfSpace((F(0), F(1)), F(-1))
    query = Query(ABSOLUTE, Box.whole_space(1), ((negative,), (HalfSpace((F(1), F(0)), F(3)), below)))
    found = prove_at_once(query)
    assert found is not None
    assert (found.effort.boxes, found.effort.exact_leaves) == (1, 2)
    check_no_point(NoPoint(query), map(unpack, found.blocks), exact=True)
    touching = Query(ABSOLUTE, Box.whole_space(1), ((HalfSpace(negative.normal, F(0)),),))
    assert prove_at_once(touching) is None
    nothing = prove_at_once(Query(ABSOLUTE, cube(1), ()))
    assert nothing is not None
    assert nothing.blocks == ()


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
    alone = list(Harvest(region, map_cells, representation))
    executor = Pickling()
    harvest = Harvest(region, map_cells, representation, executor=executor)
    shared = list(harvest)
    assert executor.units > 10
    assert (harvest.cells, harvest.finished) == (73, True) == (len(alone), True)
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
    assert not prove_along_cells(query, deadline=0.0).finished
    assert not prove_along_cells(query, most=0).finished
    assert verify(query.network, [query], engine="propagate", timeout=1e-9).outcome is Outcome.UNKNOWN


def test_engines_that_contradict_each_other_stop_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    query = Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(0), strict=True),),))
    lie = SearchResult((), False, (F(0),), prove_along_cells(query).effort)
    monkeypatch.setattr(small_proofs, "prove_at_once", lambda _query: lie)
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
        said, _ = verdicts(instance, seconds=5.0, brute=2)
        assert len(set(said.values())) == 1, (instance, said)
        compared += len(said) > 1
    assert compared >= 1
