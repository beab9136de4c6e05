"""The distance to the nearest change: against ``verify``, as typed, and when lied to."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from fractions import Fraction as F
from pathlib import Path

import pytest

from tests import reference, tiny
from tests.engines.test_propagate import cube, modular
from verifier import cli
from verifier.api import verify
from verifier.engines.nearest import NearestSearch
from verifier.formats.errors import InputError
from verifier.formats.onnx import read_network
from verifier.kernel.certificate import InvalidCertificate
from verifier.kernel.network import Layer, Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix
from verifier.properties.radius import Change, Norm, changes, conclude, within
from verifier.properties.safety import Outcome
from verifier.radius import NOT_ACCEPTED, OUT_OF_TIME, _Known, robustness_radius

MODELS = Path(__file__).parents[1] / "models"
ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
IDENTITY = Network((Layer.identity(2),))


@pytest.mark.parametrize("center", ["0.09,0.13,-0.35,-0.07,0.25", "0.34,-0.13,0.24,-0.23,-0.04"])
def test_verify_confirms_a_radius_from_both_sides(center):
    network = read_network(MODELS / "advisory.onnx").network
    x = tuple(map(F, center.split(",")))
    found = robustness_radius(network, x, label=0)
    assert found.is_exact

    def verdict(radius):
        ball = Box(tuple(v - radius for v in x), tuple(v + radius for v in x))
        return verify(network, [changes(network, Change(0, False, ball))]).outcome

    assert verdict(found.upper * (1 - F(1, 2**20))) is Outcome.HOLDS
    assert verdict(found.upper) is Outcome.VIOLATED


@pytest.mark.parametrize("norm", ["inf", "1"])
def test_a_mixed_integer_solver_may_propose(norm):
    network = modular((2, 6, 5, 2), 7)
    label = max(range(2), key=lambda k: network.evaluate((F(1, 3), F(1, 5)))[k])
    answers = [robustness_radius(network, (F(1, 3), F(1, 5)), label=label, norm=norm, domain=cube(2, 3), engine=engine)
               for engine in ("branch", "milp")]
    assert answers[0].is_exact
    assert answers[0].upper == answers[1].upper


def test_known_distances():
    """From (2, 1) to where y_1 >= y_0, which is the diagonal: 1/2, 1, and sqrt(1/2)."""
    for norm, expected in (("inf", F(1, 2)), ("1", F(1)), ("2", F(1, 2))):
        found = robustness_radius(IDENTITY, (2, 1), label=0, norm=norm)
        assert (found.lower, found.upper) == (expected, expected)
    assert robustness_radius(IDENTITY, (2, 1), label=0, smallest=True).upper == 0
    assert robustness_radius(IDENTITY, (1, 1), label=0).x == (1, 1)  # a tie has changed already
    constant = Network((Layer.affine(Matrix.zeros(2, 1), Matrix.column([1, 0])),))
    for domain in (None, cube(1)):
        assert robustness_radius(constant, (0,), label=0, domain=domain).infinite


def test_properties_weak_and_strict():
    inputs = Box.from_bounds([-1], [1])
    at_most = Query(ABSOLUTE, inputs, ((HalfSpace((F(0), F(1)), F(1, 4)),),))
    below = replace(at_most, disjuncts=((HalfSpace((F(0), F(1)), F(1, 4), strict=True),),))
    assert robustness_radius(ABSOLUTE, (1,), property=[at_most]).upper == F(3, 4)
    found = robustness_radius(ABSOLUTE, (1,), property=[below])
    assert found.is_exact
    assert not found.attained
    assert (found.upper, found.x, found.y) == (F(3, 4), (F(1, 4),), (F(1, 4),))
    assert reference.satisfies(below, found.inside)
    assert not reference.satisfies(below, found.x)
    touching = robustness_radius(ABSOLUTE, (F(1, 4),), property=[below])
    assert (touching.upper, touching.lower, touching.attained) == (0, 0, False)
    far = robustness_radius(ABSOLUTE, (1000,), property=[at_most, below])
    assert far.upper == F(3999, 4)


def test_time_that_is_over_is_an_interval():
    network = modular((2, 8, 8, 2), 7)
    y = network.evaluate((F(0), F(0)))
    found = robustness_radius(network, (0, 0), label=max((0, 1), key=lambda k: y[k]), timeout=1e-9)
    assert not found.is_exact
    assert not found.infinite
    assert "time limit" in found.reason


@pytest.mark.parametrize("lie", ["farther", "never", "nothing"])
def test_a_lying_search_is_not_believed(lie, monkeypatch):
    honest = NearestSearch.run

    def lying(self):
        believed = self.confirm
        self.confirm = lambda told: lie != "nothing" and believed(
            replace(told, radius=None if lie == "never" else told.radius * 2))
        return honest(self)

    monkeypatch.setattr(NearestSearch, "run", lying)
    found = robustness_radius(IDENTITY, (2, 1), label=0)
    assert not found.is_exact
    assert not found.infinite
    assert found.lower < found.upper == F(1, 2)
    assert found.reason == (OUT_OF_TIME if lie == "nothing" else NOT_ACCEPTED)


def test_a_point_that_is_none_is_not_believed(monkeypatch):
    honest = NearestSearch.run
    monkeypatch.setattr(NearestSearch, "run", lambda self: replace(honest(self), x=(F(2), F(1))))
    with pytest.raises(InvalidCertificate):
        robustness_radius(IDENTITY, (2, 1), label=0)


def test_theorems_must_fit():
    query = changes(IDENTITY, Change(0, False, cube(2)))
    with pytest.raises(ValueError, match="theorem for each query"):
        conclude([query], Norm.L1, (F(1), F(0)), F(1, 2), ())
    with pytest.raises(ValueError, match="other than 0"):
        within(query, Norm.L1, (F(1), F(0)), F(1, 2), [(F(0), F(0))])
    assert within(query, Norm.L1, (F(9), F(0)), F(1, 2)) is None


@pytest.mark.parametrize("norm", ["inf", "1", "2"])
@pytest.mark.parametrize(("rows", "center", "expected"), [
    ([(1, 0), (0, 1)], (3, 1), (F(1), F(2), F(2))),           # the diagonal, tangent to balls of L2
    ([(1, 1), (-1, 1)], (2, 5), (F(2), F(2), F(4))),          # the axis x = 0: in L1 a corner of the ball
    ([(0, 0), (0, 0)], (1, 1), (F(0), F(0), F(0))),           # all outputs are equal everywhere
])
def test_affine_decisions(norm, rows, center, expected):
    network = Network((Layer.affine(Matrix.from_rationals([list(map(F, row)) for row in rows], 2),
                                    Matrix.column([0, 0])),))
    found = robustness_radius(network, center, label=0, norm=norm)
    assert found.is_exact
    assert found.upper == expected[("inf", "1", "2").index(norm)]


@pytest.mark.parametrize(("norm", "expected"), [("inf", F(1)), ("1", F(3)), ("2", F(3))])
def test_a_nearest_point_on_a_face_of_the_least_dimension(norm, expected):
    """|x - 1| + |y - 1| + |z - 1| <= 0 at one input alone, from the origin: eight pieces have it in common."""
    rows = [[F(s * (i == j)) for j in range(3)] for i in range(3) for s in (1, -1)]
    first = Layer.relu(Matrix.from_rationals(rows, 3), Matrix.column([-s for _ in range(3) for s in (1, -1)]))
    network = Network((first, Layer.affine(Matrix.from_rationals([[F(1)] * 6], 6), Matrix.column([0]))))
    touching = Query(network, cube(3, 4), ((HalfSpace((F(0), F(0), F(0), F(1)), F(0)),),))
    found = robustness_radius(network, (0, 0, 0), property=[touching], norm=norm)
    assert (found.lower, found.upper, found.x) == (expected, expected, (1, 1, 1))
    positive = replace(touching, disjuncts=((HalfSpace((F(0), F(0), F(0), F(1)), F(0), strict=True),),))
    assert robustness_radius(network, (0, 0, 0), property=[positive], norm=norm).infinite


def test_distances_that_differ_by_less_than_roots_are_rounded():
    """Two half-planes whose squared distances from the origin differ by 2^-300: the farther one is excluded, too."""
    far = F(math.isqrt(10 << 600) + 1, 2**300)  # (1, 2) . x >= far, at a squared distance of far^2 / 5
    queries = [Query(IDENTITY, cube(2, 3), ((HalfSpace((F(-1), F(-2), F(0), F(0)), -far),),)),
               Query(IDENTITY, cube(2, 3), ((HalfSpace((F(1), F(1), F(0), F(0)), F(-2)),),))]
    assert 2 < far**2 / 5 < 2 + F(1, 2**298)
    found = robustness_radius(IDENTITY, (0, 0), property=queries, norm="2", timeout=60)
    assert (found.lower, found.upper, found.x) == (2, 2, (-1, -1))


def test_parts_contain_the_open_ball():
    """Also where the root is irrational: rounded up, and by little."""
    query = changes(IDENTITY, Change(0, False, Box.whole_space(2)))
    part = within(query, Norm.L2, (F(0), F(0)), F(2), [(F(1), F(1)), (F(1), F(0))])
    (row, other), width = part.disjuncts[0][1:], part.domain.upper[0]
    assert row.offset == 2
    assert 2 <= width**2 < 2 + F(1, 2**100)
    assert 2 <= other.offset**2 < 2 + F(1, 2**100)
    far = F(2) + F(1, 2**300)  # |g|^2 of a point that is hardly farther: nothing beyond it is left in
    (row,) = within(query, Norm.L2, (F(0), F(0)), far - F(1, 2**400), [(F(1), 1 + F(1, 2**301))]).disjuncts[0][1:]
    assert row.offset <= 1 + (1 + F(1, 2**301))**2


# --- as typed --------------------------------------------------------------------------------------------------------


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_what_the_centre_may_be(capsys, tmp_path):
    tiny.write_family(tmp_path)
    net, spec = str(tmp_path / "abs.onnx"), str(tmp_path / "touches.vnnlib")
    code, lines, _ = run(capsys, "radius", net, "--center", " 7/2 ", "--spec", spec)
    assert (code, lines[0]) == (0, "3.5")
    assert "note: the centre is not one of the inputs that count" in lines
    code, lines, _ = run(capsys, "radius", net, "--center", "0", "--spec", spec)
    assert (code, lines[:2]) == (0, ["0", "why: the centre itself is such an input"])
    assert not any(line.startswith("note") for line in lines)


def test_an_open_set_is_approached(capsys, tmp_path):
    tiny.write_family(tmp_path)
    spec = tmp_path / "open.vnnlib"
    spec.write_text("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 -1))(assert (<= X_0 1))"
                    "(assert (< Y_0 0.25))")
    code, lines, _ = run(capsys, "radius", str(tmp_path / "abs.onnx"), "--center", "1", "--spec", str(spec))
    assert (code, lines[0]) == (0, "0.75")
    assert lines[1] == "why: a strict constraint excludes the nearest input itself, but not those on the way to it"
    code, lines, _ = run(capsys, "radius", str(tmp_path / "abs.onnx"), "--center", "1", "--spec", str(spec), "--json")
    told = json.loads("\n".join(lines))
    assert (told["upper"], told["attained"], told["exact"], told["x"]) == ("3/4", False, True, ["1/4"])
    assert F(1, 4) - F(1, 2**20) < F(told["inside"][0]) < F(1, 4)


def test_radius_of_a_property(capsys, tmp_path):
    tiny.write_family(tmp_path)
    net, spec = str(tmp_path / "abs.onnx"), str(tmp_path / "touches.vnnlib")
    code, lines, err = run(capsys, "radius", net, "--center", "-1/3", "--spec", spec)
    assert (code, err) == (0, "")
    assert lines[:4] == ["1/3 (about 0.3333333)", "norm: inf", "nearest input:", "  X_0 = 0"]
    code, lines, _ = run(capsys, "radius", net, "--center", "0.5", "--spec", str(tmp_path / "strict.vnnlib"))
    assert (code, lines[0]) == (0, "inf")
    code, lines, _ = run(capsys, "radius", net, "--center", "0.5", "--spec", spec, "--norm", "2", "--json")
    told = json.loads("\n".join(lines))
    assert (code, told["upper"], told["squared"], told["x"]) == (0, "1/4", True, ["0"])


def test_an_irrational_radius(capsys):
    code, lines, _ = run(capsys, "radius", str(MODELS / "advisory.onnx"), "--center", "0.34,-0.13,0.24,-0.23,-0.04",
                         "--label", "0", "--norm", "2")
    assert code == 0
    assert lines[0].startswith("sqrt(")
    assert lines[0].endswith("(about 0.005004205)")


@pytest.mark.parametrize(("arguments", "message"), [
    (("--center", "1"), "one of --label K and --spec FILE"),
    (("--center", "1,2", "--label", "0"), "one number or 5"),
    (("--center", "x", "--label", "0"), "--center: a number"),
    (("--center", "1", "--label", "7"), "Y_0 to Y_4"),
    (("--center", "1", "--label", "0", "--box", "0:1,0:1"), "one pair LO:HI or 5"),
    (("--center", "1", "--label", "0", "--norm", "3"), "is not one of"),
    (("--center", "1,2,3,4,5,6", "--label", "0"), "received 6"),
    (("--center", "1,2,3,4,", "--label", "0"), "received ''"),
    (("--center", "inputs.csv", "--label", "0"), "received 'inputs.csv'"),
    (("--center", "1/0", "--label", "0"), "a denominator other than 0"),
    (("--center", "1", "--spec", "x.vnnlib", "--box", "0:1"), "--box and --smallest go with --label"),
    (("--center", "1", "--label", "0", "--box", "1:0"), "exceeds"),
])
def test_wrong_use(capsys, arguments, message):
    code, _, err = run(capsys, "radius", str(MODELS / "advisory.onnx"), *arguments)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(("options", "message"), [
    ({}, "either a label"), ({"label": 0, "property": []}, "either a label"), ({"label": 0, "norm": "3"}, "a norm is"),
    ({"label": 0, "engine": "x"}, "not available"), ({"label": 0, "domain": cube(1)}, "2 inputs, the box 1"),
    ({"property": [changes(ABSOLUTE, Change(0, False, cube(1)))]}, "another network"),
    ({"property": [], "smallest": True}, "goes with a label"),
    ({"label": 0, "engine": "milp", "solver": "abacus"}, "unknown")])
def test_wrong_calls(options, message):
    with pytest.raises(InputError, match=message):
        robustness_radius(IDENTITY, (2, 1), **options)
    with pytest.raises(InputError, match="coordinates"):
        robustness_radius(IDENTITY, (2,), label=0)


@pytest.mark.parametrize("label", [0, 1])
def test_a_radius_whose_proof_is_not_checked_in_time_is_an_interval(monkeypatch, label):
    """The clock passes the deadline when the last proof is checked: what was confirmed before still counts."""
    confirm = _Known.confirm

    def late(known, nothing):
        if nothing.radius is None or nothing.radius == 1:
            monkeypatch.setattr(time, "time", lambda: float("inf"))
        confirm(known, nothing)

    monkeypatch.setattr(_Known, "confirm", late)
    far = Network.from_arrays(weights=[[[1, 0], [0, 1]]], biases=[[0, 0] if label == 0 else [0, 10]])
    found = robustness_radius(far, (3, 1), label=label, timeout=1000, domain=cube(2, 3))
    if label == 0:  # the tie is at distance 1
        assert (found.upper, found.reason) == (F(1), OUT_OF_TIME)
    else:  # there is none
        assert (found.upper, found.infinite, found.reason) == (None, False, OUT_OF_TIME)
    assert 0 < found.lower < F(5)
    assert not found.is_exact
