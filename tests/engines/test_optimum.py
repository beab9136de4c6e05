"""Exact ranges against brute force, against derived numbers, and against each other."""

from __future__ import annotations

import random
from fractions import Fraction
from fractions import Fraction as F

import numpy as np
import pytest

from tests import reference
from tests.engines.test_propagate import TABLE, cube, modular
from tests.strategies import random_box, random_network
from verifier.engines import optimum
from verifier.engines.attack import climb
from verifier.kernel.bounds import FloatBounds
from verifier.kernel.certificate import unpack
from verifier.kernel.checker import NoPoint, check_no_point
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, dot
from verifier.properties.output_range import Kind, better_than, conclude_unbounded, derivative_along
from verifier.sets import output_range

ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])


@pytest.mark.parametrize("seed", range(100))
def test_ranges_equal_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    degenerate = seed % 4 != 1  # the others cost more and say less
    network = random_network(rng, degenerate, inputs=rng.choice((1, 2, 2, 2, 3)))
    box = random_box(rng, network.inputs, degenerate, bounded=True)
    row = [Fraction(rng.randint(-2, 2)) for _ in range(network.outputs)]
    objective = (F(0),) * network.inputs + tuple(row)
    low, high = reference.output_range(network, box, row)
    for sign, expected in ((1, high), (-1, -low)):
        signed = tuple(sign * c for c in objective)
        found = optimum.maximise(network, box, (), signed, seed=seed)
        assert isinstance(found, optimum.Maximum)
        assert found.value == expected
        assert box.contains(found.x)
        assert dot(signed, found.x + network.evaluate(found.x)) == expected
        query = better_than(Query(network, box, ((),)), signed, found.value)
        check_no_point(NoPoint(query), map(unpack, found.blocks), exact=seed % 3 == 0)
    text = " ".join(f"{'-' if c < 0 else '+'} {abs(c)}*Y_{j}" for j, c in enumerate(row))
    engine = ("branch", "propagate")[seed // 2 % 2]
    (told,) = output_range(network, box, [text], engine=engine)
    assert (told.minimum.value, told.maximum.value) == (low, high)


@pytest.mark.parametrize(("widths", "p", "radius", "ranges"), [(t[0], t[1], t[2], t[-1]) for t in TABLE if t[-1]])
@pytest.mark.parametrize("engine", ["branch", "propagate"])
def test_table_of_small_networks(widths, p, radius, ranges, engine):
    found = output_range(modular(widths, p), cube(2, radius), engine=engine)
    assert [(r.minimum.value, r.maximum.value) for r in found] == ranges
    assert all(end.kind is Kind.ATTAINED and end.boxes for r in found for end in (r.minimum, r.maximum))


@pytest.mark.parametrize("seed", range(16))
def test_unbounded_domains_have_an_optimum_or_a_ray(seed: int) -> None:
    """A value is compared with those on a box, a ray is followed."""
    rng = random.Random(seed)
    network = random_network(rng, True, inputs=rng.choice((1, 2)), outputs=1)
    (found,) = output_range(network, Box.whole_space(network.inputs))
    for end, sign in ((found.minimum, -1), (found.maximum, 1)):
        if end.kind is Kind.ATTAINED:
            low, high = reference.output_range(network, cube(network.inputs, 9), [F(1)])
            assert sign * end.value >= sign * (low if sign < 0 else high)
        if end.kind is Kind.UNBOUNDED:
            values = [sign * network.evaluate([v + t * d for v, d in zip(end.x, end.ray, strict=True)])[0]
                      for t in (0, 1, 10, 1000)]
            assert values[1] - values[0] > 0
            assert values[2] - values[0] == 10 * (values[1] - values[0])
            assert values[3] - values[0] == 1000 * (values[1] - values[0])
        else:
            assert end.kind is Kind.ATTAINED
            assert network.evaluate(end.x) == (end.value,)


def test_constraints_and_an_empty_domain() -> None:
    rows = (HalfSpace((F(-1), F(0)), F(-3, 10)),)  # x >= 3/10
    found = optimum.maximise(ABSOLUTE, cube(1), rows, (F(0), F(-1)))
    assert isinstance(found, optimum.Maximum)
    assert (found.value, found.x) == (F(-3, 10), (F(3, 10),))
    empty = (*rows, HalfSpace((F(1), F(0)), F(1, 5)))
    nothing = optimum.maximise(ABSOLUTE, cube(1), empty, (F(0), F(1)))
    assert isinstance(nothing, optimum.EmptyDomain)
    domain = Query(ABSOLUTE, cube(1), (empty,))
    check_no_point(NoPoint(domain), map(unpack, nothing.blocks))
    for engine in ("branch", "propagate"):
        (told,) = output_range(ABSOLUTE, [domain], engine=engine)
        assert (told.minimum.kind, told.maximum.kind) == (Kind.EMPTY, Kind.EMPTY)
        (told,) = output_range(ABSOLUTE, [domain, Query(ABSOLUTE, cube(1), (rows,)),
                                          Query(ABSOLUTE, cube(1, F(2, 5)), ((),))], engine=engine)
        assert (told.minimum.value, told.maximum.value) == (0, 1)


def test_time_that_is_over_is_unknown() -> None:
    network = modular((2, 8, 8, 2), 7)
    found = output_range(network, cube(2), timeout=1e-9)
    assert all(end.kind is Kind.UNKNOWN and end.reason and network.evaluate(end.x) == end.y
               for r in found for end in (r.minimum, r.maximum))
    assert not any(r.is_decided for r in found)


def test_a_wrong_optimum_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that stops too early, with the proof of something else."""
    right = optimum.maximise(ABSOLUTE, cube(1), (), (F(0), F(1)))
    assert isinstance(right, optimum.Maximum)
    liar = optimum.Maximum(F(1, 2), (F(1, 2),), right.blocks)
    monkeypatch.setattr(optimum, "maximise", lambda *_arguments, **_options: liar)
    (found,) = output_range(ABSOLUTE, cube(1))
    assert found.maximum.kind is Kind.UNKNOWN
    assert "not accepted" in found.maximum.reason
    monkeypatch.setattr(optimum, "maximise",
                        lambda *_arguments, **_options: optimum.NoMaximum((F(0),), (F(1),)))
    with pytest.raises(ValueError, match="stays in the domain"):
        output_range(ABSOLUTE, cube(1))


@pytest.mark.parametrize(("x", "ray", "message"), [
    (-1, 1, "not affine"), (1, 0, "does not grow"), (-9, -1, "starts at"), (1, -1, "not affine")])
def test_rays_that_are_none(x: int, ray: int, message: str) -> None:
    domain = Query(ABSOLUTE, Box.whole_space(1), ((HalfSpace((F(-1), F(0)), F(5)),),) if x == -9 else ((),))
    with pytest.raises(ValueError, match=message):
        conclude_unbounded(domain, (F(0), F(1)), (F(x),), (F(ray),))


def test_derivatives_know_slopes() -> None:
    leaky = Network((Layer(Matrix.from_rationals([[1], [1]]), Matrix.column([0, 0]), Matrix.column([F(1, 4), 1])),
                     Layer.affine(Matrix.from_rationals([[1, 1]]), Matrix.column([7]))))
    assert derivative_along(leaky, (F(-1),), (F(-1),)) == (F(-5, 4),)
    assert derivative_along(leaky, (F(0),), (F(1),)) == (2,)
    assert derivative_along(leaky, (F(-1),), (F(1),)) is None


@pytest.mark.parametrize(("lower", "upper"), [(F(-1), F(10**400)), (F(-(10**400)), F(10**400)),
                                              (F(10**399), F(10**400))])
def test_bounds_beyond_floats(lower: Fraction, upper: Fraction) -> None:
    (found,) = output_range(ABSOLUTE, Box((lower,), (upper,)))
    assert found.maximum.value == upper
    assert found.minimum.value == max(lower, F(0))


def test_climbs_gain_on_the_points_that_they_begin_at():
    """Without a value that is enough they go on as long as something is gained."""
    network, box = modular((3, 12, 12, 1), 5), cube(3)
    objective = (F(0), F(0), F(0), F(1))
    bounds = FloatBounds(better_than(Query(network, box, ((),)), objective, F(0)))
    lo, hi = box.outward_floats()
    gained = 0
    for start in lo + (hi - lo) * np.random.default_rng(1).random((8, 3)):
        x, value = climb(bounds, start, lo, hi, enough=-np.inf)
        before, after = (-float(network.evaluate([F(v) for v in point.tolist()])[0]) for point in (start, x))
        assert after == pytest.approx(value)
        assert after <= before
        gained += after < before
    assert gained >= 6
