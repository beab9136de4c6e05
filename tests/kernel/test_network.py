"""Networks evaluate exactly, say what they are in a digest, and combine as functions."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import evaluate
from tests.strategies import networks, random_box, random_point
from verifier.kernel.network import Layer, Network, compose, pair
from verifier.kernel.rational import Matrix, Point

F = Fraction
seeds = st.integers(0, 2**20)


def points(network: Network, seed: int, count: int = 5) -> list[Point]:
    rng = random.Random(seed)
    box = random_box(rng, network.inputs, degenerate=True)
    return [random_point(rng, box) for _ in range(count)] + [(F(1, 3),) * network.inputs]


@given(networks(), seeds)
def test_evaluation_is_the_definition(network: Network, seed: int) -> None:
    for x in points(network, seed):
        assert network.evaluate(x) == evaluate(network, x)
        y = x
        for z, layer in zip(network.pre_activations(x), network.layers, strict=True):
            assert z == evaluate(Network((Layer.affine(layer.weight, layer.bias),)), y)
            y = evaluate(Network((layer,)), y)


@pytest.mark.parametrize(("slope", "at_minus_three"), [(0, 0), (1, -3), (F(1, 100), F(-3, 100)), (-1, 3), (2, -6)])
def test_slopes(slope: Fraction | int, at_minus_three: Fraction | int) -> None:
    layer = Layer(Matrix.identity(1), Matrix.zeros(1, 1), Matrix.column([slope]))
    network = Network((layer,))
    assert network.evaluate([F(-3)]) == (at_minus_three,)
    assert network.evaluate([F(3)]) == (3,)
    assert network.phases == layer.has_phase.sum() == (slope != 1)
    assert layer.slopes.tolist() == [float(slope)]


def test_from_arrays_is_a_perceptron_of_the_stored_floats() -> None:
    first, second = np.array([[0.1, -1.0]], dtype=np.float32), np.array([[2.0], [-0.5]], dtype=np.float32)
    network = Network.from_arrays([first, second], [[0.25], [0.0, 1.0]], slope=F(1, 100))
    tenth = F(13421773, 2**27)
    assert network.evaluate([F(10), F(0)]) == (2 * (10 * tenth + F(1, 4)), 1 - (10 * tenth + F(1, 4)) / 2)
    assert network.evaluate([F(0), F(1)]) == (F(-3, 200), 1 + F(3, 800))
    assert (network.inputs, network.outputs, network.phases) == (2, 2, 1)


def test_from_arrays_rounds_nothing() -> None:
    with pytest.raises(ValueError, match="would round"):
        Network.from_arrays([[[1.0]]], [[F(1, 3)]])
    with pytest.raises(ValueError, match="would round"):
        Network.from_arrays([np.array([[2**60 + 1]])], [[0.0]])


def test_numpy_integers_do_not_overflow() -> None:
    network = Network.from_arrays([[[4.0]]], [[0.0]])
    assert network.evaluate(np.array([2**62])) == (2**64,)


@given(networks())
def test_the_digest_sees_the_numbers_only(network: Network) -> None:
    rebuilt = Network(tuple(Layer(*(Matrix.from_rationals(m.rows(), m.shape[1])
                                    for m in (layer.weight, layer.bias, layer.slope))) for layer in network.layers))
    assert rebuilt == network
    assert rebuilt.digest == network.digest


@given(networks(), st.data())
@settings(max_examples=50)
def test_any_number_changes_the_digest(network: Network, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(network.layers) - 1))
    layer = network.layers[index]
    name = data.draw(st.sampled_from(("weight", "bias", "slope")))
    rows = [list(row) for row in getattr(layer, name).rows()]
    i, j = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(rows[0]) - 1))
    rows[i][j] += data.draw(st.sampled_from((F(1), F(-1, 3), F(1, 2**80), F(10) ** 400)))
    changed = dataclasses.replace(layer, **{name: Matrix.from_rationals(rows)})
    other = Network((*network.layers[:index], changed, *network.layers[index + 1:]))
    assert other != network
    assert other.digest != network.digest


def test_the_digest_sees_the_shape() -> None:
    layer = Layer.identity(2)
    networks = [Network((layer,)), Network((layer, layer)), Network((Layer.identity(3),)),
                Network((Layer.relu(layer.weight, layer.bias),))]
    assert len({n.digest for n in networks}) == len(networks)


def test_the_digest_is_fixed() -> None:
    """Byte by byte: a change here makes every stored certificate invalid and is a new version of the format."""
    network = Network((Layer.relu(Matrix.from_rationals([[F(1, 3), 1]]), Matrix.column([F(1, 2)])),))
    weight, bias = b"1 2 rational 5\n1/3 1", b"1 1 binary64\n" + struct.pack("<d", 0.5)
    slope = b"1 1 binary64\n" + bytes(8)
    assert network.digest == hashlib.sha256(b"relu network 1\n" + weight + bias + slope).hexdigest()


@given(networks(), networks(), seeds)
def test_pair_runs_both(first: Network, second: Network, seed: int) -> None:
    both = pair(first, second)
    assert (both.inputs, both.outputs) == (first.inputs + second.inputs, first.outputs + second.outputs)
    assert both.phases == first.phases + second.phases
    for x, y in zip(points(first, seed), points(second, seed + 1), strict=True):
        assert both.evaluate(x + y) == evaluate(first, x) + evaluate(second, y)


@given(networks(outputs=2), networks(inputs=2), seeds)
def test_compose_runs_one_after_the_other(inner: Network, outer: Network, seed: int) -> None:
    chain = compose(outer, inner)
    assert chain.phases == inner.phases + outer.phases
    for x in points(inner, seed):
        assert chain.evaluate(x) == evaluate(outer, evaluate(inner, x))


@given(networks(), st.integers(0, 6), seeds)
def test_padding_keeps_the_function(network: Network, depth: int, seed: int) -> None:
    padded = network.padded(depth)
    assert len(padded.layers) == max(depth, len(network.layers))
    assert padded.phases == network.phases
    for x in points(network, seed):
        assert padded.evaluate(x) == evaluate(network, x)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bias of shape \(2, 1\), received \(3, 1\)"):
        Layer.relu(Matrix.identity(2), Matrix.zeros(3, 1))
    with pytest.raises(ValueError, match=r"slope of shape \(2, 1\)"):
        Layer(Matrix.identity(2), Matrix.zeros(2, 1), Matrix.zeros(1, 1))
    with pytest.raises(ValueError, match="at least one layer"):
        Network(())
    with pytest.raises(ValueError, match="layer 1 has 2 units but layer 2 reads 3"):
        Network((Layer.identity(2), Layer.identity(3)))
    with pytest.raises(ValueError, match="2 inputs, received a point with 1"):
        Network((Layer.identity(2),)).evaluate([F(1)])
    with pytest.raises(ValueError, match="2 outputs but the outer one reads 3"):
        compose(Network((Layer.identity(3),)), Network((Layer.identity(2),)))
    with pytest.raises(ValueError, match="zip"):
        Network.from_arrays([[[1.0]], [[1.0]]], [[0.0]])
