"""Images of cells: every output lies in one, every vertex has an input, and both representations give the same."""

from __future__ import annotations

import json
import random
from fractions import Fraction as F
from pathlib import Path

import pytest

from benchmarks import membership
from tests.engines.test_propagate import cube, modular
from tests.strategies import random_box, random_network, random_point
from verifier import reach
from verifier.engines.cell_units import Harvest
from verifier.engines.executor import MapExecutor
from verifier.engines.images import Images
from verifier.engines.propagate import Region, Representation
from verifier.engines.reach import map_cells
from verifier.formats.onnx import read_network
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union_json import from_json, to_json
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box

MODELS = Path(__file__).parents[2] / "models"
ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])


def images(region: Region, representation: Representation, executor: MapExecutor | None = None) -> Images:
    """The images of all cells by one representation."""
    width = region.kept[-1].units if region.kept else region.network.inputs
    found = Images(width, representation)
    for one in Harvest(region, map_cells, representation, executor=executor):
        found.add(region, one)
    return found


@pytest.mark.parametrize(("name", "lower", "upper"), membership.NETWORKS)
def test_outputs_of_the_models_lie_in_their_sets(name, lower, upper):
    network, box = read_network(MODELS / name).network, Box.from_bounds(lower, upper)
    found = reach(network, box)
    assert membership.outside(network, box, found, 2000, seed=1) == 0
    wrong, vertices = membership.unattained(network, found)
    assert wrong == 0
    assert vertices >= found.cells


def test_what_is_missing_is_noticed():
    found = reach(ABSOLUTE, cube(1))
    half = type(found)(found.sources[:1], True, found.union.intersection(Polyhedron.from_points([(0,), (F(1, 2),)])))
    assert 300 < membership.outside(ABSOLUTE, cube(1), half, 1000) < 700


@pytest.mark.parametrize("seed", range(10))
def test_the_batch_of_integers_is_the_network(seed):
    rng = random.Random(seed)
    network = random_network(rng, seed % 2 == 0)
    box = random_box(rng, network.inputs, True, bounded=True)
    points, denominator = membership.random_inputs(box, 20, seed)
    for row, (y, pattern, _) in zip(points, membership.run(network, points, denominator), strict=True):
        x = tuple(F(v, denominator) for v in row)
        assert box.contains(x)
        assert tuple(F(v, y[0]) for v in y[1:]) == network.evaluate(x)
        z = [v for layer in network.pre_activations(x) for v in layer]
        phase = [bool(p) for layer in network.layers for p in layer.has_phase]
        assert [bool(s) for s in pattern] == [v > 0 or not p for v, p in zip(z, phase, strict=True)]


@pytest.mark.parametrize("seed", range(30))
def test_every_vertex_is_attained_by_the_input_named(seed):
    """Degenerate networks, flat and unbounded domains, sets with lines, merged parts, inner layers."""
    rng = random.Random(seed)
    network = random_network(rng, True, inputs=rng.choice((1, 2)))
    box = random_box(rng, network.inputs, True, bounded=seed % 3 > 0) if seed % 5 else Box.whole_space(network.inputs)
    layers = rng.choice((None, 1))
    kept = Network(network.layers[:layers])
    for merge in (False, True):
        found = reach(network, box, layers=layers, merge=merge)
        assert found.merged == merge
        for number, part in enumerate(found.union.parts):
            for vertex, x in zip(part.vertices(), found.inputs(number), strict=True):
                assert box.contains(x)
                assert kept.evaluate(x) == vertex
    for cell in reach(network, box, layers=layers).sources:
        assert cell.image.includes(Polyhedron.from_points([kept.evaluate(v) for v in cell.region.vertices()]))


def test_inputs_are_in_the_file():
    found = reach(modular((2, 4, 2), 11), cube(2), merge=True)
    text = to_json(found.union, inputs=found.attaining)
    assert from_json(text).equals(found.union)
    data = json.loads(text)
    assert len(data["points"]) == len(data["inputs"]) < sum(len(part["vertices"]) for part in data["parts"])
    for point, x in zip(data["points"], data["inputs"], strict=True):
        assert modular((2, 4, 2), 11).evaluate([F(v) for v in x]) == tuple(F(v) for v in point)
    for wrong in ('"inputs": 1', '"inputs": [["0"]]', '"inputs": [["0", "x"], ["0", "1"]]', '"inputs": [["0"], []]'):
        with pytest.raises(ValueError, match="inputs"):
            from_json('{"format": "union of polyhedra", "version": 1, "dimension": 1, "parts": '
                      f'[{{"vertices": [["0"], ["1"]], {wrong}}}]}}')


def test_the_network_of_the_readme_by_two_representations():
    """483 cells: patterns, regions and images agree between vertices and exact linear programs."""
    network = read_network(MODELS / "random_7x7.onnx").network
    by_vertices, by_programs = ({cell.pattern: cell for cell in
                                 images(Region(network, cube(3)), representation)}
                                for representation in ("vertices", "lp"))
    assert len(by_vertices) == 483
    assert set(by_vertices) == set(by_programs)
    for pattern, cell in by_vertices.items():
        other = by_programs[pattern]
        assert set(cell.graph.vertices) == set(other.graph.vertices)
        assert set(cell.image.generators.vertices) == set(other.image.generators.vertices)


def test_merging_stops_in_time():
    network = modular((2, 8, 8, 2), 7)
    calls = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 130

    union = reach(network, cube(2)).union
    some = union.merged(stop)
    assert len(union.merged().parts) < len(some.parts) < len(union.parts)
    for _ in range(50):
        y = network.evaluate(random_point(random.Random(len(calls)), cube(2)))
        calls.append(1)
        assert some.contains(y)
    assert some.includes(union)


def test_merging_out_of_time_is_told(monkeypatch):
    import verifier.sets

    network = modular((2, 8, 8, 2), 7)
    clock = iter(range(10**9))
    monkeypatch.setattr(verifier.sets.time, "time", lambda: next(clock) / 1000)
    found = reach(network, cube(2), merge=True, timeout=0.2)
    assert found.finished
    assert not found.merged
    assert found.cells == 106
    assert found.union.includes(reach(network, cube(2)).union)
