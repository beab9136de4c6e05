"""Unions of polyhedra as JSON, version 1.

    {"format": "union of polyhedra", "version": 1, "dimension": 2, "parts": [
        {"vertices": [["0", "1"], ["1/2", "1"]], "rays": [], "lines": []},
        {"inequalities": [["1", "0", "3/2"]], "equations": []},
        {"cell": {"inequalities": [["1", "3"], ["-1", "1"]], "equations": []}, "map": [["2", "0"], ["1/2", "1"]]}]}

A part has generators (``vertices``, ``rays``, ``lines``, each a list of points or directions), or constraints
(``inequalities``, ``equations``), or both, and then they describe the same set.  Missing lists of a description that is
there are empty; no vertices: the empty set.  A constraint is the list ``a_1, ..., a_n, b`` and means ``a . x <= b``, or
``a . x = b``.  Or a part is the image of a ``cell``, which is given by constraints in a space of its own, under an
affine ``map``: for each coordinate the list ``w_1, ..., w_k, c``, which means ``w . x + c``.  Every number is a string:
an integer, or ``p/q`` in integers with ``q > 0``.  Nothing is rounded.

Reading does not trust the text: other keys, numbers in another notation and lists of a wrong length raise ValueError
with the place.  That two descriptions of one part agree is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from flint import fmpz

from verifier.geometry import images
from verifier.geometry.affine_image import MOST_LISTED, AffineImage
from verifier.geometry.homogeneous import Constraints, Generators, Vector, distinct, primitive_of, unsigned
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.rational import Matrix, Point, to_text

FORMAT = "union of polyhedra"
VERSION = 1
MOST_DIGITS = 100_000
_NUMBER = re.compile(r"(-?[0-9]+)(?:/([0-9]+))?", re.ASCII)
_GENERATORS = ("vertices", "rays", "lines")
_CONSTRAINTS = ("inequalities", "equations")
_IMAGE = ("cell", "map")
_INPUTS = "inputs"


def to_json(union: UnionOfPolyhedra, constraints: bool = False,
            inputs: Callable[[int, Sequence[Vector]], Sequence[Point]] | None = None) -> str:
    """The text, one line a part: each part as it is known, or with minimal ``constraints`` beside its vertices.  Of an
    image in few coordinates the vertices are found.

    ``inputs(i, vertices)`` gives the inputs that attain these vertices of part i.
    """
    return "".join(pieces_of_json(union, constraints, inputs))


def pieces_of_json(union: UnionOfPolyhedra, constraints: bool = False,
                   inputs: Callable[[int, Sequence[Vector]], Sequence[Point]] | None = None,
                   between: Callable[[], None] = lambda: None) -> Iterator[str]:
    """The text of :func:`to_json` in pieces.  ``between()`` is called before each part whose vertices have to be found;
    what it raises ends the work."""
    yield (f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION}, "dimension": {union.ambient_dimension}, '
           '"parts": [')
    for i, part in enumerate(union.parts):
        if part.is_implicit:
            between()
        described = _describe(part, constraints)
        if inputs is not None and "vertices" in described:
            vertices = (part.generators if constraints else part.any_generators).vertices
            described[_INPUTS] = [[_numbers((v.numerator,), v.denominator)[0] for v in x] for x in inputs(i, vertices)]
        yield f"{',' if i else ''}\n  {json.dumps(described)}"
    yield "]}\n"


def from_json(text: str | bytes) -> UnionOfPolyhedra:
    """The union that :func:`to_json` wrote.  Raises ValueError when the text is anything else."""
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ValueError("the text is nested too deeply to be a union of polyhedra") from error
    _require(isinstance(data, dict) and data.get("format") == FORMAT, f'expected an object with "format": "{FORMAT}"')
    _require(data.get("version") == VERSION, f"expected version {VERSION}, received {data.get('version')!r}")
    dimension, parts = data.get("dimension"), data.get("parts")
    _require(type(dimension) is int and dimension >= 1, f"expected a positive dimension, received {dimension!r}")
    _require(isinstance(parts, list), 'expected a list "parts"')
    return UnionOfPolyhedra(dimension, tuple(_part(part, dimension, f"part {i}") for i, part in enumerate(parts)))


def _describe(part: Polyhedron, both: bool) -> dict[str, Any]:
    image = isinstance(part, AffineImage)
    if isinstance(part, AffineImage) and not both and part.is_implicit and part.ambient_dimension > MOST_LISTED:
        weight, bias = part.matrix()
        return {"cell": _constraints(part.source),
                "map": [[to_text(v) for v in (*row, c)] for row, c in zip(weight, bias, strict=True)]}
    result: dict[str, Any] = {}
    if both or image or part.given_generators is not None:
        g = part.generators if both else part.any_generators
        result |= {name: [_numbers(v[1:], v[0] or 1) for v in vectors]
                   for name, vectors in zip(_GENERATORS, (g.vertices, g.rays, g.lines), strict=True)}
    if both or part.given_constraints is not None:
        result |= _constraints(part.constraints if both else part.any_constraints)
    return result


def _constraints(given: Constraints) -> dict[str, list[list[str]]]:
    return {name: [_numbers((*(-a for a in form[1:]), form[0]), 1) for form in forms]
            for name, forms in zip(_CONSTRAINTS, (given.inequalities, given.equations), strict=True)}


def _numbers(numerators: Iterable[int], denominator: int) -> list[str]:
    return [to_text(Fraction(v, denominator)) for v in numerators]


def _part(data: Any, dimension: int, place: str) -> Polyhedron:
    _require(isinstance(data, dict) and bool(data), f"{place}: expected an object with vertices or inequalities")
    if set(data) & set(_IMAGE):
        return _image(data, dimension, place)
    unknown = set(data) - {*_GENERATORS, *_CONSTRAINTS, _INPUTS}
    _require(not unknown, f"{place}: unknown keys {sorted(unknown)}")
    if _INPUTS in data:
        named = data[_INPUTS]
        _require(isinstance(named, list) and len(named) == len(data.get("vertices", ())),
                 f"{place}: inputs is no list with one entry for each vertex")
        _rows(data, _INPUTS, len(named[0]) if named and isinstance(named[0], list) else 0, place)
    generators = constraints = None
    if set(data) & set(_GENERATORS):
        points, rays, lines = (_rows(data, name, dimension, place) for name in _GENERATORS)
        _require(bool(points) or not (rays or lines), f"{place}: rays and lines need a vertex to start from")
        generators = Generators(distinct(primitive_of((1, *p)) for p in points), _directions(rays, lambda v: v),
                                _directions(lines, unsigned))
    if set(data) & set(_CONSTRAINTS):
        constraints = _read_constraints(data, dimension, place)
    if generators and constraints and not (Polyhedron(dimension, constraints).equals(
            Polyhedron(dimension, None, generators))):
        raise ValueError(f"{place}: its vertices and its inequalities describe different sets")
    return Polyhedron(dimension, constraints, generators)


def _read_constraints(data: dict[str, Any], dimension: int, place: str) -> Constraints:
    forms = [tuple(primitive_of((row[-1], *(-a for a in row[:-1]))) for row in
                   _rows(data, name, dimension + 1, place)) for name in _CONSTRAINTS]
    return normalised(Constraints(forms[0], forms[1]))


def _image(data: dict[str, Any], dimension: int, place: str) -> AffineImage:
    _require(set(data) == set(_IMAGE), f"{place}: an image has a cell and a map, and nothing else")
    cell, rows = data["cell"], data["map"]
    _require(isinstance(cell, dict) and not set(cell) - set(_CONSTRAINTS), f"{place}: a cell has inequalities and "
             "equations, and nothing else")
    _require(isinstance(rows, list) and len(rows) == dimension and isinstance(rows[0], list) and len(rows[0]) > 1,
             f"{place}: expected a map with {dimension} rows")
    size = len(rows[0]) - 1
    exact = _rows(data, "map", size + 1, place)
    made = images.affine(Matrix.from_rationals([row[:-1] for row in exact], size),
                         Matrix.column([row[-1] for row in exact]), size, dimension)
    return AffineImage.under(made, _read_constraints(cell, size, f"{place}, cell"))


def _directions(rows: Iterable[Sequence[Fraction]], canonical: Callable[[Vector], Vector]) -> tuple[Vector, ...]:
    return distinct(canonical(primitive_of((0, *row))) for row in rows if any(row))


def _rows(data: dict[str, Any], name: str, width: int, place: str) -> list[list[Fraction]]:
    rows = data.get(name, [])
    _require(isinstance(rows, list), f"{place}: {name} is no list")
    for i, row in enumerate(rows):
        _require(isinstance(row, list) and len(row) == width,
                 f"{place}, {name} {i}: expected a list of {width} numbers")
    return [[_number(value, f"{place}, {name} {i}") for value in row] for i, row in enumerate(rows)]


def _number(value: Any, place: str) -> Fraction:
    match = _NUMBER.fullmatch(value) if isinstance(value, str) and len(value) <= MOST_DIGITS else None
    if match is None:
        raise ValueError(f'{place}: expected a string "p" or "p/q" of at most {MOST_DIGITS} characters, '
                         f"received {str(value)[:40]!r}")
    denominator = int(fmpz(match[2] or "1"))
    _require(denominator != 0, f"{place}: the denominator of {value[:40]!r} is zero")
    return Fraction(int(fmpz(match[1])), denominator)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
