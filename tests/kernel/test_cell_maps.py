"""Maps that are changed where few units change their sign are those that are made anew."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.strategies import random_layer
from verifier.geometry.chart import chart_of
from verifier.kernel import cell_maps
from verifier.kernel.cell_maps import CellMaps
from verifier.kernel.polyhedron import Box


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_signs_gives_the_same_maps(seed, monkeypatch):
    rng = random.Random(seed)
    widths = [2, *(rng.choice((1, 4, 8, 9)) for _ in range(3))]
    layers = tuple(random_layer(rng, seed % 2 == 0, a, b, 0.5) for a, b in itertools.pairwise(widths))
    chart = chart_of(Box.from_bounds([-1, 0], [1, 3]))
    changed = []
    inner = CellMaps._changed
    monkeypatch.setattr(CellMaps, "_changed", lambda *given: changed.append(inner(*given)) or changed[-1])
    maps = CellMaps(layers, chart.table, chart.denominator)
    signs = bytearray(sum(widths[1:]))
    for _ in range(60):
        for _ in range(rng.choice((1, 1, 1, 2, 12))):
            signs[rng.randrange(len(signs))] ^= 1
        fresh = CellMaps(layers, chart.table, chart.denominator)
        layer = rng.randrange(3)
        assert maps.pre_activations(layer, bytes(signs)) == fresh.pre_activations(layer, bytes(signs))
        assert maps.output_table(bytes(signs)) == fresh.output_table(bytes(signs))
    if max(widths[1:-1]) >= 2 * cell_maps.FEW:
        assert any(one is not None for one in changed)
    assert any(one is None for one in changed)
