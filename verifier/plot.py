"""Pictures of exact sets: the only module that imports matplotlib, and only when a picture is drawn.

What is drawn is exact until the last moment: sets are sliced, projected and clipped to the view in rational arithmetic,
and only then their corners become floats.  So flat parts are drawn as the segments and points they are, and unbounded
ones end at the frame.

Ten polygons want outlines, ten thousand would drown in them: the width of lines follows the number of parts.  Figures
are built without pyplot, hence without a display or global state, and the same picture has the same bytes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.formats.errors import InputError
from verifier.geometry.ball import Ball
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.rational import Matrix, nearest_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS = (".png", ".svg", ".pdf")
MOST_OUTLINED = 2_000
MOST_DRAWN = 10**150  # the libraries that draw multiply coordinates
MOST_VECTORS = 20_000
"""More polygons become pixels inside an SVG or PDF file, which would not open otherwise."""

Colour = tuple[float, float, float]
_FILL: Colour = (0.55, 0.72, 0.90)
_LINE: Colour = (0.10, 0.30, 0.55)
_UNSAFE = "tab:red"


def _nothing() -> None:
    """Between two parts of a picture."""


@dataclass(frozen=True)
class Tile:
    """A region of the input space, and what it is coloured by: its activation pattern, its affine map, anything."""

    region: Polyhedron
    key: Hashable


@dataclass(frozen=True)
class Marks:
    """What is drawn over a picture, in the coordinates of the whole space, and the texts around it."""

    unsafe: UnionOfPolyhedra | Polyhedron | None = None
    counterexample: Sequence[Fraction] | None = None
    title: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    """Names of coordinates for the axes; others are numbered."""
    ball: Ball | None = None
    """A ball of the plane of the picture, drawn as its outline."""
    label: str = ""
    """What the set is called in the legend; without it the legend names the marks alone."""


def _drawn(value: Fraction) -> float:
    """A coordinate, about.  Raises InputError beyond what pictures have."""
    if abs(value) > MOST_DRAWN:
        raise InputError(f"a picture has coordinates up to {float(MOST_DRAWN):.0e}, received a larger one")
    return nearest_float(value)


@dataclass
class _Shapes:
    """What is left of a set in the plane of the picture, as floats; ``keys`` run along ``polygons``."""

    polygons: list[list[tuple[float, float]]] = field(default_factory=list)
    keys: list[Hashable] = field(default_factory=list)
    segments: list[list[tuple[float, float]]] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, region: Polyhedron, view: Polyhedron, key: Hashable = None) -> None:
        if not region.is_bounded():
            region = region.intersection(view)
        corners = [(_drawn(x), _drawn(y)) for x, y in region.vertices()]
        if len(corners) > 2:
            self.polygons.append(corners)
            self.keys.append(key)
        elif len(corners) == 2:
            self.segments.append(corners)
        else:
            self.points.extend(corners)


def draw_set(union: UnionOfPolyhedra, path: str | PathLike[str], outputs: Sequence[int] = (0, 1),
             marks: Marks | None = None, between: Callable[[], None] = _nothing) -> None:
    """The projection of a union of polyhedra on two coordinates, written to a PNG, SVG or PDF file.

    ``marks.unsafe`` and ``marks.counterexample`` live in the space of the union.  ``between()`` is called before each
    part is dealt with; what it raises ends the work.  Raises InputError for another file ending,
    without matplotlib, for coordinates that do not exist, and when the file cannot be written.
    """
    marks = marks or Marks()
    require_drawable(path, outputs, union.ambient_dimension)
    parts = []
    for part in union.parts:
        between()
        flat = part.projection(outputs)
        if flat.vertices():
            parts.append(flat)
    picture = _Picture(path, outputs, "Y", parts, marks)
    shapes = _Shapes()
    for part in parts:
        shapes.add(part, picture.view)
    picture.polygons(shapes, [_FILL] * len(shapes.polygons), _LINE, opacity=0.6, label=marks.label)
    picture.write()


def draw_partition(tiles: Iterable[Tile], path: str | PathLike[str], inputs: Sequence[int] = (0, 1),
                   fixed: Mapping[int, Fraction] | None = None, marks: Marks | None = None,
                   between: Callable[[], None] = _nothing, overlap: bool = False) -> None:
    """Regions of the input space on two inputs, one colour a key, written to a PNG, SVG or PDF file.

    The inputs in ``fixed`` are held at the given values (a slice, of the unsafe set too); all others are projected
    away.  Regions that have no area in the picture are left out.  ``marks`` live in the space of the regions.
    ``between`` as of :func:`draw_set`.  ``overlap``: that regions may lie over each other is shown.

    Raises InputError as :func:`draw_set`, and when ``fixed`` leaves nothing to be drawn.
    """
    marks = marks or Marks()
    regions = list(tiles)
    dimension = regions[0].region.ambient_dimension if regions else 0
    require_drawable(path, inputs, dimension)
    values = dict(fixed or {})
    if set(values) & set(inputs) or not set(values) <= set(range(dimension)):
        raise InputError(f"inputs {sorted(values)} of {dimension} cannot be fixed in a picture of {list(inputs)}")
    rows = [[*(Fraction(i == j) for i in range(dimension)), Fraction(value)] for j, value in values.items()]
    plane = Polyhedron.from_matrix(Matrix.from_rationals(rows, dimension + 1), [True] * len(rows))
    visible = []
    for tile in regions:
        between()
        flat = (tile.region.intersection(plane) if rows else tile.region).projection(inputs)
        if len(flat.vertices()) > 2 or flat.dimension == 2:
            visible.append((flat, tile.key))
    if not visible:
        raise InputError("no region has an area in the plane of the picture")
    unsafe = marks.unsafe.intersection(plane) if marks.unsafe is not None and rows else marks.unsafe
    picture = _Picture(path, inputs, "X", [region for region, _ in visible], replace(marks, unsafe=unsafe))
    shapes = _Shapes()
    for region, key in visible:
        shapes.add(region, picture.view, key)
    palette = {key: _colour(i) for i, key in enumerate(dict.fromkeys(shapes.keys))}
    picture.polygons(shapes, [palette[key] for key in shapes.keys], (0.2, 0.2, 0.2), 0.5 if overlap else 1.0)
    picture.write()


class _Picture:
    """One figure with its view, the rectangle in which everything is drawn."""

    def __init__(self, path: str | PathLike[str], coordinates: Sequence[int], letter: str,
                 parts: Sequence[Polyhedron], marks: Marks) -> None:
        self._matplotlib = _load()
        self._path = Path(path)
        self._marks = marks
        self._coordinates = tuple(coordinates)
        point = marks.counterexample
        self._spot = None if point is None else tuple(Fraction(point[j]) for j in coordinates)
        corners = [v for part in parts for v in part.vertices()] + ([] if self._spot is None else [self._spot])
        box = _view(corners)
        self.view = Polyhedron.from_points([(x, y) for x in (box[0][0], box[0][1]) for y in (box[1][0], box[1][1])])
        self._legend: list[Any] = []
        self._figure = self._matplotlib.figure.Figure(figsize=(6.4, 4.8), layout="constrained")
        self._axes: Axes = self._figure.add_subplot()
        self._axes.set_xlim(*map(_drawn, box[0]))
        self._axes.set_ylim(*map(_drawn, box[1]))
        names = [marks.names.get(j, f"{letter}_{j}") for j in coordinates]
        self._axes.set_xlabel(names[0], parse_math=False)
        self._axes.set_ylabel(names[1], parse_math=False)
        self._axes.set_title(marks.title, parse_math=False, fontsize="medium")

    def polygons(self, shapes: _Shapes, colours: Sequence[Colour], line: Colour, opacity: float = 1.0,
                 label: str = "") -> None:
        """Filled polygons under segments and points; overlaps show when the polygons are few and not opaque."""
        if label:
            self._legend.append(self._matplotlib.patches.Patch(facecolor=(*_FILL, opacity), edgecolor=line,
                                                               label=label))
        collections = self._matplotlib.collections
        many = len(shapes.polygons) > MOST_OUTLINED
        width = 0.2 if many else max(0.2, 0.9 - len(shapes.polygons) / MOST_OUTLINED)
        fill = collections.PolyCollection(shapes.polygons, linewidths=width,
                                          facecolors=[(*c, 1.0 if many else opacity) for c in colours],
                                          edgecolors="face" if many else [line])  # bare edges leave white seams
        fill.set_rasterized(len(shapes.polygons) > MOST_VECTORS)
        self._axes.add_collection(fill, autolim=False)
        lines = collections.LineCollection(shapes.segments, colors=[line], linewidths=0.5 if many else 1.6)
        lines.set_rasterized(len(shapes.segments) > MOST_VECTORS)
        self._axes.add_collection(lines, autolim=False)
        self._dots(shapes, 4 if many else 14, line, 3)

    def _dots(self, shapes: _Shapes, size: float, colour: Colour | str, zorder: float) -> None:
        if shapes.points:
            x, y = zip(*shapes.points, strict=True)
            self._axes.scatter(x, y, s=size, color=colour, zorder=zorder)

    def write(self) -> None:
        """Add the marks and save the file."""
        self._draw_ball()
        legend = [*self._legend, *self._draw_unsafe(), *self._draw_counterexample()]
        if legend:
            self._figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False)
        dates: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
        try:
            with self._matplotlib.rc_context({"svg.hashsalt": "verifier"}):
                self._figure.savefig(self._path, dpi=200, metadata=dates.get(self._path.suffix.lower()))
        except OSError as error:
            raise InputError(f"{self._path}: cannot write the picture: {error.strerror or error}") from error

    def _draw_unsafe(self) -> list[Any]:
        unsafe = self._marks.unsafe
        if unsafe is None:
            return []
        parts = unsafe.parts if isinstance(unsafe, UnionOfPolyhedra) else (unsafe,)
        shapes = _Shapes()
        for part in parts:
            shapes.add(part.projection(self._coordinates).intersection(self.view), self.view)
        collections = self._matplotlib.collections
        style = {"facecolors": [(0.84, 0.15, 0.16, 0.12)], "edgecolors": _UNSAFE, "hatch": "///", "linewidths": 0.8}
        self._axes.add_collection(collections.PolyCollection(shapes.polygons, zorder=2.5, **style), autolim=False)
        self._axes.add_collection(collections.LineCollection(shapes.segments, colors=_UNSAFE, linewidths=2, zorder=2.5),
                                  autolim=False)
        self._dots(shapes, 20, _UNSAFE, 2.5)
        shown = shapes.polygons or shapes.segments or shapes.points
        return [self._matplotlib.patches.Patch(facecolor=(0.84, 0.15, 0.16, 0.12), edgecolor=_UNSAFE, hatch="///",
                                               label="unsafe" if shown else "unsafe (outside of the picture)")]

    def _draw_ball(self) -> None:
        ball = self._marks.ball
        if ball is None:
            return
        x, y = map(nearest_float, ball.centre)
        r = nearest_float(ball.radius)
        patches, style = self._matplotlib.patches, {"fill": False, "edgecolor": "black", "linewidth": 1.6, "zorder": 3}
        corners = [(x - r, y), (x, y - r), (x + r, y), (x, y + r)]
        if ball.norm == "inf":
            corners = [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
        outline = patches.Circle((x, y), r, **style) if ball.norm == "2" else patches.Polygon(corners, **style)
        self._axes.add_patch(outline)
        self._axes.set_aspect("equal")
        self._axes.locator_params(axis="x", nbins=6)  # the axis is short now

    def _draw_counterexample(self) -> list[Any]:
        if self._spot is None:
            return []
        x, y = map(nearest_float, self._spot)
        return [self._axes.scatter([x], [y], marker="*", s=140, color="gold", edgecolors="black", linewidths=0.8,
                                   zorder=4, label="counterexample")]


def _view(corners: Sequence[Sequence[Fraction]]) -> list[tuple[Fraction, Fraction]]:
    """The range of both axes: the corners and a margin around them."""
    if not corners:
        return [(Fraction(-1), Fraction(1))] * 2
    ranges = []
    for column in zip(*corners, strict=True):
        low, high = min(column), max(column)
        margin = (high - low) / 16 or max(abs(high), Fraction(1)) / 16
        ranges.append((low - margin, high + margin))
    return ranges


def _colour(index: int) -> Colour:
    """Steps of the golden angle: neighbours in the sequence differ, however long it is."""
    return colorsys.hls_to_rgb(index * 0.6180339887498949 % 1, (0.72, 0.58, 0.82)[index % 3], 0.6)


def require_drawable(path: str | PathLike[str], coordinates: Sequence[int], dimension: int) -> None:
    """Raise InputError as :func:`draw_set` does, before the set is there."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: a picture is a file that ends in {', '.join(ENDINGS)}")
    if len(coordinates) != 2 or coordinates[0] == coordinates[1]:
        raise InputError(f"a picture needs two different coordinates, received {list(coordinates)}")
    if dimension < 2:
        raise InputError(f"{path}: a picture shows two coordinates, and this set has {dimension}")
    if not all(0 <= j < dimension for j in coordinates):
        raise InputError(f"a picture of the coordinates {list(coordinates)} needs a set that has them, "
                         f"received one of dimension {dimension}")
    _load()


def _load() -> Any:
    """Matplotlib with the submodules that are used."""
    try:
        import matplotlib  # noqa: PLC0415  (an optional dependency)
        import matplotlib.collections  # noqa: PLC0415
        import matplotlib.figure  # noqa: PLC0415
        import matplotlib.patches  # noqa: PLC0415
    except ImportError as error:
        raise InputError('pictures need matplotlib: pip install "relu-verifier[plot]"') from error
    return matplotlib
