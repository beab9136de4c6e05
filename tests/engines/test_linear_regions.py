"""Cells sorted by their maps: floats only tell apart what the exact maps tell apart."""

from __future__ import annotations

import random
from fractions import Fraction as F

import numpy as np
import pytest

from tests.engines.test_images import random_region
from tests.engines.test_propagate import cube
from verifier.engines import linear_regions
from verifier.engines.linear_regions import same_maps
from verifier.engines.region_walk import RegionWalk
from verifier.kernel.domain import Polytope
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix


def by_exact_maps(walk: RegionWalk, patterns: list[bytes]) -> list[list[int]]:
    """The same, by comparing the exact maps of all cells."""
    found: dict[tuple[int, ...], list[int]] = {}
    for number, pattern in enumerate(patterns):
        found.setdefault(walk.maps.key(pattern), []).append(number)
    return list(found.values())


@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed, monkeypatch):
    monkeypatch.setattr(linear_regions, "AT_ONCE", 7)
    rng = random.Random(seed)
    region = random_region(seed)
    inputs = region.network.inputs
    domain = Polytope(region.box, region.rows) if seed % 3 else Polytope(Box.whole_space(inputs))
    walk = RegionWalk(region.network, domain)
    patterns = [cell.signs for cell in walk.cells()]
    rng.shuffle(patterns)
    assert same_maps(walk, patterns) == by_exact_maps(walk, patterns)
    assert same_maps(walk, []) == []


def pair(size: F, gap: F) -> Network:
    """``size |x| + gap relu(x - 1/2)`` and ``|x|`` twice, so that gap separates two maps and the last two are one."""
    first = Layer.relu(Matrix.from_rationals([[1], [-1], [1], [0]]), Matrix.column([0, 0, F(-1, 2), 1]))
    second = Layer.relu(Matrix.from_rationals([[size, size, gap, 0], [0, 0, 1, F(-1, 4)]]), Matrix.column([0, 0]))
    return Network((first, second, Layer.affine(Matrix.from_rationals([[1, 0]]), Matrix.column([0]))))


@pytest.mark.parametrize(("size", "gap"), [
    (F(1), F(1, 2**10)), (F(1), F(1, 2**200)), (F(10)**30, F(1)), (F(10)**400, F(1)), (F(1, 10**400), F(1, 10**800)),
    (F(1), F(0))])
def test_maps_that_floats_do_not_tell_apart(size, gap):
    walk = RegionWalk(pair(size, gap), Polytope(cube(1)))
    patterns = [cell.signs for cell in walk.cells()]
    found = same_maps(walk, patterns)
    assert found == by_exact_maps(walk, patterns)
    assert sorted(map(len, found)) == ([1, 1, 2] if gap else [1, 3])


def test_few_exact_maps_are_made(monkeypatch):
    """In general position floats tell all maps apart."""
    rng = np.random.default_rng(3)
    layers = [Layer.relu(Matrix.from_floats(rng.normal(size=(12, k))), Matrix.from_floats(rng.normal(size=(12, 1))))
              for k in (2, 12)]
    network = Network((*layers, Layer.affine(Matrix.from_floats(rng.normal(size=(2, 12))), Matrix.zeros(2, 1))))
    walk = RegionWalk(network, Polytope(cube(2)))
    patterns = [cell.signs for cell in walk.cells()]
    monkeypatch.setattr(walk.maps, "key", None)
    assert len(same_maps(walk, patterns)) == len(patterns) > 50
