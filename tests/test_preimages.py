"""All counterexamples and preimages: membership by the definition, shares that must add up, and degenerate sets."""

from __future__ import annotations

import random
from fractions import Fraction as F

import pytest

from tests import reference
from tests.engines.test_cells_decide import query_of
from tests.engines.test_propagate import cube, modular
from tests.strategies import random_box, random_network, random_point
from verifier import counterexamples, preimage, reach
from verifier.formats.errors import InputError
from verifier.formats.vnnlib import parse_property
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query

ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])


def closed(query: Query) -> Query:
    return Query(query.network, query.domain, tuple(tuple(HalfSpace(h.normal, h.offset) for h in disjunct)
                                                    for disjunct in query.disjuncts))


def test_membership_is_violation() -> None:
    """Whatever violates is in the set, and the set violates, if not strictly; parts touch what violates strictly."""
    strict = 0
    for seed in range(60):
        query = query_of(seed)
        found = counterexamples(query.network, [query])
        assert found.finished
        assert found.union.is_empty() == (reference.decide(query) is None)
        weak = closed(query)
        rng = random.Random(seed)
        for x in [random_point(rng, query.domain) for _ in range(10)]:
            if reference.satisfies(query, x):
                assert found.union.contains(x)
            if found.union.contains(x):
                assert reference.satisfies(weak, x)
        for part in found.union.parts:
            x = part.interior_point()
            assert reference.satisfies(weak, x)
            strict += reference.satisfies(query, x)
            assert all(reference.satisfies(weak, v) for v in part.vertices())
    assert strict > 50


@pytest.mark.parametrize("seed", range(12))
def test_shares_of_a_set_and_of_the_rest_are_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    network = random_network(rng, seed % 3 > 0, inputs=rng.choice((1, 2, 3)), outputs=1)
    box = random_box(rng, network.inputs, True, bounded=True)  # flat ones among them
    threshold = network.evaluate(random_point(rng, box))[0]
    normal = (*(F(0),) * network.inputs, F(1))
    below, above, on = ([Query(network, box, (rows,))] for rows in (
        (HalfSpace(normal, threshold),), (HalfSpace(tuple(-v for v in normal), -threshold),),
        (HalfSpace(normal, threshold), HalfSpace(tuple(-v for v in normal), -threshold))))
    shares = [counterexamples(network, queries).share() for queries in (below, above, on)]
    assert all(share is not None and 0 <= share <= 1 for share in shares)
    assert shares[0] + shares[1] == 1 + shares[2]
    strictly = [Query(network, box, ((HalfSpace(normal, threshold, strict=True),),))]
    assert counterexamples(network, strictly).share() == shares[0] - shares[2]
    both = [Query(network, box, (below[0].disjuncts[0], above[0].disjuncts[0]))]
    assert counterexamples(network, both).share() == 1


def test_the_preimage_of_the_image_is_the_domain() -> None:
    network = modular((2, 4, 2), 11)
    whole = preimage(network, cube(2), reach(network, cube(2)).union)
    assert whole.share() == 1
    assert whole.union.includes(Polyhedron.from_box(cube(2)))
    target = Polyhedron.from_box(Box.from_bounds([0, 0], [8, 8]))
    found = preimage(network, cube(2), target)
    image = reach(network, [Query(network, cube(2), ((),))]).union.intersection(target)
    seen = [network.evaluate(v) for part in found.union.parts for v in part.vertices()]
    assert all(target.contains(y) for y in seen)
    assert image.includes(UnionOfPolyhedra.of(*(Polyhedron.from_points([y]) for y in seen)))
    hidden = preimage(network, cube(2), Polyhedron.from_box(Box.whole_space(4)), layers=1)
    assert hidden.share() == 1


def test_touching_sets_are_parts_once() -> None:
    touches = Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(0)),),))
    found = counterexamples(ABSOLUTE, [touches])
    assert [part.vertices() for part in found.union.parts] == [((F(0),),)]
    assert found.share() == 0
    strict = Query(ABSOLUTE, cube(1), ((HalfSpace((F(0), F(1)), F(0), strict=True),),))
    assert counterexamples(ABSOLUTE, [strict]).union.parts == ()


def test_domains_of_several_boxes_count_once() -> None:
    low = HalfSpace((F(0), F(1)), F(1, 2))
    boxes = [Query(ABSOLUTE, Box.from_bounds([a], [b]), ((low,),)) for a, b in ((-1, 0), (F(-1, 2), 1), (0, 0))]
    found = counterexamples(ABSOLUTE, boxes)
    assert found.share() == F(1, 2)
    plane = Network.from_arrays([[[1, 1], [1, 1]], [[1, 0]]], [[0, 0], [0]])
    rows = ((HalfSpace((F(0), F(0), F(1)), F(1)),),)  # relu(x + y) <= 1
    flat = [Query(plane, Box.from_bounds([0, h], [2, h]), rows) for h in (0, 1)]
    assert counterexamples(plane, flat).share() == F(1, 4)
    crossing = [flat[0], Query(plane, Box.from_bounds([0, 0], [0, 2]), rows)]
    with pytest.raises(ValueError, match="different directions"):
        counterexamples(plane, crossing).share()
    point = Query(plane, Box.from_bounds([1, 0], [1, 0]), rows)
    assert counterexamples(plane, [point]).share() == 1


def test_input_constraints_belong_to_the_domain() -> None:
    prop = parse_property("(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"
                          "(assert (>= X_0 0))(assert (>= X_1 0))(assert (<= (+ X_0 X_1) 1))(assert (<= Y_0 1/2))"
                          .replace("1/2", "0.5"))
    network = Network.from_arrays([[[1, 0]], [[1]]], [[0], [0]])
    found = counterexamples(network, prop)
    assert found.share() == F(3, 4)
    assert found.union.contains((F(1, 4), F(3, 4)))
    assert not found.union.contains((F(1, 4), F(1)))


def test_what_has_no_share() -> None:
    half = [Query(ABSOLUTE, Box((F(0),), (None,)), ((HalfSpace((F(0), F(1)), F(1)),),))]
    found = counterexamples(ABSOLUTE, half)
    assert [part.vertices() for part in found.union.parts] == [((F(1),), (F(0),))] or found.union.volume() == 1
    with pytest.raises(ValueError, match="unbounded set"):
        found.share()
    wide = Network.from_arrays([[[1] * 6], [[1]]], [[0], [0]])
    with pytest.raises(ValueError, match="0 to 5 dimensions"):
        counterexamples(wide, [Query(wide, cube(6), ((HalfSpace((*(F(0),) * 6, F(-1)), F(-6)),),))]).share()
    assert counterexamples(ABSOLUTE, half, timeout=1e-9).finished is False
    bounded = counterexamples(ABSOLUTE, [Query(ABSOLUTE, cube(1), half[0].disjuncts)])
    assert bounded.share() == 1
    assert bounded.share(timeout=0.0) is None


def test_wrong_use() -> None:
    other = Network.from_arrays([[[2]]], [[0]])
    with pytest.raises(InputError, match="another network"):
        counterexamples(ABSOLUTE, [Query(other, cube(1), ())])
    with pytest.raises(InputError, match="dimension 1, as the outputs have"):
        preimage(ABSOLUTE, cube(1), Polyhedron.from_box(cube(2)))
    with pytest.raises(InputError, match="a layer from 1 to 2"):
        preimage(ABSOLUTE, cube(1), Polyhedron.from_box(cube(1)), layers=3)
