"""Unions of polyhedra as JSON, version 2.

    {"format": "union of polyhedra", "version": 2, "dimension": 2, "parts": [
        {"vertices": [0, 1], "rays": [], "lines": []},
        {"inequalities": [["1", "0", "3/2"]], "equations": []},
        {"cell": {"inequalities": [["1", "3"], ["-1", "1"]], "equations": []}, "map": [["2", "0"], ["1/2", "1"]]}],
     "points": [
        ["0", "1"],
        ["1/2", "1"]],
     "inputs": [
        ["7"],
        ["-1/3"]]}

A part has generators, ``vertices``, ``rays`` and ``lines``, or constraints (``inequalities``, ``equations``), or both,
and then they describe the same set.  Missing lists of a description that is there are empty; no vertices: the empty
set.  A vertex is the number of a point in ``points``, which counts from 0: neighbouring parts share most of their
vertices.  Where ``inputs`` are there, each is an input with the point of this number as its output.  A ray or a line is
a list of coordinates.  A constraint is the list ``a_1, ..., a_n, b`` and means ``a . x <= b``, or ``a . x = b``.  Or a
part is the image of a ``cell``, which is given by constraints in a space of its own, under an affine ``map``: for each
coordinate the list ``w_1, ..., w_k, c``, which means ``w . x + c``.  Every coordinate is a string: an integer, or
``p/q`` in integers with ``q > 0``.  Nothing is rounded.

Version 1, which is read too, has no ``points``: a vertex is a list of coordinates, and ``inputs`` are a list in the
part, one for each vertex.

Reading does not trust the text: other keys, numbers in another notation and lists of a wrong length raise ValueError
with the place.  That two descriptions of one part agree is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from flint import fmpq, fmpz

from verifier.geometry import images
from verifier.geometry.affine_image import MOST_LISTED, AffineImage
from verifier.geometry.homogeneous import Constraints, Generators, Vector, distinct, primitive_of, unsigned
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.rational import Matrix

FORMAT = "union of polyhedra"
VERSION = 2
MOST_DIGITS = 100_000
_NUMBER = re.compile(r"(-?[0-9]+)(?:/([0-9]+))?", re.ASCII)
_VERTICES, _POINTS, _INPUTS = "vertices", "points", "inputs"
_DIRECTIONS = ("rays", "lines")
_CONSTRAINTS = ("inequalities", "equations")
_IMAGE = ("cell", "map")
Inputs = Callable[[int, Sequence[Vector]], Sequence[Vector]]


def to_json(union: UnionOfPolyhedra, constraints: bool = False, inputs: Inputs | None = None) -> str:
    """The text of :func:`json_lines`."""
    return "".join(json_lines(union, constraints, inputs))


def json_lines(union: UnionOfPolyhedra, constraints: bool = False, inputs: Inputs | None = None) -> Iterator[str]:
    """The text in pieces, a part or a point a line: each part as it is known, or with minimal ``constraints`` beside
    its vertices.  Of an image in few coordinates the vertices are found.

    ``inputs(i, vertices)`` gives for each of these vertices ``(t, y)`` of part i an input ``(t, x)`` that attains it.
    """
    yield (f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION}, "dimension": {union.ambient_dimension}, '
           '"parts": [')
    numbers: dict[tuple[Vector, Vector | None], int] = {}
    for i, part in enumerate(union.parts):
        described = _describe(part, constraints)
        if _VERTICES in described:
            vertices = (part.generators if constraints else part.any_generators).vertices
            named = (None,) * len(vertices) if inputs is None else inputs(i, vertices)
            described[_VERTICES] = [numbers.setdefault(pair, len(numbers))
                                    for pair in zip(vertices, named, strict=True)]
        yield ("," if i else "") + "\n  " + json.dumps(described)
    for name, place in ((_POINTS, 0), *(((_INPUTS, 1),) if inputs is not None else ())):
        yield f'],\n "{name}": ['
        for i, pair in enumerate(numbers):
            vector = pair[place]
            assert vector is not None
            yield ("," if i else "") + "\n  " + json.dumps(_numbers(vector[1:], vector[0]))
    yield "]}\n"


def from_json(text: str | bytes) -> UnionOfPolyhedra:
    """The union that :func:`to_json` wrote.  Raises ValueError when the text is anything else."""
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ValueError("the text is nested too deeply to be a union of polyhedra") from error
    _require(isinstance(data, dict) and data.get("format") == FORMAT, f'expected an object with "format": "{FORMAT}"')
    version, dimension, parts = data.get("version"), data.get("dimension"), data.get("parts")
    _require(type(version) is int and version in (1, VERSION), f"expected version 1 or {VERSION}, received {version!r}")
    _require(type(dimension) is int and dimension >= 1, f"expected a positive dimension, received {dimension!r}")
    _require(isinstance(parts, list), 'expected a list "parts"')
    points = None
    if version == VERSION:
        points = _points(_rows(data, _POINTS, dimension, "the set"))
        _check_inputs(data, len(points), "the set")
    return UnionOfPolyhedra(dimension, tuple(_part(part, dimension, f"part {i}", points)
                                             for i, part in enumerate(parts)))


def _describe(part: Polyhedron, both: bool) -> dict[str, Any]:
    """The part without its vertices, of which there is an empty list."""
    image = isinstance(part, AffineImage)
    if isinstance(part, AffineImage) and not both and part.is_implicit and part.ambient_dimension > MOST_LISTED:
        d = part.rows[0][0]
        return {"cell": _described(part.source), "map": [_numbers((*row[1:], row[0]), d) for row in part.rows[1:]]}
    result: dict[str, Any] = {}
    if both or image or part.given_generators is not None:
        g = part.generators if both else part.any_generators
        result |= {_VERTICES: [], **{name: [_numbers(v[1:], 1) for v in vectors]
                                     for name, vectors in zip(_DIRECTIONS, (g.rays, g.lines), strict=True)}}
    if both or part.given_constraints is not None:
        result |= _described(part.constraints if both else part.any_constraints)
    return result


def _described(given: Constraints) -> dict[str, list[list[str]]]:
    return {name: [_numbers((*(-a for a in form[1:]), form[0]), 1) for form in forms]
            for name, forms in zip(_CONSTRAINTS, (given.inequalities, given.equations), strict=True)}


def _numbers(numerators: Iterable[int], denominator: int) -> list[str]:
    return [str(fmpq(v, denominator)) for v in numerators]  # unlike Python's, of any length


def _part(data: Any, dimension: int, place: str, points: Sequence[Vector] | None) -> Polyhedron:
    _require(isinstance(data, dict) and bool(data), f"{place}: expected an object with vertices or inequalities")
    if set(data) & set(_IMAGE):
        return _image(data, dimension, place)
    unknown = set(data) - {_VERTICES, *_DIRECTIONS, *_CONSTRAINTS, *((_INPUTS,) if points is None else ())}
    _require(not unknown, f"{place}: unknown keys {sorted(unknown)}")
    generators = constraints = None
    if set(data) & {_VERTICES, *_DIRECTIONS}:
        vertices = (_points(_rows(data, _VERTICES, dimension, place)) if points is None else
                    _chosen(data.get(_VERTICES, []), points, f"{place}, {_VERTICES}"))
        rays, lines = (_rows(data, name, dimension, place) for name in _DIRECTIONS)
        _require(bool(vertices) or not (rays or lines), f"{place}: rays and lines need a vertex to start from")
        generators = Generators(distinct(vertices), _directions(rays, lambda v: v), _directions(lines, unsigned))
    if points is None:
        vertices = data.get(_VERTICES, ())
        _check_inputs(data, len(vertices) if isinstance(vertices, list) else 0, place)
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


def _points(rows: Iterable[Sequence[Fraction]]) -> list[Vector]:
    return [primitive_of((1, *row)) for row in rows]


def _chosen(numbers: Any, points: Sequence[Vector], place: str) -> list[Vector]:
    _require(isinstance(numbers, list), f"{place}: expected a list of numbers of points")
    for number in numbers:
        _require(type(number) is int and 0 <= number < len(points),
                 f"{place}: expected the number of one of {len(points)} points, received {str(number)[:40]!r}")
    return [points[number] for number in numbers]


def _check_inputs(data: dict[str, Any], count: int, place: str) -> None:
    """That ``inputs``, if they are there, are a list of so many points of one length."""
    if _INPUTS in data:
        named = data[_INPUTS]
        _require(isinstance(named, list) and len(named) == count,
                 f"{place}: inputs is no list with one entry for each vertex")
        _rows(data, _INPUTS, len(named[0]) if named and isinstance(named[0], list) else 0, place)


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
