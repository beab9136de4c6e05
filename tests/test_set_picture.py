"""Pictures of reachable sets as typed: unsafe sets, counterexamples, colours, slices."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import tiny
from tests.engines.test_star_cells import save, small
from verifier import cli, parse_property
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.network import Network
from verifier.set_picture import unsafe_outputs

pytest.importorskip("matplotlib", reason="pictures are an optional extra")

MODELS = Path(__file__).parents[1] / "models"
RANDOM, TIP = str(MODELS / "random_7x7.onnx"), str(MODELS / "random_7x7_tip.vnnlib")
SAFE = str(MODELS / "random_7x7_stays_below.vnnlib")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def texts(path: str) -> set[str]:
    return set(re.findall(r"<!-- (.*?) -->", Path(path).read_text()))


def colours(path: str) -> list[str]:
    return re.findall(r"fill: (#[0-9a-f]{6})[^\n]*stroke: #333333", Path(path).read_text())


def test_the_unsafe_set_and_a_counterexample_are_named(capsys):
    """If there are any; of an inner layer a property says nothing."""
    code, _, err = run(capsys, "reach", RANDOM, "--spec", TIP, "--plot", "set.svg", "--plot-inputs", "cells.svg")
    assert (code, err) == (0, "")
    assert {"reachable set", "unsafe", "counterexample", "Y_0", "Y_1"} <= texts("set.svg")
    assert {"counterexample", "483 cells, a color for each pattern; 1 input projected"} <= texts("cells.svg")
    run(capsys, "reach", RANDOM, "--spec", SAFE, "--plot", "set.svg")
    assert "reachable set" in texts("set.svg")
    assert "counterexample" not in texts("set.svg")
    run(capsys, "reach", RANDOM, "--spec", TIP, "--layer", "1", "--plot", "set.svg")
    assert not {"reachable set", "unsafe", "counterexample"} & texts("set.svg")


def test_a_slice_has_the_cells_of_the_slice(capsys):
    _, lines, _ = run(capsys, "reach", RANDOM, "--box=-1:1,-1:1,1/2:1/2", "--json")
    inside = json.loads("\n".join(lines))["cells"]
    code, lines, err = run(capsys, "reach", RANDOM, "--box=-1:1", "--plot-inputs", "cells.svg", "--fix", "2=0.5")
    assert (code, lines[0], err) == (0, "483", "")
    assert f"{inside} cells, a color for each pattern; X_2 = 0.5" in texts("cells.svg")
    assert len(colours("cells.svg")) == len(set(colours("cells.svg"))) == inside


def test_cells_with_one_map_have_one_colour(capsys):
    """|x0| + 0 x1, and a unit that changes nothing: four patterns, two maps."""
    save(Network.from_arrays(weights=[[[1, 0], [-1, 0], [0, 1]], [[1, 1, 0]]], biases=[[0, 0, 0], [0]]), Path("n.onnx"))
    found = {}
    for colour in ("pattern", "map"):
        run(capsys, "reach", "n.onnx", "--box=-1:1", "--plot-inputs", "cells.svg", "--color", colour)
        found[colour] = colours("cells.svg")
    assert [len(found[c]) for c in ("pattern", "map")] == [4, 4]
    assert [len(set(found[c])) for c in ("pattern", "map")] == [4, 2]


def test_a_counterexample_outside_of_the_slice_is_not_drawn(capsys):
    run(capsys, "reach", RANDOM, "--spec", TIP, "--plot-inputs", "cells.svg", "--fix", "2=0.5")
    assert "counterexample" not in texts("cells.svg")


@pytest.mark.parametrize(("fix", "message"), [
    ("2", "a pair I=V was required"), ("2=a", "--fix: "), ("0=1", "cannot be fixed"), ("7=1", "cannot be fixed"),
    ("2=3", "fixed outside of the domain"),
])
def test_wrong_values(capsys, fix, message):
    code, lines, err = run(capsys, "reach", RANDOM, "--box=-1:1", "--plot-inputs", "cells.svg", "--fix", fix)
    assert (code, lines) == (2, [])
    assert message in err


def test_fix_is_for_a_picture_of_inputs(capsys):
    assert "requires one" in run(capsys, "reach", RANDOM, "--box=-1:1", "--fix", "2=0")[2]


def test_time_may_be_up_while_it_is_drawn(capsys, monkeypatch):
    from verifier import set_picture
    from verifier.time_limits import Late

    def late(_deadline):
        raise Late

    monkeypatch.setattr(set_picture, "in_time", late)
    save(small(20, 3), Path("net.onnx"))
    code, lines, err = run(capsys, "reach", "net.onnx", "--box=-1:1", "--plot", "set.svg", "--plot-inputs", "cells.svg",
                           "--timeout", "1000")
    assert (code, lines[0].isdigit()) == (3, True)
    late_ones = "not written: plot (the time limit was reached), plot of inputs (the time limit was reached)"
    assert late_ones in lines
    assert "cells.svg: not written" in err
    assert list(Path().iterdir()) == [Path("net.onnx")]


def test_sets_in_many_inputs_are_drawn(capsys):
    """The projection of two outputs, and the cells of a slice, are found by programs."""
    save(small(20, 3), Path("net.onnx"))
    others = ",".join(f"{i}=0" for i in range(20) if i not in (0, 7))
    code, _, err = run(capsys, "reach", "net.onnx", "--box=-1:1", "--plot", "set.svg", "--plot-inputs", "cells.svg",
                       "--axes", "0,1")
    assert (code, err) == (0, "")
    assert any(text.endswith("; 18 inputs projected") for text in texts("cells.svg"))
    code, _, err = run(capsys, "reach", "net.onnx", "--box=-1:1", "--plot-inputs", "cells.svg", "--axes", "7,0",
                       "--fix", others)
    assert (code, err) == (0, "")
    assert any(text.endswith("; 18 inputs fixed") for text in texts("cells.svg"))


def test_unsafe_sets_are_what_disjuncts_say_of_outputs():
    network = Network.from_arrays(weights=[[[1], [2]]], biases=[[0, 0]])
    names = "(declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)"
    head = names + "(assert (>= X_0 0)) (assert (<= X_0 1))"
    above = parse_property(head + "(assert (or (and (< Y_0 1) (>= Y_1 Y_0)) (and (>= X_0 0.5) (<= Y_1 -3))))")
    expected = UnionOfPolyhedra.of(
        *(Polyhedron.from_points([(1, 1)], rays) for rays in ([(-1, -1), (0, 1)],)),
        Polyhedron.from_points([(0, -3)], [(0, -1)], [(1, 0)]))
    assert unsafe_outputs(network, above).equals(expected)
    mixed = parse_property(head + "(assert (or (<= (+ Y_0 X_0) 1) (>= Y_0 2)))")
    assert unsafe_outputs(network, mixed).equals(Polyhedron.from_points([(2, 0)], [(1, 0)], [(0, 1)]))
    assert unsafe_outputs(network, parse_property(head + "(assert (<= (+ Y_0 X_0) 1))")) is None


def test_verify_names_the_set(capsys, tmp_path):
    tiny.write_family(tmp_path)
    code, _, _ = run(capsys, "verify", RANDOM, TIP, "--all", "--plot", "all.svg")
    assert code == 10
    assert {"all counterexamples", "counterexample"} <= texts("all.svg")
