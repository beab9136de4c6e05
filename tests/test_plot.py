from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction as F

import pytest

from tests.geometry.polyhedra import box
from verifier import plot
from verifier.formats.errors import InputError
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.plot import Marks, Tile, draw_partition, draw_set

pytest.importorskip("matplotlib", reason="pictures are an optional extra")

TRIANGLE = Polyhedron.from_points([(0, 1), (0, 2), (F(1, 2), 1)])
SEGMENT = Polyhedron.from_points([(0, 1), (0, 5)])
POINT = Polyhedron.from_points([(F(1, 3), F(9, 2))])
UNION = UnionOfPolyhedra.of(TRIANGLE, SEGMENT, POINT, Polyhedron.empty(2))
UNSAFE = Polyhedron.from_half_spaces(2, [HalfSpace((F(0), F(-1)), F(-4))])


def groups(svg: str) -> dict[str, int]:
    """How many shapes each collection of an SVG file has."""
    parts = re.split(r'<g id="((?:Fill)?PolyCollection|LineCollection|PathCollection)_\d+">', svg)
    counts: dict[str, int] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        counts[name] = counts.get(name, 0) + len(re.findall(r"<path |<use ", body.split("</g>\n   <g id")[0]))
    return counts


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_the_ending_decides_the_format_and_bytes_repeat(tmp_path, ending, magic):
    contents = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.{ending}"
        draw_set(UNION, path, marks=Marks(UNSAFE, (F(0), F(9, 2)), "a title with $ and _"))
        contents.append(path.read_bytes())
    assert contents[0].startswith(magic)
    assert contents[0] == contents[1]


def test_polygons_segments_and_points_are_all_drawn(tmp_path):
    path = tmp_path / "set.svg"
    draw_set(UNION, path)
    found = groups(path.read_text())
    assert found["PolyCollection"] >= 1
    assert found["LineCollection"] == 1
    assert found["PathCollection"] >= 1
    assert "<!-- counterexample -->" not in path.read_text()


def test_marks_and_names_are_written(tmp_path):
    path = tmp_path / "set.svg"
    far = Polyhedron.from_points([(100, 100), (101, 100), (100, 101)])
    draw_set(UNION, path, (1, 0), Marks(far, (F(0), F(1)), "E1", {1: "speed"}))
    text = path.read_text()
    for label in ("unsafe (outside of the picture)", "counterexample", "E1", "speed", "Y_0"):
        assert f"<!-- {label} -->" in text
    draw_set(UNION, path, marks=Marks(UNSAFE))
    assert "<!-- unsafe -->" in path.read_text()


def test_the_picture_shows_the_set_where_it_is(tmp_path):
    """Left half filled, right half not: read back from the pixels."""
    from matplotlib.image import imread

    path = tmp_path / "set.png"
    corner = Polyhedron.from_points([(2, 1)])
    draw_set(UnionOfPolyhedra.of(box((0, 1), (0, 1)), corner), path)
    pixels = imread(path)
    height, width, _ = pixels.shape
    left, right = pixels[height // 2, int(width * 0.35)], pixels[height // 2, int(width * 0.7)]
    assert left[2] > left[0] + 0.1  # blue
    assert min(right[:3]) == 1.0  # white


def test_unbounded_parts_end_at_the_frame(tmp_path):
    path = tmp_path / "set.svg"
    strip = Polyhedron.from_box(Box((F(0), None), (F(1), None)))
    quadrant = Polyhedron.from_points([(0, 0)], rays=[(1, 0), (0, 1)])
    draw_set(UnionOfPolyhedra.of(strip, quadrant), path)
    assert groups(path.read_text())["PolyCollection"] >= 2
    draw_set(UnionOfPolyhedra.of(Polyhedron.from_box(Box.whole_space(2))), path)
    draw_set(UnionOfPolyhedra(2, ()), path)


def test_equal_keys_have_equal_colours(tmp_path):
    path = tmp_path / "cells.svg"
    draw_partition([Tile(box((i, i + 1), (0, 1)), i % 3) for i in range(6)], path)
    colours = re.findall(r"fill: (#[0-9a-f]{6})[^\n]*stroke: #333333", path.read_text())
    assert len(colours) == 6
    assert colours[:3] == colours[3:]
    assert len(set(colours)) == 3


def test_slices_and_shadows(tmp_path):
    path = tmp_path / "cells.svg"
    cubes = [Tile(box((i, i + 1), (j, j + 1), (k, k + 1)), (i, j, k)) for i in (0, 1) for j in (0, 1) for k in (0, 1)]

    def drawn(**options):
        draw_partition(cubes, path, **options)
        return len(re.findall(r"stroke: #333333", path.read_text()))

    assert drawn(inputs=(0, 2), fixed={1: F(1, 2)}) == 4
    assert drawn(inputs=(0, 2)) == 8
    assert "<!-- X_2 -->" in path.read_text()
    marked = Marks(unsafe=box((0, 1), (0, 1), (0, 1)))
    assert drawn(inputs=(0, 2), fixed={1: F(3, 2)}, marks=marked) == 4
    assert "<!-- unsafe (outside of the picture) -->" in path.read_text()
    with pytest.raises(InputError, match="no region"):
        draw_partition(cubes, path, (0, 1), {2: F(7)})


def test_many_polygons_have_no_outlines(tmp_path):
    path = tmp_path / "cells.svg"
    tiles = [Tile(box((i, i + 1), (j, j + 1)), i * j) for i in range(50) for j in range(50)]
    draw_partition(tiles, path)
    assert "stroke: #333333" not in path.read_text()
    draw_partition(tiles[:100], path)
    assert "stroke: #333333" in path.read_text()


@pytest.mark.parametrize(("arguments", "message"), [
    (("set.gif",), "ends in .png, .svg, .pdf"),
    (("set",), "ends in"),
    (("set.png", (0, 0)), "two different coordinates"),
    (("set.png", (0,)), "two different coordinates"),
    (("set.png", (0, 2)), "of dimension 2"),
    (("no folder/set.png",), "cannot write"),
])
def test_wrong_use(tmp_path, arguments, message):
    path, *rest = arguments
    with pytest.raises(InputError, match=message):
        draw_set(UNION, tmp_path / path, *rest)
    with pytest.raises(InputError, match=message if "dimension 2" not in message else "needs a set that has them"):
        draw_partition([Tile(TRIANGLE, 0)], tmp_path / path, *rest)
    assert list(tmp_path.iterdir()) == []


def test_wrong_slices(tmp_path):
    with pytest.raises(InputError, match="cannot be fixed"):
        draw_partition([Tile(TRIANGLE, 0)], tmp_path / "a.png", fixed={0: F(1)})
    with pytest.raises(InputError, match="shows two coordinates"):
        draw_partition([], tmp_path / "a.png")


def test_without_matplotlib_the_remedy_is_named(tmp_path, monkeypatch):
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=re.escape('pip install "relu-verifier[plot]"')):
        draw_set(UNION, tmp_path / "set.png")


def test_matplotlib_is_loaded_late():
    code = f"import sys, {plot.__name__}; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          timeout=60).stdout.strip() == "False"
