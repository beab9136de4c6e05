"""Domains that are points, and numbers beyond floats or of thousands of digits: answers, or one sentence, no crash."""

from __future__ import annotations

import json
from fractions import Fraction as F
from pathlib import Path

import pytest

from verifier import cli
from verifier.api import verify
from verifier.counting import count_all_regions
from verifier.engines.milp import Milp, no_solver
from verifier.formats.errors import InputError
from verifier.formats.witness import format_root
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.plot import draw_set
from verifier.properties.safety import Outcome
from verifier.sets import output_range, reach

MODELS = Path(__file__).parents[1] / "models"
ABSOLUTE = Network.from_arrays(weights=[[[1], [-1]], [[1, 1]]], biases=[[0, 0], [0]])
LINEAR = Network.from_arrays(weights=[[[2]]], biases=[[1]])
SUM = Network.from_arrays(weights=[[[1, 1], [0, 1]], [[1, 0], [0, 1]]], biases=[[0, 0], [0, 0]])
SPACE = Box((None,), (None,))
VAST = Box.from_bounds([0, 0], [F(10)**309, F(10)**309])


@pytest.mark.parametrize(("network", "layers", "value"), [(LINEAR, None, 3), (ABSOLUTE, 0, 1), (ABSOLUTE, None, 1)])
@pytest.mark.parametrize("merge", [False, True])
def test_the_set_of_a_point_is_a_point(network, layers, value, merge):
    found = reach(network, Box.from_bounds([1], [1]), layers=layers, merge=merge)
    assert [part.vertices() for part in found.union.parts] == [((value,),)]
    assert found.inputs(0) == ((1,),)


@pytest.mark.parametrize("power", [-320, -1074])
def test_boundaries_beyond_floats_are_found_in_all_of_space(power):
    far = F(2)**-power  # relu(2^power x + 1) has its kink there
    network = Network.from_arrays(weights=[[[F(2)**power]], [[1]]], biases=[[1], [0]])
    assert count_all_regions(network).activation.text == "2"
    found = reach(network, SPACE)
    assert sorted(part.dimension for part in found.union.parts) == [0, 1]
    assert {tuple(cell.region.vertices()) for cell in found.sources} == {((-far,),)}


def test_programs_of_floats_are_given_up_where_numbers_are_beyond():
    beyond = HalfSpace((F(0), F(0), F(-1), F(0)), -3 * F(10)**309)
    with pytest.raises(OverflowError):
        Milp(SUM, VAST, no_solver).program((beyond,))
    found = output_range(SUM, VAST, engine="milp")
    assert [(r.minimum.value, r.maximum.value) for r in found] == [(0, 2 * F(10)**309), (0, F(10)**309)]
    assert verify(SUM, [Query(SUM, VAST, ((beyond,),))], engine="milp").outcome is Outcome.HOLDS


def test_roots_beyond_floats_have_a_name():
    assert format_root(F(10)**400) == "1e+200"
    assert format_root(2 * F(10)**400).endswith("(about 1.414214e+200)")
    assert format_root(F(2) / F(10)**400).endswith("(about 1.414214e-200)")
    assert format_root(F(1, 2)) == "sqrt(1/2) (about 0.7071068)"


def test_pictures_beyond_floats_are_refused(tmp_path):
    vast = UnionOfPolyhedra(2, (Polyhedron.from_points([(0, 0), (F(10)**309, 1), (0, 2)]),))
    with pytest.raises(InputError, match="coordinates up to"):
        draw_set(vast, tmp_path / "vast.png")


def test_numbers_of_thousands_of_digits_are_converted():
    tiny = F(1, 10**5000)
    triangle = Polyhedron.from_points([(tiny, 0), (0, 1), (1, 1)])
    assert len(triangle.facets()) == 3
    assert Polyhedron.from_half_spaces(2, triangle.facets()).vertices() == triangle.vertices()


@pytest.mark.parametrize("text", ["inf\n", "nan\n0\n", "0.5,inf\n", "1e\n"])
def test_a_first_line_of_points_that_is_no_name_is_not_skipped(text, tmp_path, capsys):
    (tmp_path / "points.csv").write_text(text)
    arguments = ["--around", str(tmp_path / "points.csv"), "--radius", "1", "--norm", "1"]
    assert cli.run(["regions", str(MODELS / "absolute.onnx"), *arguments]) == 2
    assert "line 1" in capsys.readouterr().err


def test_a_first_line_of_names_is_skipped(tmp_path, capsys):
    (tmp_path / "points.csv").write_text("speed\n1\n")
    arguments = ["--around", str(tmp_path / "points.csv"), "--radius", "1/2", "--norm", "1", "--json"]
    assert cli.run(["regions", str(MODELS / "absolute.onnx"), *arguments]) == 0
    assert len(json.loads(capsys.readouterr().out)["points"]) == 1
