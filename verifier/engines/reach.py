"""The reachable set of a network: the images of its cells.

Requirement
    A chain of layers and an input domain as in :mod:`verifier.engines.propagate`.
Return
    One exact polyhedron in output space for each cell, by generators; some may be flat, and some may overlap.
Method
    On a cell the network is an affine map.  An affine map takes generators to generators: the vertices of the cell,
    exactly, or those (and rays and lines) of its rows in the representation by linear programs.
Property
    Exact and complete: the cells cover the domain, so their images cover the set, and nothing else is in an image.
Reference
    Xiang, Tran and Johnson, *Reachable set computation and safety verification for neural networks with ReLU
    activations* (2017).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from verifier.geometry.homogeneous import Constraints
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised
from verifier.kernel.rational import Matrix, Point, dot, nearest_float

if TYPE_CHECKING:
    from verifier.engines.propagate import Cell


def image(cell: Cell) -> Polyhedron:
    """The outputs on a cell."""
    weight, constant = cell.affine_map
    if cell.has_vertices:
        points = ([Fraction(p, u[-1]) for p in u[:-1]] for u in cell.chart_vertices)
        return Polyhedron.from_points([tuple(dot(row, u) + c for row, c in zip(weight, constant, strict=True))
                                       for u in points])
    rows = normalised(Constraints(tuple((row[-1], *row[:-1]) for row in cell.constraints), ()))
    dimension = cell.chart.dimension
    return Polyhedron(dimension, rows).affine_image(Matrix.from_rationals(weight, dimension), Matrix.column(constant))


class BestVertices:
    """For each of several objectives over ``(x, N(x))`` the vertex that looks best in floating point.

    A proposal, not a proof: whoever uses it evaluates the vertices exactly and proves that nothing is better.
    """

    def __init__(self, objectives: Iterable[Point]) -> None:
        self._objectives = tuple(objectives)
        self._best = [-np.inf] * len(self._objectives)
        self._where: list[tuple[Cell, int] | None] = [None] * len(self._objectives)

    def look_at(self, cell: Cell) -> None:
        """Consider the vertices of a cell."""
        weight, constant = cell.affine_map
        basis, origin = cell.chart.linear()
        rows = [*basis, *weight]
        linear = np.array([[nearest_float(v) for v in row] for row in rows]).reshape(len(rows), -1)
        offset = np.array([nearest_float(v) for v in (*origin, *constant)])
        points, _ = cell.float_vertices
        values = points @ linear.T + offset
        for number, objective in enumerate(self._objectives):
            reached = values @ np.array([nearest_float(c) for c in objective])
            index = int(reached.argmax())
            if reached[index] > self._best[number]:
                self._best[number], self._where[number] = float(reached[index]), (cell, index)

    def points(self) -> list[Point | None]:
        """The best vertex for each objective, exactly; None when no cell was looked at."""
        return [None if found is None else found[0].vertices[found[1]] for found in self._where]
