"""``verifier regions`` as typed, and the functions behind it."""

from __future__ import annotations

import csv
import io
import json
import random
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pytest

import verifier
from tests import tiny
from tests.engines.test_propagate import cube, modular
from tests.engines.test_region_walk import tent
from tests.formats.onnx_models import model, node, save
from tests.strategies import random_network
from verifier import api, cli, counting
from verifier.certificates import piece_proof
from verifier.counting import (
    around,
    certify_regions,
    convex_domain,
    count_all_regions,
    count_regions,
    region_bound,
    region_walk,
    regions,
)
from verifier.engines.ball_proof import ball_frames
from verifier.engines.partition_proof import IncompleteError
from verifier.formats.errors import InputError
from verifier.formats.onnx import read_network
from verifier.formats.vnnlib import parse_property
from verifier.geometry.ball import Ball
from verifier.kernel import domain as proved_domain
from verifier.kernel.certificate import InvalidCertificate
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix
from verifier.properties.regions import RegionCount, RegionCounts, RegionKind, conclude
from verifier.region_picture import draw_regions, sliced
from verifier.report_regions import NAMES

MODELS = Path(__file__).parents[1] / "models"
NETWORK = modular((2, 5, 5, 5, 1), 7)


@pytest.fixture(autouse=True)
def family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.write_family(tmp_path)


def run(capsys, *arguments):
    code = cli.run(("regions", *arguments))
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_all_three_counts_are_said(capsys):
    for arguments in ((), ("--box", "-1:1"), ("--center", "0", "--radius", "1/3", "--norm", "2"),
                      ("--spec", "strict.vnnlib")):
        code, lines, err = run(capsys, "abs.onnx", *arguments)
        assert (code, err) == (0, "")
        assert lines[:4] == ["2", "activation regions: 2", "linear regions: 2", "affine pieces: 2"]
    code, lines, _ = run(capsys, "abs.onnx", "--box", "0:1", "--kind", "linear", "--json")
    data = json.loads("\n".join(lines))
    assert (code, data["kind"], data["finished"], data["lower"], data["upper"]) == (0, "linear", True, "1", "1")


def test_bounds_only_and_out_of_time(capsys):
    code, lines, _ = run(capsys, "abs.onnx", "--bounds-only")
    assert (code, lines[0]) == (0, "1..2")  # two units, one hyperplane
    code, lines, _ = run(capsys, str(MODELS / "advisory.onnx"), "--timeout", "0.000001", "--kind", "linear")
    lower, upper = lines[0].split("..")
    assert code == 3
    assert int(lower) < int(upper)
    code, lines, _ = run(capsys, "abs.onnx", "--bounds-only", "--json")
    assert json.loads("\n".join(lines))["changing_units"] == [2, 0]


def test_files(capsys):
    code, lines, _ = run(capsys, "abs.onnx", "--box", "-1:1", "--output", "r.jsonl", "--graph", "g.txt")
    assert (code, lines[4:6]) == (0, ["output: r.jsonl", "graph: g.txt"])
    found = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert {json.dumps(one["map"]["weight"]) for one in found} == {'[["1"]]', '[["-1"]]'}
    assert [one["volume"] for one in found] == ["1", "1"]
    assert {one["pattern"][0] for one in found} == {"10", "01"}
    assert [one["neighbours"] for one in found] == [[1], [0]]
    assert Path("g.txt").read_text() == "0 1\n"
    run(capsys, "abs.onnx", "--kind", "affine", "--output", "r.jsonl")
    assert [len(json.loads(line)["cells"]) for line in Path("r.jsonl").read_text().splitlines()] == [1, 1]


@pytest.mark.parametrize(("domain", "axes", "fixed", "colour"), [
    (cube(5, F(1, 4)), (0, 1), {}, "map"), (Ball((F(0),) * 5, F(1, 4), "2"), (0, 1), {}, "pattern"),
    (Ball((F(0),) * 5, F(1, 4), "1"), (4, 2), {}, "gradient"), (cube(5), (3, 1), {0: F(1, 2), 2: F(-1)}, "gradient")])
def test_pictures_of_slices(domain, axes, fixed, colour):
    pytest.importorskip("matplotlib", reason="pictures are an optional extra")
    network = read_network(MODELS / "advisory.onnx").network
    draw_regions(network, convex_domain(network, domain), Path("p.svg"), axes, fixed, colour)
    picture = Path("p.svg").read_text()
    assert "<svg" in picture
    plane, within = sliced(network, convex_domain(network, domain), axes, fixed)
    x = tuple(F(1, 8) if i in axes else fixed.get(i, F(0)) for i in range(5))
    assert plane.evaluate((F(1, 8), F(1, 8))) == network.evaluate(x)
    assert within.box == Box.from_bounds([domain.box.lower[i] if isinstance(domain, Ball) else domain.lower[i]
                                          for i in axes], [F(1, 4) if fixed == {} else F(1)] * 2)


def test_pictures_that_cannot_be():
    network = read_network(MODELS / "advisory.onnx").network
    for domain, fixed, message in (
            (None, {}, "a value for input 2"), (None, {2: F(0), 3: F(0), 4: F(0)}, "a bounded domain"),
            (cube(5), {1: F(0)}, r"inputs \[1\] cannot be fixed"), (cube(5), {2: F(2)}, "outside of the domain"),
            (Ball((F(0),) * 5, F(1), "2"), {2: F(1)}, "through its centre")):
        with pytest.raises(InputError, match=message):
            sliced(network, convex_domain(network, domain), (0, 1), fixed)


def test_around_points(capsys):
    Path("points.csv").write_text("x\n0.25\n-1/3\n0\n")
    code, lines, _ = run(capsys, "abs.onnx", "--around", "points.csv", "--radius", "0.3", "--norm", "2")
    assert (code, lines[0]) == (0, "3")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines[1:]))))
    assert [row["activation_lower"] for row in rows] == ["2", "1", "2"]
    assert [row["linear_upper"] for row in rows] == ["2", "1", "2"]
    assert [row["activation_distance_squared"] for row in rows] == ["1/16", "1/9", "0"]
    assert [row["linear_distance_squared"] for row in rows] == ["1/16", "1/9", "0"]
    assert [row["upper_bound"] for row in rows] == ["2", "1", "2"]
    code, lines, _ = run(capsys, "abs.onnx", "--around", "points.csv", "--radius", "0.3", "--norm", "1", "--output",
                         "o.csv", "--json")
    data = json.loads("\n".join(lines))
    assert (code, data["points"][0]["distances"]) == (0, {"activation": "1/4", "linear": "1/4"})
    assert Path("o.csv").read_text().startswith("x0,activation_lower")


@pytest.mark.parametrize(("arguments", "message"), [
    (("--box", "0:1", "--center", "0", "--radius", "1", "--norm", "2"), "at most one of --spec, --box and --center"),
    (("--center", "0"), "--center needs --radius and --norm, too"),
    (("--radius", "1"), "--radius and --norm go with --center"),
    (("--center", "0,0", "--radius", "1", "--norm", "2"), "--center: 1 numbers, one for each input"),
    (("--center", "0", "--radius", "0", "--norm", "2"), "--radius: a number greater than 0 was required"),
    (("--center", "x", "--radius", "1", "--norm", "2"), "--center: a number such as"),
    (("--around", "missing.csv", "--radius", "1", "--norm", "2"), "missing.csv: a readable CSV file"),
    (("--around", "missing.csv"), "--around needs --radius and --norm"),
    (("--around", "a.csv", "--radius", "1", "--norm", "2", "--graph", "g"), "--around goes without --graph"),
    (("--bounds-only", "--graph", "g"), "--bounds-only writes no files"),
    (("--plot", "p.svg"), "a picture shows two coordinates, and this set has 1"),
    (("--plot", "p.doc"), "a picture is a file that ends in"),
    (("--kind", "curved"), "is not one of"),
])
def test_wrong_use(capsys, arguments, message):
    code, lines, err = run(capsys, "abs.onnx", *arguments)
    assert (code, lines) == (2, [])
    assert message in err


def test_python_functions():
    assert verifier.regions is regions  # not a module of that name
    assert verifier.count_regions is count_regions
    assert count_regions(NETWORK, cube(2)).text == "73"
    assert count_regions(NETWORK, cube(2), kind="linear").lower == 51
    assert count_regions(NETWORK, kind=RegionKind.AFFINE).is_exact
    assert count_all_regions(NETWORK, cube(2), most=10).linear is None
    assert len(list(regions(NETWORK, cube(2), kind="linear"))) == 51
    assert region_bound(NETWORK, cube(2)).refined >= 73
    (one,) = around(NETWORK, [(F(1, 7), F(1, 5))], F(1, 100), "inf")
    assert one.counts.activation.lower <= one.bound
    with pytest.raises(InputError, match="a kind is"):
        count_regions(NETWORK, kind="curved")
    with pytest.raises(InputError, match="the network has 2 inputs, the domain 3"):
        count_regions(NETWORK, Ball((F(0),) * 3, F(1), "2"))
    text = ("(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"
            "(assert (or (and (<= X_0 1) (>= X_0 0)) (and (<= X_1 1) (>= X_1 0))))")
    with pytest.raises(InputError, match="one convex domain, received a union of 2"):
        count_regions(NETWORK, parse_property(text))


def test_a_bracket_closes():
    told = []
    counts = conclude(5, 3, 4, 2)
    assert (counts.activation.text, counts.linear.text, counts.affine.text) == ("5..8", "2..7", "2..5")
    assert conclude(5, 0, 4, 2).linear == RegionCount(RegionKind.LINEAR, 4, 4)
    with pytest.raises(ValueError, match="lower <= upper"):
        RegionCount(RegionKind.LINEAR, 4, 3)
    stopped = count_all_regions(NETWORK, cube(2), timeout=1e-9, progress=told.append)
    assert stopped.activation.lower <= 73 <= stopped.activation.upper
    assert stopped.linear.lower <= 51 <= stopped.linear.upper


@pytest.mark.parametrize(("domain", "cells"), [(cube(2), 73), (Ball((F(0), F(0)), F(1), "2"), None), (None, None)])
def test_other_kinds_are_counted_up_to_so_many_cells(domain, cells):
    whole = count_all_regions(NETWORK, domain)
    number = whole.activation.lower
    assert cells in (None, number)
    assert count_all_regions(NETWORK, domain, most=number) == whole
    few = count_all_regions(NETWORK, domain, most=number - 1)
    assert few == RegionCounts(whole.activation)
    assert count_all_regions(NETWORK, domain, most=0) == few


def test_other_kinds_are_left_out_when_time_ends_before_they_are_known(monkeypatch):
    inner, calls = counting._until, []

    def until(batches, deadline):
        calls.append(deadline)
        return inner(batches, None) if len(calls) == 1 else iter([None])

    monkeypatch.setattr(counting, "_until", until)
    counts = count_all_regions(NETWORK, cube(2), most=100, timeout=60)
    assert len(calls) == 2
    assert counts == RegionCounts(RegionCount(RegionKind.ACTIVATION, 73, 73))


def test_bounds_on_the_way_are_told_seldom(monkeypatch):
    """Each takes 3 of the 1000 seconds here: not more than a few per cent of the time is for them."""
    clock = [0.0]
    monkeypatch.setattr(counting.time, "monotonic", lambda: clock[0])

    class Slow:
        total_bound = 10**6

        def remaining(self):
            clock[0] += 3
            return 10**6 - int(clock[0])

    told = []
    bounds = counting._Bounds(Slow(), told.append)
    for second in range(1, 1001):
        clock[0] += 1
        bounds.tell(second)
    assert 3 <= len(told) <= 12
    uppers = [counts.activation.upper for counts in told]
    assert uppers == sorted(uppers, reverse=True)


@pytest.mark.parametrize("kind", ["activation", "linear", "affine"])
def test_a_count_with_its_certificate(capsys, kind):
    for arguments in ((), ("--box", "-1:1/2"), ("--center", "1/8", "--radius", "1/3", "--norm", "2"),
                      ("--spec", "strict.vnnlib")):
        code, lines, err = run(capsys, "abs.onnx", *arguments, "--kind", kind, "--certificate", "c.cert")
        assert (code, lines[0], err) == (0, "2", "")
        assert "certificate: c.cert" in lines
        spec = ["strict.vnnlib"] if "--spec" in arguments else []
        code = cli.run(["check", "c.cert", "abs.onnx", *spec])
        out, _ = capsys.readouterr()
        assert (code, out.splitlines()[0]) == (0, "2")


def test_certificates_of_counts_in_balls():
    """Degenerate networks: lines through the centre, tangent ones, faces that only touch; all three kinds."""
    for seed in range(30):
        rng = random.Random(seed)
        network = random_network(rng, seed % 4 > 0, inputs=rng.choice((1, 2, 2, 3)))
        centre = tuple(F(rng.randint(-2, 2), 2) for _ in range(network.inputs))
        ball = Ball(centre, F(rng.choice((1, 2, 3)), 2), rng.choice(("1", "2", "2", "inf")))
        counts = count_all_regions(network, ball)
        for kind in RegionKind:
            stream = io.BytesIO()
            certify_regions(network, ball, kind, stream)
            stream.seek(0)
            proved = api.check(stream, network)
            found = counts.of(kind)
            assert (proved.lower, proved.upper) == (found.lower, found.upper), (seed, kind)


def test_a_wrong_list_of_cells_has_no_proof_in_a_ball():
    """A dropped cell leaves a facet without a neighbour; a doubled one has a pattern twice; a moved radius is told."""
    ball = Ball((F(0), F(0)), F(1), "2")
    walk = region_walk(NETWORK, ball)
    cells = list(walk.cells())

    def proof(frames, radius=F(1)):
        return piece_proof(NETWORK, len(NETWORK.layers), proved_domain.Ball(ball.centre, radius, 2), frames)

    frames = list(ball_frames(walk, cells))
    assert proof(frames).theorem.claim.complete
    with pytest.raises(IncompleteError):
        list(ball_frames(walk, cells[1:]))
    for wrong in (F(1, 2), F(2)):
        with pytest.raises(InvalidCertificate):
            proof(frames, wrong)
    with pytest.raises(InvalidCertificate):
        proof(list(ball_frames(walk, [*cells, cells[0]])))
    with pytest.raises(InvalidCertificate):
        proof(frames[:1])


# --- as a user types it, on ONNX files -------------------------------------------------------------------------------


def written(network):
    """The network as ``net.onnx``: its numbers are floats, and all units of a layer have the same slope."""
    nodes, constants, value = [], {}, "x"
    for k, layer in enumerate(network.layers):
        constants[f"w{k}"], constants[f"b{k}"] = layer.weight.approximate(), layer.bias.approximate()[:, 0]
        last = k == len(network.layers) - 1
        (slope,) = {s for (s,) in layer.slope.rows()}
        value, before = f"z{k}" if slope != 1 else "y" if last else f"a{k}", value
        nodes.append(node("Gemm", f"{before} w{k} b{k}", value, transB=1))
        if slope != 1:
            value, before = "y" if last else f"a{k}", value
            nodes.append(node("LeakyRelu", before, value, alpha=float(slope)))
    save(Path(), model(nodes, [1, network.inputs], constants))
    assert read_network("net.onnx").network.digest == network.digest


def counted(capsys, *arguments):
    """The three numbers, of which the first line is the one asked for."""
    found = {}
    for kind in RegionKind:
        code, lines, err = run(capsys, "net.onnx", *arguments, "--kind", kind.value)
        assert (code, err) == (0, "")
        names = dict(line.split(": ") for line in lines[1:])
        found[kind] = int(names[NAMES[kind]])
        assert lines[0] == names[NAMES[kind]]
    return tuple(found.values())


@pytest.mark.parametrize(("widths", "modulus", "radius", "expected"), [
    ((2, 3, 1), 7, 1, (7, 4, 4)), ((2, 3, 3, 1), 7, 1, (17, 9, 9)), ((2, 5, 5, 5, 1), 7, 3, (77, 54, 54))])
def test_derived_counts_of_files(capsys, widths, modulus, radius, expected):
    written(modular(widths, modulus))
    assert counted(capsys, "--box", f"-{radius}:{radius}") == expected
    assert counted(capsys, "--center", "0,0", "--radius", f"{radius}", "--norm", "inf") == expected


@pytest.mark.parametrize(("depth", "in_space"), [(1, 3), (2, 6), (3, 10), (4, 18), (5, 34)])
def test_tents_of_files(capsys, depth, in_space):
    written(tent(depth))
    assert counted(capsys, "--box", "0:1")[:2] == (2**depth, 2**depth)
    for norm in ("1", "2", "inf"):
        assert counted(capsys, "--center", "1/2", "--radius", "0.5", "--norm", norm)[0] == 2**depth
    assert counted(capsys)[0] == in_space


def test_zaslavskys_number_of_a_file(capsys):
    rng = np.random.default_rng(7)
    weight, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((10, 3), (10, 1)))
    general = Layer.relu(Matrix.from_floats(weight), Matrix.from_floats(bias))
    written(Network((general,)))
    assert counted(capsys) == (176, 176, 176)


def test_slopes_of_a_file_in_a_ball(capsys):
    """|x| in both coordinates and their sum: four cells, four maps; the constant units of a layer count nothing."""
    absolute = Layer(Matrix.identity(2), Matrix.zeros(2, 1), Matrix.column([-1, -1]))
    rest = Layer(Matrix.from_rationals([[1, 1], [0, 0], [0, 0]]), Matrix.column([1, -1, 0]),
                 Matrix.column([F(1, 4)] * 3))
    written(Network((absolute, rest)))
    assert counted(capsys, "--center", "0,0", "--radius", "1/3", "--norm", "2") == (4, 4, 4)
    assert counted(capsys, "--center", "1,0", "--radius", "1", "--norm", "2") == (2, 2, 2)  # touches the line x_0 = 0
    assert counted(capsys, "--center", "1,0", "--radius", "1.001", "--norm", "2") == (4, 4, 4)
    code, lines, _ = run(capsys, "net.onnx", "--center", "1,1", "--radius", "1", "--norm", "2", "--certificate",
                         "c.cert")
    assert (code, lines[0]) == (0, "1")
    assert cli.run(["check", "c.cert", "net.onnx"]) == 0


@pytest.mark.parametrize("colour", ["pattern", "map", "gradient"])
def test_files_of_regions_in_a_ball(capsys, colour):
    pytest.importorskip("matplotlib", reason="pictures are an optional extra")
    written(modular((2, 4, 4, 2), 7))
    ball = ("--center", "0,0", "--radius", "3/2", "--norm", "2")
    code, lines, _ = run(capsys, "net.onnx", *ball, "--kind", "linear", "--output", "r.jsonl", "--graph", "g.txt",
                         "--plot", "p.svg", "--color", colour)
    assert code == 0
    parts = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert len(parts) == int(lines[0])
    pairs = {tuple(map(int, line.split())) for line in Path("g.txt").read_text().splitlines()}
    beside = {(part["number"], other) for part in parts for other in part["neighbours"]}
    assert {(a, b) for a, b in beside if a < b} == pairs
    assert {(b, a) for a, b in beside} == beside
    assert "<svg" in Path("p.svg").read_text()
