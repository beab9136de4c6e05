"""Numbers beyond binary64: floats prove nothing about them, wrong things least of all; exact arithmetic does."""

from __future__ import annotations

import io
import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from verifier.api import check, verify
from verifier.kernel.bounds import FloatBounds, Slopes
from verifier.kernel.branches import Branches
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix
from verifier.properties.safety import Outcome

HUGE = Fraction(10) ** 400
NUMBERS = [HUGE, -HUGE / 3, 1 / HUGE, Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 3)]


def network(rng: random.Random) -> Network:
    """Two units that are added; one layer's numbers at least are beyond floats."""
    weight, bias, slope = ([rng.choice(NUMBERS) for _ in range(2)] for _ in range(3))
    rng.choice((weight, bias))[rng.randrange(2)] = rng.choice((HUGE, -HUGE))
    return Network((Layer(Matrix.column(weight), Matrix.column(bias), Matrix.column(slope)),
                    Layer(Matrix.from_rationals([[1, 1]]), Matrix.column([0]), Matrix.column([1]))))


def query(net: Network, sign: int, offset: Fraction) -> Query:
    return Query(net, Box.from_bounds([-1], [1]), ((HalfSpace((Fraction(0), Fraction(sign)), offset, strict=True),),))


@pytest.mark.parametrize("compiled", [False, True])
def test_floats_prove_nothing_wrong(compiled: bool) -> None:
    if compiled:
        import verifier.kernel.compiled  # noqa: F401
    rng = random.Random(3)
    for _ in range(60):
        net = network(rng)
        question = query(net, rng.choice((1, -1)), rng.choice(NUMBERS))
        bounds = FloatBounds(question)
        bounds.compiled = compiled
        root = Branches.root(question)
        zero, one = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
        bounds.calibrate(root)
        slopes = [Slopes(np.ones((1, layer.units)), np.zeros((1, layer.units))) for layer in net.layers]
        values = [net.evaluate([Fraction(x)])[0] for x in (-1, 0, 1, Fraction(1, 7))]
        for unit, sign in itertools.product((zero, one), (1.0, -1.0)):
            lower = bounds.unit_bounds(root, 0, zero, unit, np.array([sign]), slopes).lower[0]
            exact = [Fraction(sign) * net.pre_activations([Fraction(x)])[0][unit[0]] for x in (-1, 0, 1)]
            assert not lower > -np.inf or all(Fraction(lower) <= value for value in exact)
        bounds.calibrate(root)
        (half_space,) = question.disjuncts[0]
        if bounds.prove_rows(root, zero, zero, slopes)[0]:
            assert all(half_space.normal[1] * value >= half_space.offset for value in values)


def test_they_are_decided() -> None:
    rng = random.Random(5)
    outcomes = set()
    for _ in range(25):
        net = network(rng)
        question = query(net, rng.choice((1, -1)), rng.choice(NUMBERS))
        proof = io.BytesIO()
        verdict = verify(net, [question], certificate=proof)
        outcomes.add(verdict.outcome)
        violated = any(question.satisfied_disjunct([Fraction(x)]) is not None for x in (-1, 0, 1))
        assert verdict.outcome is Outcome.VIOLATED or not violated
        for exact in (False, True):
            assert check(io.BytesIO(proof.getvalue()), net, [question], exact=exact).outcome is verdict.outcome
    assert outcomes == {Outcome.HOLDS, Outcome.VIOLATED}
