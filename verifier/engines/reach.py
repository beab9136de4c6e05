"""The reachable set of a network: the images of its cells.

Requirement
    A chain of layers and an input domain as in :mod:`verifier.engines.propagate`.
Return
    One exact polyhedron in output space for each cell, by generators; some may be flat, and some may overlap.
Method
    On a cell the network is an affine map.  An affine map takes generators to generators: the vertices of the cell,
    exactly, or those (and rays and lines) of its rows in the representation by linear programs.  Inputs
    and outputs are kept together, so that every vertex of an image has an input that attains it.  In many inputs
    a cell has no list of generators: there rows and map are the image (:mod:`verifier.engines.star_cells`).
Property
    Exact and complete: the cells cover the domain, so their images cover the set, and nothing else is in an image.
Reference
    Xiang, Tran and Johnson, *Reachable set computation and safety verification for neural networks with ReLU
    activations* (2017).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from verifier.engines.cell_units import Batch, prepared
from verifier.engines.propagate import Cell, Region, Representation
from verifier.engines.star_cells import LP_WORK, StarCell, star_cell
from verifier.geometry.homogeneous import (
    Constraints,
    Generators,
    Vector,
    distinct,
    from_point,
    primitive,
    to_point,
    unsigned,
)
from verifier.geometry.polytope import MOST_CONVERTED, Polyhedron
from verifier.geometry.representation import normalised
from verifier.kernel.rational import FloatArray, Matrix, Point, dot, nearest_float

MOST_VERTEX_IMAGES = 7  # inputs; with more, a cell's vertices cost more than programs (benchmarks/images.py)
IMAGE_WORK = 150_000  # of one vertex
GLANCE_WORK = 20_000  # of one vertex in floating point, with its share of the cell


@dataclass(frozen=True, eq=False)
class MappedCell:
    """A cell and its image, by the generators of their graph: vectors ``(t, x, y)`` of ``inputs`` and then outputs.

    ``pattern`` has one byte for each unit: 1 active (or without a phase), 0 inactive.
    """

    pattern: bytes
    inputs: int
    graph: Generators

    @property
    def region(self) -> Polyhedron:
        """The cell, in input space."""
        return self._shadow(slice(1, self.inputs + 1))

    @cached_property
    def image(self) -> Polyhedron:
        """Its outputs."""
        return self._shadow(slice(self.inputs + 1, None))

    def _shadow(self, part: slice) -> Polyhedron:
        vertices, rays, lines = ([primitive((v[0], *v[part])) for v in vectors] for vectors in
                                 (self.graph.vertices, self.graph.rays, self.graph.lines))
        return Polyhedron(len(vertices[0]) - 1, None, Generators(
            distinct(vertices), distinct(r for r in rays if any(r)), distinct(unsigned(r) for r in lines if any(r))))

    @cached_property
    def by_output(self) -> dict[Vector, Vector]:
        """The graph's vertices by their outputs, vectors ``(t, y)``; the first of several with one output."""
        return {primitive((v[0], *v[self.inputs + 1:])): v for v in reversed(self.graph.vertices)}

    def attaining(self, output: Vector) -> Point | None:
        """An input of the cell with this output, a vector ``(t, y)``; None when the image does not contain it."""
        vertex = self.by_output.get(output)
        if vertex is not None:
            return to_point(vertex[:self.inputs + 1])
        size = self.inputs + len(output) - 1
        rows = tuple(primitive((-b, *(output[0] * (k == self.inputs + j) for k in range(size))))
                     for j, b in enumerate(output[1:]))
        found = Polyhedron(size, None, self.graph).constrained(Constraints((), rows)).point()
        return None if found is None else found[:self.inputs]


def mapped(cell: Cell) -> MappedCell | StarCell:
    """The outputs on a cell."""
    if not cell.has_vertices and cell.chart.dimension > MOST_CONVERTED:
        return star_cell(cell)
    weight, constant = cell.affine_map
    if cell.has_vertices:
        vertices = []
        for u in cell.chart_vertices:
            v = [Fraction(p, u[-1]) for p in u[:-1]]
            y = (dot(row, v) + c for row, c in zip(weight, constant, strict=True))
            vertices.append(from_point((*cell.chart.point(u), *y)))
        return MappedCell(cell.signs, len(cell.chart.point(u)), Generators(tuple(vertices)))
    dimension = cell.chart.dimension
    rows = normalised(Constraints(tuple((row[-1], *row[:-1]) for row in cell.constraints), ()))
    basis, origin = cell.chart.linear()
    graph = Polyhedron(dimension, rows).affine_image(Matrix.from_rationals([*basis, *weight], dimension),
                                                     Matrix.column([*origin, *constant]))
    return MappedCell(cell.signs, len(basis), graph.any_generators)


def representation_of(region: Region) -> Representation:
    """The representation in which the region's cells are mapped.  Raises EmptyDomainError."""
    usual = prepared(region, "auto")
    return "lp" if usual.chart.dimension > MOST_VERTEX_IMAGES else usual.representation


def map_cells(batch: Batch) -> tuple[list[MappedCell | StarCell], int]:
    """The visit that maps every cell."""
    found = [mapped(cell) for cell in batch.cells()]
    return found, sum(LP_WORK * 2 * one.image.ambient_dimension if isinstance(one, StarCell) else
                      IMAGE_WORK * len(one.graph.vertices) for one in found)


@dataclass(frozen=True)
class Glance:
    """The visit that looks for the best vertex for each objective over ``(x, N(x))``, in floating point: one result a
    batch, for each objective the value seen and the vertex, exactly.

    A proposal, not a proof: whoever uses it evaluates the vertices exactly and proves that nothing is better.  So
    overflow is harmless and silent.
    """

    objectives: tuple[Point, ...]

    @np.errstate(over="ignore", invalid="ignore")
    def __call__(self, batch: Batch) -> tuple[list[tuple[tuple[float, Point], ...]], int]:
        """See :class:`verifier.engines.cell_units.Visit`."""
        best = [-np.inf] * len(self.objectives)
        where: list[tuple[Cell, int]] = []
        rows = np.array([[nearest_float(c) for c in objective] for objective in self.objectives])
        work = 0
        for cell in batch.cells():
            values = _float_values(cell) @ rows.T
            work += GLANCE_WORK * len(values)
            places = values.argmax(axis=0).tolist()
            where = where or [(cell, place) for place in places]
            for number, place in enumerate(places):
                if values[place, number] > best[number]:
                    best[number], where[number] = float(values[place, number]), (cell, place)
        return [tuple((value, cell.vertices[place]) for value, (cell, place) in zip(best, where, strict=True))], work


def _float_values(cell: Cell) -> FloatArray:
    """``(x, N(x))`` at the vertices, about, shape (vertices, inputs + outputs)."""
    weight, constant = cell.affine_map
    basis, origin = cell.chart.linear()
    rows = [*basis, *weight]
    linear = np.array([[nearest_float(v) for v in row] for row in rows]).reshape(len(rows), -1)
    points, _ = cell.float_vertices
    values: FloatArray = points @ linear.T + np.array([nearest_float(v) for v in (*origin, *constant)])
    return values


def best_points(glances: Iterable[tuple[tuple[float, Point], ...]]) -> list[Point]:
    """Of what :class:`Glance` saw, the best vertex for each objective (nothing when it saw nothing)."""
    best: list[tuple[float, Point]] = []
    for seen in glances:
        best = [new if new[0] > old[0] else old for new, old in zip(seen, best or seen, strict=True)]
    return [point for _, point in best]
