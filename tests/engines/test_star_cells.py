"""Cells and images as rows and maps, against the same by vertices; and sets in 20 inputs."""

from __future__ import annotations

import json
import random
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pytest

from tests.strategies import random_box, random_network, random_point
from verifier import cli, counterexamples, reach, sets
from verifier.engines import cell_units
from verifier.engines.cell_units import Harvest
from verifier.engines.images import Images
from verifier.engines.propagate import Propagation, Region
from verifier.engines.reach import map_cells
from verifier.engines.star_cells import StarCell, star_cell
from verifier.geometry.homogeneous import to_point
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union_json import from_json
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query


def star_cells(region: Region) -> dict[bytes, StarCell]:
    return {cell.signs: star_cell(cell) for cell in Propagation(region, "lp").cells()}


def agree(region: Region) -> None:
    kept = Network(region.kept)
    images = Images(kept.outputs, "vertices")
    for one in Harvest(region, map_cells, "vertices"):
        images.add(region, one)
    by_vertices = {cell.pattern: cell for cell in images}
    found = star_cells(region)
    assert set(found) == set(by_vertices)
    for pattern, cell in by_vertices.items():
        star = found[pattern]
        assert star.image.is_implicit
        assert star.image.bounding_box() == cell.image.bounding_box()
        assert star.image.dimension == cell.image.dimension
        assert star.region.equals(cell.region)
        assert set(star.image.generators.vertices) == set(cell.image.generators.vertices)
        for vertex in star.image.generators.vertices:
            x = to_point(star.attaining(vertex))
            assert star.region.contains(x)
            assert Polyhedron.from_points([kept.evaluate(x)]).any_generators.vertices == (vertex,)


@pytest.mark.parametrize("seed", range(16))
def test_rows_and_vertices_give_the_same(seed):
    """Degenerate networks with duplicated, negated and zero units, flat boxes, inner layers."""
    rng = random.Random(seed)
    network = random_network(rng, True, inputs=rng.choice((1, 2, 3)))
    layers = rng.choice((None, 1)) if network.layers[0].units <= 3 else None
    agree(Region(network, random_box(rng, network.inputs, seed % 2 == 0, bounded=True), (), layers))


def small(inputs: int, seed: int, outputs: int = 2) -> Network:
    """Three hidden units, one of them the negation of another, small integers."""
    rng = random.Random(seed)
    first = [[rng.randint(-2, 2) for _ in range(inputs)] for _ in range(2)]
    first.append([-v for v in first[0]])
    last = [[rng.randint(-2, 2) for _ in range(3)] for _ in range(outputs)]
    return Network.from_arrays(weights=[first, last], biases=[[1, 0, -1], [rng.randint(-1, 1)] * outputs])


@pytest.mark.parametrize("inputs", [4, 5, 6])
def test_more_inputs(inputs):
    agree(Region(small(inputs, inputs), Box.from_bounds([-1] * inputs, [1] * inputs)))


def test_a_domain_cut_flat_by_a_row():
    network = small(3, 5)
    rows = (HalfSpace((F(1), F(1), F(1)), F(1)), HalfSpace((F(-1), F(-1), F(-1)), F(-1)))
    agree(Region(network, Box.from_bounds([-1] * 3, [1] * 3), rows))


def test_constant_and_flat_images():
    """A point, and a segment in space."""
    network = Network.from_arrays(weights=[[[0, 0]], [[1], [2]]], biases=[[3], [0, 1]])
    (cell,) = star_cells(Region(network, Box.from_bounds([0, 0], [1, 1]))).values()
    assert cell.image.vertices() == ((F(3), F(7)),)
    assert cell.image.dimension == 0
    network = Network.from_arrays(weights=[[[1, 1]], [[1], [2], [-1]]], biases=[[0], [0, 1, 0]])
    (cell,) = star_cells(Region(network, Box.from_bounds([0, 0], [1, 1]))).values()
    assert cell.image.dimension == 1
    assert sorted(cell.image.vertices()) == [(0, 1, 0), (2, 5, -2)]


TWENTY = Box.from_bounds([-1] * 20, [1] * 20)


def test_a_set_in_twenty_inputs():
    """Outputs of random inputs lie in it; its box is that of branch and bound; vertices are attained."""
    network = small(20, 3)
    found = reach(network, TWENTY)
    assert found.cells > 2
    assert all(isinstance(cell, StarCell) for cell in found.sources)
    box = found.union.bounding_box()
    for j, ends in enumerate(sets.output_range(network, TWENTY)):
        assert (box.lower[j], box.upper[j]) == (ends.minimum.value, ends.maximum.value)
    rng = random.Random(1)
    for _ in range(20):
        y = network.evaluate(random_point(rng, TWENTY))
        assert found.union.contains(y)
    assert not found.union.contains([v + 1 for v in box.upper])
    for number, part in enumerate(found.union.parts):
        for vertex, x in zip(part.vertices(), found.inputs(number), strict=True):
            assert TWENTY.contains(x)
            assert network.evaluate(x) == vertex
    merged = reach(network, TWENTY, merge=True)
    assert merged.union.equals(found.union)
    assert all(network.evaluate(x) == vertex for number, part in enumerate(merged.union.parts)
               for vertex, x in zip(part.vertices(), merged.inputs(number), strict=True))


def test_an_unsafe_set_in_twenty_inputs():
    network = small(20, 4)
    union = reach(network, TWENTY).union
    top = union.bounding_box().upper[0]
    assert not union.intersects(Polyhedron.from_half_spaces(2, [HalfSpace((F(-1), F(0)), -top - 1)]))
    touching = union.intersection(Polyhedron.from_half_spaces(2, [HalfSpace((F(-1), F(0)), -top)]))
    assert touching.parts
    assert touching.common_point(union)[0] == top
    query = Query(network, TWENTY, ((HalfSpace((F(0),) * 20 + (F(-1), F(0)), 1 - top),),))
    shape = counterexamples(network, [query]).union
    assert shape.parts
    assert all(network.evaluate(part.interior_point())[0] >= top - 1 for part in shape.parts)


def save(network: Network, path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    from tests.tiny import save as write

    nodes, values, name = [], [], "x"
    for k, layer in enumerate(network.layers):
        for letter, matrix in (("W", layer.weight), ("b", layer.bias)):
            rows = [[float(v) for v in row] for row in matrix.rows()]
            array = np.array(rows, dtype=np.float32)
            values.append(numpy_helper.from_array(array.T if letter == "W" else array.ravel(), f"{letter}{k}"))
        nodes.append(helper.make_node("Gemm", [name, f"W{k}", f"b{k}"], [f"z{k}"]))
        name = f"z{k}"
        if k < len(network.layers) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"a{k}"]))
            name = f"a{k}"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, network.inputs])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, network.outputs])], values)
    write(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_as_typed(tmp_path, capsys, monkeypatch):
    """Vertices for two outputs, cells and maps for four; the same with two processes; cut short, nothing is left."""
    monkeypatch.chdir(tmp_path)
    for outputs in (2, 4):
        network = small(20, 3, outputs)
        save(network, Path("net.onnx"))
        texts = []
        for jobs in ("1", "2"):
            code, lines, err = run(capsys, "reach", "net.onnx", "--box=-1:1", "--output", "set.json", "--jobs", jobs)
            assert (code, err) == (0, "")
            texts.append(Path("set.json").read_text())
        assert texts[0] == texts[1]
        assert ('"cell"' in texts[0]) == (outputs == 4)
        union = from_json(texts[0])
        assert str(len(union.parts)) == lines[0]
        assert union.contains(network.evaluate((F(1, 3),) * 20))
    Path("set.json").unlink()
    monkeypatch.setattr(cell_units, "_over", lambda deadline: deadline is not None)
    code, lines, err = run(capsys, "reach", "net.onnx", "--box=-1:1", "--output", "set.json", "--timeout", "100",
                           "--json")
    told = json.loads("\n".join(lines))
    assert (code, told["finished"], told["not_written"]) == (3, False, {"output": "the set is not finished"})
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]


def test_cells_found_in_time_are_kept(monkeypatch):
    """The deadline comes between two cells: those mapped by then are a part of the set."""
    network = small(20, 3)
    whole = reach(network, TWENTY)
    calls, most = [], [0]

    def over(deadline):
        calls.append(1)
        return deadline is not None and len(calls) > most[0]

    monkeypatch.setattr(cell_units, "_over", over)
    counts = []
    for most[0] in range(4, 30, 2):
        calls.clear()
        some = reach(network, TWENTY, timeout=100)
        assert some.finished == (some.cells == whole.cells)
        assert whole.union.includes(some.union)
        counts.append(some.cells)
    assert counts == sorted(counts)
    assert {0, 1, whole.cells} < set(counts)


def test_time_may_be_up_while_the_file_is_written(tmp_path, capsys, monkeypatch):
    from verifier import time_limits

    monkeypatch.chdir(tmp_path)
    save(small(20, 3), Path("net.onnx"))
    calls = []

    def in_time(deadline):
        calls.append(1)
        if deadline is not None and len(calls) > 2:
            raise time_limits.Late

    monkeypatch.setattr(time_limits, "in_time", in_time)
    code, lines, err = run(capsys, "reach", "net.onnx", "--box=-1:1", "--output", "set.json", "--timeout", "100")
    assert (code, lines[0].isdigit()) == (3, True)
    assert "not written: output (the time limit was reached)" in lines
    assert "set.json: not written, the time limit was reached" in err
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]
