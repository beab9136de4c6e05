"""The reachable set of a network: the images of its cells.

Requirement
    A chain of layers and an input domain as in :mod:`verifier.engines.propagate`.
Return
    One exact polyhedron in output space for each cell, by generators; some may be flat, and some may overlap.
Method
    On a cell the network is an affine map.  An affine map takes generators to generators: the vertices of the cell,
    exactly, or those (and rays and lines) of its rows in the representation by linear programs.  The cell's vertices
    are kept beside the image: every vertex of the image is the image of one of them.
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

import numpy as np

from verifier.engines.cell_units import Batch
from verifier.engines.propagate import Cell
from verifier.geometry import images
from verifier.geometry.homogeneous import Constraints, Generators, Vector, distinct, from_point, to_point
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised
from verifier.kernel.rational import FloatArray, Matrix, Point, dot, nearest_float

IMAGE_WORK = 150_000  # of one vertex
GLANCE_WORK = 20_000  # of one vertex in floating point, with its share of the cell


@dataclass(frozen=True, eq=False)
class MappedCell:
    """A cell and its image.  ``pattern`` has one byte for each unit: 1 active (or without a phase), 0 inactive.
    ``region`` is the cell in input space; its given vertices run parallel to ``attained``, their outputs."""

    pattern: bytes
    region: Polyhedron
    image: Polyhedron
    attained: tuple[Vector, ...]

    def inputs(self) -> dict[Vector, Point]:
        """For each output that a vertex of the cell attains, as a vector ``(t, v)``: that vertex."""
        return {y: to_point(x) for x, y in zip(reversed(self.region.any_generators.vertices), reversed(self.attained),
                                               strict=True)}


def mapped(cell: Cell) -> MappedCell:
    """The outputs on a cell."""
    weight, constant = cell.affine_map
    if cell.has_vertices:
        inputs, outputs = [], []
        for u in cell.chart_vertices:
            inputs.append(from_point(cell.chart.point(u)))
            v = [Fraction(p, u[-1]) for p in u[:-1]]
            outputs.append(from_point([dot(row, v) + c for row, c in zip(weight, constant, strict=True)]))
        return MappedCell(cell.signs, Polyhedron(len(inputs[0]) - 1, None, Generators(tuple(inputs))),
                          Polyhedron(len(weight), None, Generators(distinct(outputs))), tuple(outputs))
    dimension = cell.chart.dimension
    rows = normalised(Constraints(tuple((row[-1], *row[:-1]) for row in cell.constraints), ()))
    generators = Polyhedron(dimension, rows).generators
    basis, origin = cell.chart.linear()
    maps = [images.affine(Matrix.from_rationals(linear, dimension), Matrix.column(shift), dimension, len(linear))
            for linear, shift in ((basis, origin), (weight, constant))]
    outputs = [images.forward(maps[1], Generators((v,))).vertices[0] for v in generators.vertices]
    return MappedCell(cell.signs, Polyhedron(len(basis), None, images.forward(maps[0], generators)),
                      Polyhedron(len(weight), None, images.forward(maps[1], generators)), tuple(outputs))


def map_cells(batch: Batch) -> tuple[list[MappedCell], int]:
    """The visit that maps every cell."""
    found = [mapped(cell) for cell in batch.cells()]
    return found, IMAGE_WORK * sum(len(one.attained) for one in found)


@dataclass(frozen=True)
class Glance:
    """The visit that looks for the best vertex for each objective over ``(x, N(x))``, in floating point: one result a
    batch, for each objective the value seen and the vertex, exactly.

    A proposal, not a proof: whoever uses it evaluates the vertices exactly and proves that nothing is better.
    """

    objectives: tuple[Point, ...]

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
