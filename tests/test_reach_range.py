"""``verifier reach`` and ``verifier range`` as typed, their readers, and the functions behind them."""

from __future__ import annotations

import json
import random
import time
from fractions import Fraction as F
from pathlib import Path

import pytest

from tests import tiny
from tests.engines.test_propagate import cube, modular
from tests.geometry.test_union import E1, E2
from tests.strategies import random_box, random_network, random_point
from verifier import cli
from verifier.engines import optimum
from verifier.formats.domains import domain_of, parse_box
from verifier.formats.errors import InputError
from verifier.formats.expression import parse_expression
from verifier.formats.numbers import parse_number
from verifier.formats.vnnlib import parse_property
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.geometry.union_json import from_json
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.properties.output_range import Kind
from verifier.sets import OUT_OF_TIME, output_range, reach

MODELS = Path(__file__).parents[1] / "models"
ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])


@pytest.fixture(autouse=True)
def family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.write_family(tmp_path)


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


# --- range -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["auto", "branch", "propagate", "milp"])
def test_range_of_an_output(capsys, engine):
    code, lines, err = run(capsys, "range", "abs.onnx", "--box", "-7/10:1", "--engine", engine)
    assert (code, err) == (0, "")
    assert lines[:5] == ["[0, 1]", "minimum of Y_0: 0, attained at", "  X_0 = 0", "maximum of Y_0: 1, attained at",
                         "  X_0 = 1"]
    assert any(line.startswith("proof: checked in rigorous floating point") for line in lines)


def test_range_of_expressions_and_a_ray(capsys):
    code, lines, _ = run(capsys, "range", "abs.onnx", "--box", ":1", "--objective", "2*Y_0 - X_0", "--objective",
                         "1/3 - X_0", "--exact")
    assert code == 0
    assert lines[0] == "[0, inf) x [-2/3 (about -0.6666667), inf)"
    assert "maximum of 2*Y_0 - X_0: unbounded, from" in lines
    assert "  along (-1)" in lines
    assert any(line.startswith("proof: checked in exact integers, ") for line in lines)


def test_range_over_a_property_and_as_json(capsys):
    code, lines, _ = run(capsys, "range", "abs.onnx", "--spec", "touches.vnnlib", "--json")
    data = json.loads("\n".join(lines))
    assert (code, data["finished"], data["seed"]) == (0, True, 0)
    (found,) = data["ranges"]
    assert found["objective"] == "Y_0"
    assert found["maximum"]["value"] == "1"
    assert found["maximum"]["x"] == ["1"]
    assert found["minimum"] == {"kind": "attained", "value": "0", "x": ["0"], "y": ["0"], "ray": None, "reason": "",
                                "arithmetic": "rigorous floating point", "boxes": found["minimum"]["boxes"]}


def test_range_out_of_time(capsys):
    code, lines, _ = run(capsys, "range", str(MODELS / "advisory.onnx"), "--box", "-1:1", "--timeout", "0.000001")
    assert code == 3
    assert lines[0] == " x ".join(["unknown"] * 5)
    assert lines[1].startswith("minimum of Y_0: unknown, the time limit was reached; the best found is ")


def test_range_of_an_empty_domain(capsys):
    Path("empty.vnnlib").write_text("(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)\n"
                                    "(assert (>= (+ X_0 X_1) 3)) (assert (<= X_0 1)) (assert (<= X_1 1))")
    prop = parse_property(Path("empty.vnnlib").read_text())
    network = Network((Layer.relu(Matrix.from_rationals([[1, 2]]), Matrix.column([0])),))
    (found,) = output_range(network, prop)
    assert found.minimum.kind.value == found.maximum.kind.value == "empty"
    nothing = reach(network, prop)
    assert nothing.union.is_empty()
    assert nothing.finished


@pytest.mark.parametrize(("arguments", "message"), [
    (("--box", "2:1"), "lower bound 2 exceeds upper bound 1"),
    (("--box", "0:1,0:1"), "1, one for each input, were required, received 2"),
    (("--box", "1"), "a pair LO:HI was required, received '1'"),
    (("--box", "0:nan"), "a number such as -0.25, 1e-3 or 7/3 was required, received 'nan'"),
    (("--box", "0:1/0"), "a denominator other than 0 was required"),
    (("--box", "0:1e9999"), "at most 3900 digits"),
    ((), "either as --spec FILE or as --box LO:HI"),
    (("--box", "0:1", "--spec", "touches.vnnlib"), "either as --spec FILE or as --box LO:HI, received both"),
    (("--spec", "missing.vnnlib"), "missing.vnnlib: a readable file was required"),
    (("--box", "0:1", "--objective", "2*Y_1"), "the network has 1 output, Y_0 to Y_0: received Y_1"),
    (("--box", "0:1", "--objective", "Y_0*Y_0"), "character 4: a linear expression such as"),
    (("--box", "0:inf", "--engine", "propagate"), "an unbounded domain has no representation by vertices"),
    (("--box", "0:1", "--engine", "simplex"), "is not one of"),
    (("--box", "0:1", "--engine", "milp", "--solver", "abacus"), "is not one of"),
    (("--box", "0:1", "--timeout", "0"), "a positive number of seconds"),
])
def test_range_wrong_use(capsys, arguments, message):
    code, lines, err = run(capsys, "range", "abs.onnx", *arguments)
    assert (code, lines) == (2, [])
    assert message in err


# --- reach -----------------------------------------------------------------------------------------------------------


def test_reach_from_the_command_line(capsys):
    code, lines, err = run(capsys, "reach", "abs.onnx", "--box", "-0.7:1", "--output", "set.json")
    assert (code, err) == (0, "")
    assert lines[:5] == ["2", "cells: 2", "parts: 2", "dimension: 1 in a space of 1 (2 of dimension 1)",
                         "Y_0: [0, 1]"]
    assert from_json(Path("set.json").read_text()).equals(Polyhedron.from_points([(0,), (1,)]))
    code, lines, _ = run(capsys, "reach", "abs.onnx", "--spec", "strict.vnnlib", "--merge", "--json")
    data = json.loads("\n".join(lines))
    assert (code, data["parts"], data["cells"], data["dimension"]) == (0, 1, 2, 1)
    assert data["bounding_box"] == [["0", "1"]]


def test_reach_of_an_unbounded_set_after_a_layer(capsys):
    pytest.importorskip("matplotlib", reason="pictures are an optional extra")
    code, lines, _ = run(capsys, "reach", "abs.onnx", "--box", "-1:", "--layer", "1", "--plot", "set.svg")
    assert (code, lines[0]) == (0, "2")
    assert lines[4:6] == ["Z_0: [0, inf)", "Z_1: [0, 1]"]
    assert "Z_1" in Path("set.svg").read_text()
    code, lines, _ = run(capsys, "reach", "abs.onnx", "--box", "-1:", "--layer", "0", "--json")
    assert json.loads("\n".join(lines))["bounding_box"] == [["-1", None]]


def test_reach_out_of_time_writes_nothing(capsys):
    code, lines, err = run(capsys, "reach", str(MODELS / "advisory.onnx"), "--box", "-1:1", "--timeout", "0.000001",
                           "--output", "set.json")
    assert (code, lines[0]) == (3, "unknown")
    assert "set.json: not written, the set is not finished" in err
    assert not Path("set.json").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (("--layer", "3"), "a layer from 0 to 2 was required, received 3"),
    (("--plot", "set.png"), "a picture shows two coordinates, and this set has 1"),
    (("--plot", "set.txt"), "a picture is a file that ends in"),
    (("--axes", "0"), "two numbers I,J were required"),
    (("--output", "nowhere/set.json"), "a file that can be written was required"),
])
def test_reach_wrong_use(capsys, arguments, message):
    pytest.importorskip("matplotlib", reason="pictures are an optional extra")
    code, lines, err = run(capsys, "reach", "abs.onnx", "--box", "0:1", *arguments)
    assert (code, lines) == (2, [])
    assert message in err


def network_of(layers):
    return Network(tuple(Layer.relu(Matrix.from_rationals(w), Matrix.column(b)) for w, b in layers))


def test_published_examples():
    found = reach(network_of(E1), Box.from_bounds([0, 0], [2, 2]), merge=True)
    triangle = Polyhedron.from_points([(0, 1), (0, 2), (F(1, 2), 1)])
    segment = Polyhedron.from_points([(0, 1), (0, 5)])
    assert found.cells == 4
    assert sorted(len(part.vertices()) for part in found.union.parts) == [2, 3]
    assert found.union.equals(UnionOfPolyhedra.of(triangle, segment))
    found = reach(network_of(E2), Box.from_bounds([-1, -1], [1, 1]))
    assert found.cells == len(found.union.parts) == 6
    assert found.union.equals(UnionOfPolyhedra.of(
        Polyhedron.from_points([(0, 0), (0, F(31, 150)), (F(1, 10), F(1, 5)), (F(3, 10), 0)]),
        Polyhedron.from_points([(0, 0), (F(11, 10), 0)]), Polyhedron.from_points([(0, 0), (0, F(3, 10))])))


@pytest.mark.parametrize("seed", range(12))
def test_outputs_lie_in_the_set_and_its_box_is_the_range(seed):
    rng = random.Random(seed)
    network = random_network(rng, seed % 2 == 0, inputs=rng.choice((1, 2)))
    box = random_box(rng, network.inputs, seed % 2 == 0, bounded=True)
    union = reach(network, box).union
    for _ in range(20):
        assert union.contains(network.evaluate(random_point(rng, box)))
    extent = union.bounding_box()
    ranges = output_range(network, box)
    assert extent.lower == tuple(r.minimum.value for r in ranges)
    assert extent.upper == tuple(r.maximum.value for r in ranges)


def test_both_representations_give_one_set(monkeypatch):
    network = modular((2, 4, 2), 11)
    by_vertices = reach(network, cube(2)).union
    monkeypatch.setattr("verifier.engines.propagate.MOST_VERTEX_INPUTS", 0)
    by_programs = reach(network, cube(2))
    assert by_programs.cells == 11
    assert by_programs.union.equals(by_vertices)
    half = reach(ABSOLUTE, Box((None,), (F(1),))).union
    assert half.equals(Polyhedron.from_points([(0,)], rays=[(1,)]))


# --- readers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [
    ("-0.25", F(-1, 4)), ("+7/3", F(7, 3)), ("1e-3", F(1, 1000)), (".5", F(1, 2)), ("5.", F(5)), ("-2.5E1", F(-25)),
    (" 0.1 ", F(1, 10)), ("-1/2", F(-1, 2))])
def test_numbers(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["", "-", ".", "e5", "1/0", "1/-2", "1e30000000", "0x1", "1_0", "inf", "1 2", "\u0661",
                                  "1" * 5000])
def test_no_numbers(text):
    with pytest.raises(InputError):
        parse_number(text)


@pytest.mark.parametrize(("text", "coefficients", "constant"), [
    ("Y_0", (0, 0, 1), 0), ("-Y_0", (0, 0, -1), 0), ("2*Y_0 - X_1", (0, -1, 2), 0),
    ("X_0*1/3+.5", (F(1, 3), 0, 0), F(1, 2)),
    ("Y_0 - Y_0", (0, 0, 0), 0), ("1e2*X_0 + 1e-2 * X_0", (F(10001, 100), 0, 0), 0), ("3", (0, 0, 0), 3),
    ("2 - 1/2*X_00 ", (F(-1, 2), 0, 0), 2)])
def test_expressions(text, coefficients, constant):
    found = parse_expression(text, 2, 1)
    assert (found.coefficients, found.constant) == (coefficients, constant)


@pytest.mark.parametrize("text", ["", " ", "Y", "Y_1", "X_2", "2 Y_0", "Y_0 Y_0", "2*3", "Y_0*X_0", "Y_0 +", "--Y_0",
                                  "(Y_0)", "1/0*Y_0", "Y_0 < 1", "2**Y_0", "X_99999999999999999999"])
def test_no_expressions(text):
    with pytest.raises(InputError):
        parse_expression(text, 2, 1)


def test_boxes():
    assert parse_box("-1:1", 2) == Box.from_bounds([-1, -1], [1, 1])
    assert parse_box("0.1:1/3, -inf:2", 2) == Box((F(1, 10), None), (F(1, 3), F(2)))
    assert parse_box(":", 1) == parse_box("-inf:+inf", 1) == Box.whole_space(1)


def test_the_domain_of_a_property_is_what_it_says_of_inputs():
    text = ("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (< X_0 2))(assert (>= X_0 -1))"
            "(assert (or (<= Y_0 0) (>= Y_0 (+ 1 X_0)) (>= Y_0 5)))")
    (piece,) = domain_of(parse_property(text), ABSOLUTE)
    assert piece.domain == Box.from_bounds([-1], [2])
    assert piece.disjuncts == ((),)
    with pytest.raises(InputError, match="contradict each other"):
        domain_of(parse_property(text + "(assert (>= X_0 3))"), ABSOLUTE)


def test_a_range_whose_proof_is_not_checked_in_time_is_none(monkeypatch):
    maximise = optimum.maximise

    def late(*arguments, **options):
        found = maximise(*arguments, **{**options, "deadline": None})
        monkeypatch.setattr(time, "time", lambda: float("inf"))
        return found

    monkeypatch.setattr(optimum, "maximise", late)
    network = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
    (found,) = output_range(network, Box.from_bounds([-1], [1]), timeout=1000)
    for end, value in ((found.minimum, 0), (found.maximum, 1)):
        assert (end.kind, end.value, end.reason) == (Kind.UNKNOWN, value, OUT_OF_TIME)
