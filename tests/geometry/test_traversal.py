"""The rows that the walk by vertices carries along: within their error bounds of the exact ones, wherever it stops."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from verifier.engines.propagate import Propagation, Region
from verifier.geometry import cells_compiled as compiled
from verifier.geometry.traversal import Space, Walk
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix


def network(sizes: tuple[int, ...], degenerate: bool) -> Network:
    """All kinds of slopes; many units that are open together, so that partial sums of rows are used again."""
    rng = np.random.default_rng(len(sizes))
    layers = []
    for a, b in itertools.pairwise(sizes):
        weight = rng.integers(-1, 2, (b, a)).astype(np.float64) if degenerate else rng.standard_normal((b, a))
        bias = rng.integers(-1, 2, b).astype(np.float64) if degenerate else rng.standard_normal(b) / 4
        slopes = [Fraction(0), Fraction(0), Fraction(1, 3), Fraction(-1), Fraction(1)]
        layers.append(Layer(Matrix.from_floats(weight), Matrix.column([Fraction(v) for v in bias]),
                            Matrix.column([slopes[i % 5] for i in range(b)])))
    return Network(tuple(layers))


def check_rows(space: Space, work: compiled.Work) -> int:
    """Compare the rows of all layers up to the current cell's; how many there are."""
    first = space.plan.first
    top = int(work.counters[compiled.TOP])
    signs = work.sign[first[0]:].tobytes()
    compared = 0
    for layer in range(int(work.layer[top]) + 1):
        exact, denominator = space.maps.pre_activations(layer, signs)
        for i, row in enumerate(exact.tolist()):
            f = int(first[layer]) + i
            off = sum(abs(Fraction(float(v)) - Fraction(int(e), int(denominator)))
                      for v, e in zip(work.rows[:, f], row, strict=True))
            assert off <= Fraction(float(work.error[f]))
            compared += 1
    return compared


@pytest.mark.parametrize("degenerate", [False, True])
@pytest.mark.parametrize("sizes", [(2, 30, 9, 4), (3, 10, 9, 9, 3)])
def test_rows_are_within_their_errors(sizes: tuple[int, ...], degenerate: bool) -> None:
    region = Region(network(sizes, degenerate), Box.from_bounds([-1] * sizes[0], [1] * sizes[0]))
    space = Propagation(region, "vertices").space
    walk = Walk(space, collect=False)
    walk.push([space.root()])
    compared = stops = 0
    while not walk.finished and compared < 4_000:
        walk.step(budget=2_000)
        stops += 1
        if not walk.finished:
            compared += check_rows(space, walk._work)
        if stops % 7 == 0 and walk.settled:  # handed over, and formed anew
            walk.push(walk.unload())
    assert compared > 1_000
