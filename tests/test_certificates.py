"""Certificates of reachable sets, counts and ranges: round trips, what ``verifier check`` says, and mutants."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
from collections.abc import Callable
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest

from tests import reference, tiny
from tests.engines.test_propagate import cube, modular, one_layer
from tests.strategies import random_box, random_network
from verifier import cli
from verifier.api import Progress, check
from verifier.certificates import ProvedRanges, partition_proof, piece_proof, polytope_of, write_cells
from verifier.engines.partition_frames import CellProof, encode_batch, encode_head
from verifier.engines.propagate import Propagation, Region
from verifier.engines.subtrees import search
from verifier.formats.domains import domain_of
from verifier.formats.errors import InputError
from verifier.formats.expression import LinearExpression
from verifier.formats.vnnlib import Property, parse_property
from verifier.kernel.certificate import MAGIC, InvalidCertificate, decompress, unpack
from verifier.kernel.checker import NoPoint, check_no_point
from verifier.kernel.domain import Ball, Polytope
from verifier.kernel.network import Network
from verifier.kernel.partition import FACET, MULTIPLIERS, NEIGHBOUR
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.properties.cells import Counted, ProvedCells, conclude_cells, query_of
from verifier.properties.safety import Outcome, Verdict
from verifier.report_scope import domain_text
from verifier.sets import output_range, reach

ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
TWO_BOXES = """(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)
(assert (or (and (>= X_0 -1) (<= X_0 0) (>= X_1 -1) (<= X_1 1) (<= (+ X_0 X_1) 0.5) (>= Y_0 0))
            (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 0) (>= Y_0 1))
            (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1) (>= (+ X_0 X_1) 3))))"""


def reach_certificate(network: Network, domain: Any, layers: int | None = None) -> tuple[bytes, int]:
    stream = io.BytesIO()
    found = reach(network, domain, layers=layers, certificate=stream)
    return stream.getvalue(), found.cells


def range_certificate(network: Network, domain: Any, objectives: list[str] | None = None) -> tuple[bytes, Any]:
    stream = io.BytesIO()
    found = output_range(network, domain, objectives, certificate=stream)
    return stream.getvalue(), found


def confirmed(data: bytes, network: Network, prop: Property | None = None,
              exact: bool = False) -> Verdict | ProvedCells | ProvedRanges:
    return check(io.BytesIO(data), network, prop, exact=exact)


def taken_apart(data: bytes) -> tuple[dict[str, Any], bytes]:
    start = len(MAGIC) + 4
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    return json.loads(data[start:start + length]), data[start + length:-32]


def put_together(header: dict[str, Any], proofs: bytes) -> bytes:
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    data = MAGIC + struct.pack("<I", len(text)) + text + proofs
    return data + hashlib.sha256(data).digest()


# --- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("box", [cube(2), cube(2, 3), Box.whole_space(2), Box.from_bounds([0, -1], [0, 1])])
@pytest.mark.parametrize("layers", [None, 1, 0])
def test_reach_is_confirmed(box: Box, layers: int | None) -> None:
    network = modular((2, 4, 4, 2), 7)
    data, cells = reach_certificate(network, box, layers)
    proved = confirmed(data, network)
    assert isinstance(proved, ProvedCells)
    assert (proved.counted, proved.lower, proved.upper) == (Counted.REACH, cells, cells)
    assert put_together(*taken_apart(data)) == data


def test_reach_over_pieces_one_of_them_flat_and_one_empty() -> None:
    network, prop = modular((2, 4, 2), 7), parse_property(TWO_BOXES)
    data, cells = reach_certificate(network, prop)
    proved = confirmed(data, network, prop)
    assert isinstance(proved, ProvedCells)
    assert proved.lower == proved.upper == cells
    header = taken_apart(data)[0]
    assert [piece.get("empty", False) for piece in header["pieces"]] == [False, False, True]
    assert len(proved.claims) == 2
    with pytest.raises(InputError, match="name its file"):
        confirmed(data, network)
    with pytest.raises(InvalidCertificate, match="other files"):
        confirmed(data, network, parse_property(TWO_BOXES.replace("0.5", "0.25")))
    with pytest.raises(InputError, match="no queries"):
        check(io.BytesIO(data), network, prop.queries(network))


def test_random_ranges_are_confirmed() -> None:
    for seed in range(1, 5):
        rng = random.Random(seed)
        network = random_network(rng, True)
        box = random_box(rng, network.inputs, True)
        data, ranges = range_certificate(network, box)
        for exact in (False, True):
            proved = confirmed(data, network, exact=exact)
            assert isinstance(proved, ProvedRanges)
            for found, known in zip(ranges, proved.ranges, strict=True):
                assert found.objective == known.objective
                for end, other in ((found.minimum, known.minimum), (found.maximum, known.maximum)):
                    assert (end.kind, end.value, end.x, end.y, end.ray) == (
                        other.kind, other.value, other.x, other.y, other.ray)


def test_ranges_over_pieces_and_over_nothing() -> None:
    network, prop = modular((2, 4, 2), 7), parse_property(TWO_BOXES)
    data, ranges = range_certificate(network, prop, ["Y_0 - 1/3*X_1 + 2", "Y_1"])
    proved = confirmed(data, network, prop)
    assert isinstance(proved, ProvedRanges)
    assert [r.maximum.value for r in proved.ranges] == [r.maximum.value for r in ranges]
    header = taken_apart(data)[0]
    assert [None in end["bounds"] for r in header["ranges"] for end in (r["minimum"], r["maximum"])] == [True] * 4
    nothing = [domain_of(prop, network)[2]]
    data, (found, _) = range_certificate(network, nothing)
    proved = confirmed(data, network)
    assert isinstance(proved, ProvedRanges)
    assert proved.ranges[0] == found
    assert found.minimum.kind.value == "empty"


def test_queries_and_polytopes() -> None:
    network = modular((2, 4, 2), 7)
    for piece in domain_of(parse_property(TWO_BOXES), network):
        assert query_of(network, polytope_of(piece)).digest == piece.digest


def test_an_unfinished_answer_has_no_certificate() -> None:
    stream = io.BytesIO()
    assert not reach(modular((2, 8, 8, 2), 7), cube(2), timeout=1e-9, certificate=stream).finished
    output_range(modular((2, 8, 8, 2), 7), cube(2), timeout=1e-9, certificate=stream)
    assert stream.getvalue() == b""


# --- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("counted", "complete", "bounds"), [
    (Counted.ACTIVATION, True, (73, 73)), (Counted.LINEAR, True, (51, 51)), (Counted.AFFINE, True, (51, 51)),
    (Counted.ACTIVATION, False, (40, None)), (Counted.LINEAR, False, (None, None)),
    (Counted.AFFINE, False, (None, None))])
def test_counts(counted: Counted, complete: bool, bounds: tuple[int | None, int | None]) -> None:
    network = modular((2, 5, 5, 5, 1), 7)
    region = Region(network, cube(2))
    cells = list(Propagation(region).cells())[:None if complete else 40]
    piece = partition_proof(region, cells, joins=counted is Counted.LINEAR, complete=complete)
    stream = io.BytesIO()
    written = write_cells(stream, network, region.box, counted, len(network.layers), [piece], {})
    proved = confirmed(stream.getvalue(), network)
    assert isinstance(proved, ProvedCells)
    assert (proved.counted, proved.lower, proved.upper) == (written.counted, written.lower, written.upper)
    maps = len({cell.affine_map for cell in cells})
    assert (proved.lower, proved.upper) == (bounds[0] or maps, bounds[1])
    assert proved.is_exact is complete


def test_a_count_in_a_ball() -> None:
    """The line x = 0 cuts the unit disk; y = 1 touches it."""
    network = one_layer([(1, 0, 0), (0, 1, -1)])
    disk = Ball((F(0), F(0)), F(1), 2)
    cells = [CellProof((x, F(0)), [FACET if join else NEIGHBOUR, MULTIPLIERS], [other],
                       [(F(0), F(1, 2))] if join else [], [[]]) for x, other, join in
             ((F(1, 2), 1, True), (F(-1, 2), 0, False))]
    frames = [encode_head(network.layers, [b"\1\0", b"\0\0"], True), encode_batch(cells)]
    stream = io.BytesIO()
    write_cells(stream, network, disk, Counted.LINEAR, 1, [piece_proof(network, 1, disk, frames)], {})
    proved = confirmed(stream.getvalue(), network)
    assert isinstance(proved, ProvedCells)
    assert (proved.lower, proved.upper, proved.claims[0].domain) == (2, 2, disk)
    header, proofs = taken_apart(stream.getvalue())
    for path, value in ((["pieces", 0, "radius"], "2"), (["pieces", 0, "norm"], 3), (["pieces", 0, "norm"], "2"),
                        (["pieces", 0, "centre"], ["0", "1/2"]), (["pieces", 0, "empty"], True)):
        with pytest.raises(InvalidCertificate):
            confirmed(put_together(changed(header, path, value), proofs), network)


def test_numbers_of_any_length() -> None:
    """Beyond the 4300 digits that Python's own conversions allow."""
    region = Region(ABSOLUTE, Box.from_bounds([F(1, 7**9000)], [F(3**9999)]))
    stream = io.BytesIO()
    reach(region.network, region.box, certificate=stream)
    proved = confirmed(stream.getvalue(), ABSOLUTE)
    assert isinstance(proved, ProvedCells)
    assert proved.claims[0].domain == Polytope(region.box)
    thin = Region(ABSOLUTE, Box.from_bounds([F(1, 7**9000)], [F(1, 7**8999)]))
    piece = partition_proof(thin, list(Propagation(thin).cells()))
    assert len(b"".join(map(decompress, piece.frames))) > 7000
    write_cells(stream := io.BytesIO(), ABSOLUTE, thin.box, Counted.AFFINE, 2, [piece], {})
    assert isinstance(confirmed(stream.getvalue(), ABSOLUTE), ProvedCells)


def test_counts_speak_of_one_piece() -> None:
    network = modular((2, 4, 2), 7)
    region = Region(network, cube(2))
    piece = partition_proof(region, list(Propagation(region).cells()))
    with pytest.raises(ValueError, match="over one piece"):
        conclude_cells(Counted.ACTIVATION, 2, [piece.domain] * 2, [piece.theorem] * 2)
    with pytest.raises(ValueError, match="needs a theorem"):
        conclude_cells(Counted.REACH, 2, [], [])
    for layers, domain in ((1, piece.domain), (2, Polytope(cube(2, 2)))):
        with pytest.raises(ValueError, match="other layers or of another domain"):
            conclude_cells(Counted.REACH, layers, [domain], [piece.theorem])
    header, proofs = taken_apart(reach_certificate(network, parse_property(TWO_BOXES))[0])
    del header["files"]["property"]
    with pytest.raises(InvalidCertificate, match="over one piece"):
        confirmed(put_together({**header, "kind": "activation"}, proofs), network)


# --- mutants ---------------------------------------------------------------------------------------------------------


def changed(header: dict[str, Any], path: list[str | int], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(header))
    place: Any = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


@pytest.mark.parametrize(("path", "value"), [
    (["verdict"], "range"), (["verdict"], "holds"), (["verdict"], "reach"), (["version"], 2), (["network"], "0" * 64),
    (["files"], {"property": "0"}), (["kind"], "regions"), (["kind"], None), (["layers"], 1), (["layers"], True),
    (["layers"], 99), (["layers"], 10**9), (["count"], [30.0, 30.0]), (["kind"], []),
    (["layers"], -1), (["count"], [29, 29]), (["count"], [30, None]), (["count"], 30),
    (["pieces"], []), (["pieces"], {}), (["pieces", 0], 1), (["pieces", 0, "box"], []),
    (["pieces", 0, "box", 0], ["-1"]),
    (["pieces", 0, "box", 0], ["1", "-1"]), (["pieces", 0, "box", 0, 1], "1/8"), (["pieces", 0, "box", 0, 1], 1),
    (["pieces", 0, "empty"], True), (["pieces", 0, "empty"], 1), (["pieces", 0, "rows"], [["1", "1"]]),
    (["pieces", 0, "rows"], [[]]), (["pieces", 0, "rows"], [["1", "1", "0"]]),
    (["pieces", 0], {"centre": ["0", "0"], "radius": "1", "norm": 2}),
    (["pieces", 0], {"centre": ["0", "0"], "radius": "1", "norm": 2, "empty": True}),
    (["pieces", 0], {"centre": ["0", "0"], "radius": "0", "norm": 2}),
    (["pieces", 0], {"centre": ["0"], "radius": "1"})])
def test_a_changed_header_of_cells(path: list[str | int], value: Any) -> None:
    network = modular((2, 4, 4, 2), 7)
    header, proofs = taken_apart(reach_certificate(network, cube(2))[0])
    assert header["count"] == [30, 30]
    with pytest.raises((InvalidCertificate, InputError)):
        confirmed(put_together(changed(header, path, value), proofs), network)


RANGE = ["ranges", 0]


@pytest.mark.parametrize(("path", "value"), [
    (["verdict"], "cells"), (["network"], "0" * 64), (["pieces", 0, "box", 0], ["-3", "2"]),
    (["pieces", 0, "box", 0], ["-1", "3"]), (["pieces", 0, "empty"], True), (["pieces"], []), (["ranges"], 1),
    (["ranges"], []),
    ([*RANGE], None), ([*RANGE, "text"], "Y_0"), ([*RANGE, "text"], ""), ([*RANGE, "coefficients"], ["0", "1"]),
    ([*RANGE, "coefficients"], ["1"]), ([*RANGE, "constant"], "1"), ([*RANGE, "constant"], None),
    ([*RANGE, "maximum", "x"], ["-1"]), ([*RANGE, "maximum", "x"], ["3"]), ([*RANGE, "maximum", "x"], []),
    ([*RANGE, "maximum", "bounds"], ["2"]), ([*RANGE, "maximum", "bounds"], ["5"]),
    ([*RANGE, "maximum", "bounds"], []),
    ([*RANGE, "maximum", "bounds"], [None]), ([*RANGE, "maximum", "piece"], 1), ([*RANGE, "maximum", "piece"], False),
    ([*RANGE, "maximum", "kind"], "unbounded"), ([*RANGE, "maximum", "kind"], "empty"),
    ([*RANGE, "maximum", "kind"], "unknown"), ([*RANGE, "maximum"], {"kind": "unbounded", "piece": 0, "x": ["2"],
                                                                   "ray": ["1"]}),
    ([*RANGE, "minimum", "bounds"], ["1"]), ([*RANGE, "minimum", "x"], ["2"])])
def test_a_changed_header_of_ranges(path: list[str | int], value: Any) -> None:
    header, proofs = taken_apart(range_certificate(ABSOLUTE, Box.from_bounds([-1], [2]), ["Y_0 + X_0"])[0])
    with pytest.raises((InvalidCertificate, InputError)):
        confirmed(put_together(changed(header, path, value), proofs), ABSOLUTE)


def test_a_changed_ray() -> None:
    data, _ = range_certificate(ABSOLUTE, Box((None,), (F(1),)))
    header, proofs = taken_apart(data)
    assert header["ranges"][0]["maximum"]["ray"] == ["-1"]
    for ray in (["1"], ["0"], [], ["-1", "0"]):
        with pytest.raises(InvalidCertificate):
            confirmed(put_together(changed(header, [*RANGE, "maximum", "ray"], ray), proofs), ABSOLUTE)


@pytest.mark.parametrize("make", [lambda: reach_certificate(ABSOLUTE, cube(1))[0],
                                  lambda: range_certificate(ABSOLUTE, cube(1))[0]])
def test_truncated_and_longer_files(make: Callable[[], bytes]) -> None:
    data = make()
    header, proofs = taken_apart(data)
    (length,) = struct.unpack_from("<I", proofs)
    for broken in (proofs[4 + length:], proofs[:-4], proofs + bytes(4), b"", proofs[:4 + length] + bytes(4)):
        with pytest.raises(InvalidCertificate):
            confirmed(put_together(header, broken), ABSOLUTE)
    for broken in (data[:-1], data + b"0", data[:-40], data[:-32] + bytes(32)):
        with pytest.raises(InvalidCertificate):
            confirmed(broken, ABSOLUTE)


def test_another_network() -> None:
    data, _ = reach_certificate(ABSOLUTE, cube(1))
    other = Network.from_arrays(weights=[[[1], [-1]], [[1, 2]]], biases=[[0, 0], [0]])
    with pytest.raises(InvalidCertificate, match="another network"):
        confirmed(data, other)


def test_an_objective_says_what_it_is() -> None:
    lie = LinearExpression("Y_0", (F(1), F(0)), F(0))
    with pytest.raises(InputError, match="something else"):
        output_range(ABSOLUTE, cube(1), [lie], certificate=io.BytesIO())


def test_cells_are_those_of_brute_force() -> None:
    network = modular((2, 4, 2), 7)
    proved = confirmed(reach_certificate(network, cube(2))[0], network)
    assert isinstance(proved, ProvedCells)
    (claim,) = proved.claims
    expected = {bytes(v for layer in cell.pattern for v in layer) for cell in reference.cells(network, cube(2))}
    assert set(claim.patterns) == expected


def test_a_piece_without_a_point_must_be_said_to_be_empty() -> None:
    """What has no point has no interior point, and what has points is not empty."""
    network = modular((2, 4, 2), 7)
    rows = (HalfSpace((F(1), F(1), F(0), F(0)), F(-5)),)
    data, cells = reach_certificate(network, [Query(network, cube(2), (rows,))])
    assert cells == 0
    header, proofs = taken_apart(data)
    assert isinstance(confirmed(data, network), ProvedCells)
    for path, value in ((["pieces", 0, "empty"], False), (["pieces", 0, "rows", 0, 2], "-1")):
        with pytest.raises(InvalidCertificate):
            confirmed(put_together(changed(header, path, value), proofs), network)


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.write_family(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


@pytest.mark.usefixtures("family")
def test_check_of_a_reachable_set(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = run(capsys, "reach", "abs.onnx", "--box", "-1:2", "--certificate", "set.cert")
    assert code == 0
    assert "certificate: set.cert" in lines
    code, lines, err = run(capsys, "check", "set.cert", "abs.onnx")
    assert (code, err) == (0, "")
    assert lines[:4] == ["2", "counted: cells, whose images are the reachable set",
                         "why: every one is there, and there are no others",
                         "proof: checked in exact integers, 2 cells"]
    code, lines, _ = run(capsys, "check", "set.cert", "abs.onnx", "--json")
    answer = json.loads("\n".join(lines))
    assert (code, answer["counted"], answer["lower"], answer["upper"]) == (0, "reach", 2, 2)
    data = Path("set.cert").read_bytes()
    Path("set.cert").write_bytes(data[:-1])
    code, lines, err = run(capsys, "check", "set.cert", "abs.onnx")
    assert (code, lines) == (4, [])
    assert err.count("\n") == 1


@pytest.mark.usefixtures("family")
def test_check_of_a_range_says_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["range", "abs.onnx", "--box", ":1", "--objective", "2*Y_0  - X_0", "--certificate", "range.cert"]
    code, lines, _ = run(capsys, *command)
    assert code == 0
    assert "certificate: range.cert" in lines
    code, again, _ = run(capsys, "check", "range.cert", "abs.onnx")
    assert code == 0
    assert again[:again.index("domain: X_0 <= 1")] == lines[:lines.index("seed: 0")]
    code, again, _ = run(capsys, "check", "range.cert", "abs.onnx", "--exact", "--json")
    assert json.loads("\n".join(again))["ranges"][0]["minimum"]["value"] == "0"


@pytest.mark.usefixtures("family")
def test_check_with_a_property_file(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("reach", "range"):
        assert run(capsys, command, "abs.onnx", "--spec", "touches.vnnlib", "--certificate", "a.cert")[0] == 0
        assert run(capsys, "check", "a.cert", "abs.onnx", "touches.vnnlib")[0] == 0
        code, _, err = run(capsys, "check", "a.cert", "abs.onnx")
        assert code == 2
        assert "name its file" in err
    assert run(capsys, "reach", "abs.onnx", "--box", "-1:1", "--certificate", "b.cert")[0] == 0
    assert run(capsys, "check", "b.cert", "abs.onnx", "touches.vnnlib")[0] == 4
    assert run(capsys, "reach", "abs.onnx", "--box", "-1:1", "--certificate", "abs.onnx")[0] == 2


@pytest.mark.usefixtures("family")
def test_a_check_says_which_domain_and_layers_were_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "reach", "abs.onnx", "--box=-1:1/1000", "--layer", "1", "--certificate", "a.cert")[0] == 0
    _, lines, _ = run(capsys, "check", "a.cert", "abs.onnx")
    assert lines[4:6] == ["domain: -1 <= X_0 <= 1/1000", "layers: 1 of 2"]
    assert run(capsys, "range", "abs.onnx", "--box=-1:1/1000", "--certificate", "r.cert")[0] == 0
    _, lines, _ = run(capsys, "check", "r.cert", "abs.onnx")
    assert "domain: -1 <= X_0 <= 1/1000" in lines
    assert not any(line.startswith("layers") for line in lines)
    for name, layers in (("a", 1), ("r", 2)):
        found = json.loads("\n".join(run(capsys, "check", f"{name}.cert", "abs.onnx", "--json")[1]))
        assert (found["pieces"], found["layers"]) == ([{"box": [["-1", "1/1000"]], "rows": []}], layers)
    assert run(capsys, "range", "abs.onnx", "--spec", "touches.vnnlib", "--certificate", "s.cert")[0] == 0
    assert "domain: that of touches.vnnlib" in run(capsys, "check", "s.cert", "abs.onnx", "touches.vnnlib")[1]


def test_domains_as_text() -> None:
    box = Box((F(0), None, None, F(-1)), (F(0), F(1, 2), None, None))
    row = HalfSpace((F(1), F(0), F(-2), F(0)), F(1, 3))
    assert domain_text([Polytope(box, (row,))]) == "X_0 = 0, X_1 <= 1/2, -1 <= X_3, 1*X_0 + -2*X_2 <= 1/3"
    assert domain_text([Polytope(Box.whole_space(2))]) == "all inputs"
    assert domain_text([Polytope(cube(1)), Polytope(Box.from_bounds([3], [5]))]) == "-1 <= X_0 <= 1 or 3 <= X_0 <= 5"
    assert domain_text([Ball((F(0), F(1)), F(1, 2), 1)]) == "ball of norm 1: centre (0, 1), radius 1/2"
    long = domain_text([Polytope(cube(99))])
    assert long.startswith("box of 99 inputs and 0 rows, SHA-256 ")
    assert long != domain_text([Polytope(cube(99, F(1, 2)))])
    assert domain_text([Polytope(cube(9)), Polytope(cube(9))]) == domain_text([Polytope(cube(9))] * 2)
    assert domain_text([Polytope(cube(9))] * 20).startswith("20 pieces, SHA-256 ")
    assert domain_text([Ball((F(0),) * 999, F(1), 2)]).startswith("ball of norm 2: 999 inputs, SHA-256 ")


def test_the_time_limit_holds_within_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is read in time; the clock passes the deadline at the third cell of the one batch."""
    network = modular((2, 4, 4, 2), 7)
    data, _ = reach_certificate(network, cube(2))
    clock, seen = [0.0], []

    def progress(state: Progress) -> None:
        seen.append(state.boxes)
        clock[0] = 100.0 if state.boxes == 3 else 0.0

    monkeypatch.setattr("verifier.api.time.time", lambda: clock[0])
    late = check(io.BytesIO(data), network, timeout=1, progress=progress)
    assert isinstance(late, Verdict)
    assert late.outcome is Outcome.UNKNOWN
    assert seen == [1, 2, 3]


def messages_of(header: dict[str, Any], proofs: bytes, network: Network) -> str:
    with pytest.raises(InvalidCertificate) as caught:
        confirmed(put_together(header, proofs), network)
    return str(caught.value)


@pytest.mark.parametrize("value", ["9" * 10**6, [1] * 10**6, [["1"] * 10**6], {"box": [["9" * 5000, "1"]], "rows": []},
                                   {"centre": ["0"], "radius": "-" + "9" * 5000, "norm": 2},
                                   {"box": [["1"]], "rows": []}, {"box": [], "rows": []},
                                   {"box": [["1", "2"]], "rows": [[]]}])
def test_messages_are_short_and_our_own(value: Any) -> None:
    cells, of_cells = taken_apart(reach_certificate(ABSOLUTE, cube(1))[0])
    ranges, of_ranges = taken_apart(range_certificate(ABSOLUTE, cube(1))[0])
    told = [messages_of(changed(cells, path, value), of_cells, ABSOLUTE) for path in (
        ["network"], ["files"], ["kind"], ["layers"], ["count"], ["pieces", 0])]
    told += [messages_of(changed(ranges, path, value), of_ranges, ABSOLUTE) for path in (
        ["pieces", 0], [*RANGE, "text"], [*RANGE, "maximum", "kind"], [*RANGE, "maximum", "piece"],
        [*RANGE, "maximum", "bounds"], [*RANGE, "coefficients"], [*RANGE, "constant"])]
    for message in told:
        assert len(message) < 600
        assert not any(word in message for word in ("zip()", "Counted", "unpack", "set_int_max_str_digits"))


def test_a_norm_is_a_number() -> None:
    header, proofs = taken_apart(reach_certificate(ABSOLUTE, cube(1))[0])
    piece = {"centre": ["0"], "radius": "1", "norm": 1}
    assert isinstance(confirmed(put_together(changed(header, ["pieces", 0], piece), proofs), ABSOLUTE), ProvedCells)
    assert "a ball has norm 1 or 2" in messages_of(
        changed(header, ["pieces", 0], {**piece, "norm": True}), proofs, ABSOLUTE)


def test_an_empty_domain_has_layers_that_are_there() -> None:
    rows = (HalfSpace((F(1), F(0)), F(-5)),)
    header, proofs = taken_apart(reach_certificate(ABSOLUTE, [Query(ABSOLUTE, cube(1), (rows,))])[0])
    assert header["count"] == [0, 0]
    assert "from 0 to 2" in messages_of({**header, "layers": 10**9}, proofs, ABSOLUTE)


def test_objectives_of_certificates_are_short() -> None:
    long = " + ".join(["X_0"] * 30_000)
    with pytest.raises(InputError, match="at most 100000 characters"):
        output_range(ABSOLUTE, cube(1), [long], certificate=io.BytesIO())
    header, proofs = taken_apart(range_certificate(ABSOLUTE, cube(1))[0])
    assert "at most 100000 characters" in messages_of(changed(header, [*RANGE, "text"], long), proofs, ABSOLUTE)


def test_a_piece_is_not_empty_because_another_question_has_no_point() -> None:
    network = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
    box = Box.from_bounds([-1], [1])
    negative = Query(network, box, ((HalfSpace((F(0), F(1)), F(0), strict=True),),))  # |x| < 0
    theorem = check_no_point(NoPoint(negative), map(unpack, search(negative).blocks))
    with pytest.raises(ValueError, match="another domain"):
        conclude_cells(Counted.REACH, 2, [Polytope(box)], [theorem])
    beyond = Polytope(box, (HalfSpace((F(1),), F(-2)),))  # x <= -2
    theorem = check_no_point(NoPoint(query_of(network, beyond)), map(unpack, search(query_of(network, beyond)).blocks))
    assert conclude_cells(Counted.REACH, 2, [beyond], [theorem]).upper == 0
