"""``verify --all``, ``verify --engine propagate``, ``reach --preimage`` and ``--jobs``, as typed."""

from __future__ import annotations

import io
import json
from fractions import Fraction as F
from pathlib import Path

import pytest

from tests import tiny
from verifier import cli
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.geometry.union_json import from_json, to_json
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query

MODELS = Path(__file__).parents[1] / "models"
RANDOM = str(MODELS / "random_7x7.onnx")


@pytest.fixture(autouse=True)
def family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.write_family(tmp_path)


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def without_time(lines):
    return [line for line in lines if not line.startswith("time:")]


def test_propagate_decides_and_its_certificate_is_accepted(capsys):
    code, lines, err = run(capsys, "verify", "abs.onnx", "strict.vnnlib", "--engine", "propagate", "--certificate", "c")
    assert (code, lines[0], err) == (0, "holds", "")
    code, lines, _ = run(capsys, "check", "c", "abs.onnx", "strict.vnnlib", "--exact")
    assert (code, lines[0]) == (0, "holds")
    code, lines, _ = run(capsys, "verify", "abs.onnx", "touches.vnnlib", "--engine", "propagate")
    assert (code, lines[0]) == (10, "violated")
    assert "  X_0 = 0" in lines


def test_all_counterexamples(capsys):
    tiny.write_property(Path("near.vnnlib"), "(assert (< Y_0 0.25))")
    code, lines, err = run(capsys, "verify", "abs.onnx", "near.vnnlib", "--all", "--output", "all.json")
    assert (code, lines[0], err) == (10, "violated", "")
    assert "all counterexamples: 2 parts, in 2 cells" in lines
    assert "share of the domain: 5/17 (about 0.2941176)" in lines  # 1/2 of 17/10
    found = from_json(Path("all.json").read_text())
    assert found.equals(Polyhedron.from_points([(-0.25,), (0.25,)]))
    code, lines, _ = run(capsys, "verify", "abs.onnx", "touches.vnnlib", "--all", "--json")
    told = json.loads("\n".join(lines))["counterexamples"]
    assert told == {"finished": True, "parts": 1, "cells": 2, "share": "0"}
    code, lines, _ = run(capsys, "verify", "abs.onnx", "strict.vnnlib", "--all", "--output", "none.json")
    assert (code, lines[0]) == (0, "holds")
    assert from_json(Path("none.json").read_text()).is_empty()


def test_all_counterexamples_are_drawn(capsys):
    pytest.importorskip("matplotlib", reason="pictures are an optional extra")
    code, lines, _ = run(capsys, "verify", RANDOM, str(MODELS / "random_7x7_tip.vnnlib"), "--all", "--plot", "all.svg",
                         "--axes", "2,0")
    assert (code, lines[0]) == (10, "violated")
    text = Path("all.svg").read_text()
    assert "<!-- counterexample -->" in text
    assert "<!-- X_2 -->" in text


def test_an_unfinished_set_is_told(capsys, monkeypatch):
    from verifier.engines import cell_units

    monkeypatch.setattr(cell_units, "_over", lambda _deadline: True)
    code, lines, _ = run(capsys, "verify", "abs.onnx", "touches.vnnlib", "--all", "--output", "all.json",
                         "--timeout", "100")
    assert (code, lines[0]) == (10, "violated")
    assert any(line.startswith("all counterexamples: unfinished, the time limit was reached") for line in lines)
    assert not Path("all.json").exists()


def test_preimage(capsys):
    Path("t.json").write_text(to_json(UnionOfPolyhedra.of(Polyhedron.from_points([(0.5,), (2,)]))))
    code, lines, err = run(capsys, "reach", "abs.onnx", "--box", "-1:2", "--preimage", "t.json", "--output", "p.json")
    assert (code, lines[0], err) == (0, "2", "")
    assert "X_0: [-1, 2]" in lines
    assert "share of the domain: 2/3 (about 0.6666667)" in lines
    found = from_json(Path("p.json").read_text())
    assert found.equals(UnionOfPolyhedra.of(Polyhedron.from_points([(-1,), (-0.5,)]),
                                            Polyhedron.from_points([(0.5,), (2,)])))
    code, lines, _ = run(capsys, "reach", "abs.onnx", "--box", ":", "--preimage", "t.json", "--json")
    data = json.loads("\n".join(lines))
    assert (code, data["parts"], data["share"]) == (0, 2, None)


def test_reach_names_inputs_in_its_file(capsys):
    run(capsys, "reach", "abs.onnx", "--box", "-1:2", "--merge", "--output", "set.json")
    data = json.loads(Path("set.json").read_text())
    assert [sorted(part["vertices"]) for part in data["parts"]] == [[0, 1]]
    assert sorted(zip(data["points"], data["inputs"], strict=True)) == [(["0"], ["0"]), (["2"], ["2"])]


def test_jobs_change_nothing(capsys, monkeypatch):
    from verifier.engines import cell_units

    monkeypatch.setattr(cell_units, "FIRST_BUDGET", 1_000_000)
    texts = []
    for jobs in ("1", "2"):
        code, lines, err = run(capsys, "reach", RANDOM, "--box=-1:1", "--output", "set.json", "--jobs", jobs)
        assert (code, lines[0], err) == (0, "483", "")
        texts.append((without_time(lines), Path("set.json").read_bytes()))
    assert texts[0] == texts[1]
    ranges = [without_time(run(capsys, "range", RANDOM, "--box=-1:1", "--objective", "Y_0", "--engine", "propagate",
                               "--jobs", jobs)[1]) for jobs in ("1", "2")]
    assert ranges[0] == ranges[1]


def test_cells_of_inputs_are_drawn(capsys):
    pytest.importorskip("matplotlib", reason="pictures are an optional extra")
    code, _, _ = run(capsys, "reach", str(MODELS / "advisory.onnx"), "--box=-0.2:0.2,-0.2:0.2,0:0,0.1:0.1,0:0",
                     "--plot-inputs", "cells.svg")
    assert code == 0
    assert Path("cells.svg").read_text().count("stroke: #333333") == 283


@pytest.mark.parametrize(("arguments", "message"), [
    (("verify", "abs.onnx", "strict.vnnlib", "--output", "a.json"), "they require --all"),
    (("verify", "abs.onnx", "strict.vnnlib", "--plot", "a.png"), "they require --all"),
    (("verify", "abs.onnx", "strict.vnnlib", "--all", "--output", "abs.onnx"), "a file of its own was required"),
    (("verify", "abs.onnx", "strict.vnnlib", "--all", "--axes", "1"), "two numbers I,J were required"),
    (("reach", "abs.onnx", "--box", "0:1", "--preimage", "none.json"), "none.json: a readable file was required"),
    (("reach", "abs.onnx", "--box", "0:1", "--preimage", "abs.onnx"), "abs.onnx: "),
    (("reach", "abs.onnx", "--box", "0:1", "--preimage", "plane.json"), "a set of dimension 1, as the outputs have"),
    (("reach", "abs.onnx", "--box", "0:1", "--preimage", "plane.json", "--merge"), "is not combined with --merge"),
])
def test_wrong_use(capsys, arguments, message):
    Path("plane.json").write_text(to_json(UnionOfPolyhedra.of(Polyhedron.from_points([(0, 0)]))))
    code, lines, err = run(capsys, *arguments)
    assert (code, lines) == (2, [])
    assert message in err


@pytest.mark.parametrize(("command", "count"), [
    (("reach", "abs.onnx", "--box", "-1:2"), "2"),
    (("regions", "abs.onnx", "--kind", "linear"), "2"),
    (("regions", "abs.onnx", "--center", "0.5", "--radius", "1", "--norm", "2"), "2"),
    (("regions", RANDOM, "--center", "0,0,0", "--radius", "1/8", "--norm", "2"), "3"),
])
def test_a_certificate_that_is_late_leaves_the_answer_and_no_file(capsys, monkeypatch, command, count):
    """Wherever the time is up while the proof is made: the answer stands, and that the file is missing is told."""
    from verifier import certificates
    from verifier.time_limits import Late

    calls, most = [], [10**9]

    def clock(_deadline):
        calls.append(1)
        if len(calls) > most[0]:
            raise Late

    monkeypatch.setattr(certificates, "in_time", clock)
    Path("old.cert").write_text("old")
    code, lines, err = run(capsys, *command, "--certificate", "c.cert", "--timeout", "1000")
    assert (code, lines[0], err) == (0, count, "")
    assert "certificate: c.cert" in lines
    Path("c.cert").unlink()
    total = len(calls)
    assert total >= 4
    for most[0] in {0, 1, total // 2, total - 1}:
        calls.clear()
        code, lines, err = run(capsys, *command, "--certificate", "old.cert", "--timeout", "1000")
        assert (code, lines[0]) == (3, count)
        assert "not written: certificate (the time limit was reached)" in lines
        assert "old.cert: not written, the time limit was reached" in err
        assert Path("old.cert").read_text() == "old"
        assert not list(Path().glob(".*"))
    calls.clear()
    code, lines, _ = run(capsys, *command, "--certificate", "c.cert", "--timeout", "1000", "--json")
    told = json.loads("\n".join(lines))
    assert (code, told["not_written"]) == (3, {"certificate": "the time limit was reached"})
    assert "certificate" not in told
    assert not Path("c.cert").exists()


def test_the_proof_that_a_domain_is_empty_may_be_late(monkeypatch):
    from verifier import certificates, sets

    network = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
    empty = Query(network, Box.from_bounds([-1], [1]), ((HalfSpace((F(-1), F(0)), F(-3)),),))
    stream = io.BytesIO()
    found = sets.reach(network, [empty], timeout=1000, certificate=stream)
    assert (found.cells, found.certified, stream.tell() > 0) == (0, True, True)
    searched = certificates.search
    monkeypatch.setattr(certificates, "search", lambda piece, deadline: searched(piece, deadline=deadline - 1001))
    stream = io.BytesIO()
    found = sets.reach(network, [empty], timeout=1000, certificate=stream)
    assert (found.finished, found.certified, stream.tell()) == (True, False, 0)


def test_exact_vertices_and_files_keep_the_time_limit(capsys, monkeypatch):
    """The cells are found in time; then the clock jumps, and what is written is not."""
    from verifier import time_limits

    Path("set.json").write_text("before")
    inner = time_limits.in_time
    for parts in (0, 1, 4):
        calls = []

        def in_time(deadline, calls=calls, parts=parts):
            calls.append(deadline)
            inner(deadline if len(calls) <= parts else 0.0)

        monkeypatch.setattr(time_limits, "in_time", in_time)
        code, lines, err = run(capsys, "reach", "abs.onnx", "--box", "-1:2", "--timeout", "600", "--output", "set.json")
        assert (code, lines[0], err) == (3, "2", "verifier: set.json: not written, the time limit was reached\n")
        assert not any(line.startswith("output") for line in lines)
        assert Path("set.json").read_text() == "before"
    monkeypatch.setattr(time_limits, "in_time", inner)
    code, lines, err = run(capsys, "reach", "abs.onnx", "--box", "-1:2", "--timeout", "600", "--output", "set.json")
    assert (code, lines[0], err) == (0, "2", "")
    assert from_json(Path("set.json").read_text()).bounding_box() == Box.from_bounds([0], [2])
