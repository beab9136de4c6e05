"""The reachable set of a network: the images of its cells.

Requirement
    A chain of layers and an input domain as in :mod:`verifier.engines.propagate`.
Return
    One exact polyhedron in output space for each cell, by generators; some may be flat, and some may overlap.
Method
    On a cell the network is an affine map.  An affine map takes generators to generators: the vertices of the cell,
    exactly (:mod:`verifier.engines.shared_vertices`), or those (and rays and lines) of its rows in the representation
    by linear programs.  Inputs and outputs are kept together, so that every vertex of an image has an input that
    attains it.  Cells by vertices are kept without coordinates; what is exact is computed when it is asked for.  In
    many inputs a cell has no list of generators: there rows and map are the image
    (:mod:`verifier.engines.star_cells`).
Property
    Exact and complete: the cells cover the domain, so their images cover the set, and nothing else is in an image.
    An affine map that is injective on the cell takes vertices to vertices, all different.
Reference
    Xiang, Tran and Johnson, *Reachable set computation and safety verification for neural networks with ReLU
    activations* (2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from verifier.engines.cell_units import Batch
from verifier.engines.propagate import Cell
from verifier.engines.shared_vertices import Attained, VertexCells
from verifier.engines.star_cells import LP_WORK, StarCell, star_cell
from verifier.geometry.float_maps import Flags, FloatMaps
from verifier.geometry.homogeneous import Constraints, Generators, Vector, distinct, primitive, unsigned
from verifier.geometry.polytope import MOST_CONVERTED, Polyhedron
from verifier.geometry.representation import normalised
from verifier.geometry.traversal import FloatCells
from verifier.kernel.network import Layer
from verifier.kernel.rational import FloatArray, Matrix

IMAGE_WORK = 150_000  # of one vertex of a cell by linear programs
FLOAT_WORK = 300      # of one vertex in floating point, with its share of the cell


@dataclass(frozen=True, eq=False)
class MappedCell:
    """A cell and its image: the cell's ``vertices`` with their outputs, and the ``rays`` and ``lines`` ``(0, x, y)`` of
    the graph.

    ``pattern`` has one byte for each unit: 1 active (or without a phase), 0 inactive.  ``minimal``: no vertex is one of
    the others' hull.  ``injective``: the affine map is, on the cell (False: nobody knows).
    """

    pattern: bytes
    vertices: tuple[Attained, ...]
    rays: tuple[Vector, ...] = ()
    lines: tuple[Vector, ...] = ()
    minimal: bool = False
    injective: bool = False

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return len(self.vertices[0].input) - 1

    @property
    def graph(self) -> Generators:
        """The set of all ``(x, y)`` on the cell, by vectors ``(t, x, y)``."""
        return Generators(tuple(map(_joined, self.vertices)), self.rays, self.lines)

    @property
    def region(self) -> Polyhedron:
        """The cell, in input space."""
        return self._shadow([v.input for v in self.vertices], slice(1, self.inputs + 1), self.minimal)

    @cached_property
    def image(self) -> Polyhedron:
        """Its outputs."""
        outputs = [v.output for v in self.vertices]
        return self._shadow(outputs if self.injective else distinct(outputs), slice(self.inputs + 1, None),
                            self.minimal and self.injective)

    def _shadow(self, vertices: Iterable[Vector], part: slice, minimal: bool) -> Polyhedron:
        rays, lines = ([primitive((0, *v[part])) for v in vectors if any(v[part])] for vectors in
                       (self.rays, self.lines))
        generators = Generators(tuple(vertices), distinct(rays), distinct(map(unsigned, lines)))
        dimension = len(generators.vertices[0]) - 1
        ordered = dimension > 2 and minimal  # those of a polygon would have to be counterclockwise
        return Polyhedron(dimension, None, Generators(generators.vertices, generators.rays, generators.lines, ordered))

    def attaining(self, output: Vector) -> Vector | None:
        """An input ``(t, x)`` of the cell with this output, a vector ``(t, y)``; None when the image does not contain
        it.  For a vertex with this output it is the first such vertex."""
        known = self._by_output.get(output)
        if known is not None:
            return known
        size = self.inputs + len(output) - 1
        rows = tuple(primitive((-b, *(output[0] * (k == self.inputs + j) for k in range(size))))
                     for j, b in enumerate(output[1:]))
        found = Polyhedron(size, None, self.graph).constrained(Constraints((), rows)).any_generators.vertices
        return primitive(found[0][:self.inputs + 1]) if found else None

    @cached_property
    def _by_output(self) -> dict[Vector, Vector]:
        return {v.output: v.input for v in reversed(self.vertices)}


def _joined(vertex: Attained) -> Vector:
    """``(t, x, y)``, which is primitive when both vectors are."""
    (s, *x), (t, *y) = vertex
    both = math.lcm(s, t)
    return (both, *(v * (both // s) for v in x), *(v * (both // t) for v in y))


@dataclass(frozen=True, eq=False)
class MappedBatch:
    """Cells that a walk by vertices found together, and what floats prove of their images.

    ``full``: the affine map of a cell has full rank.  Output j lies between ``below[c, j]`` and ``above[c, j]`` on cell
    c (shapes (cells, outputs)); some vertex of some cell has it at most at ``least[j]``, some at least at
    ``greatest[j]``.
    """

    cells: VertexCells
    full: Flags
    below: FloatArray
    above: FloatArray
    least: FloatArray
    greatest: FloatArray

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, found: FloatCells, maps: FloatMaps, floor: FloatArray) -> MappedBatch:
        """Of the cells with these maps; all outputs are known to be at least ``floor``."""
        values, error = maps.at(found.owner, found.x, found.radius)
        low, high = (np.where(error == 0, values, np.nextafter(values + sign * error, sign * np.inf))
                     for sign in (-1, 1))
        low, high = np.fmax(low, floor), np.where(np.isnan(high), np.inf, high)
        return cls(VertexCells.of(found), maps.full_rank(), np.minimum.reduceat(low, found.start[:-1]),
                   np.maximum.reduceat(high, found.start[:-1]), high.min(axis=0), low.max(axis=0))


def least_outputs(layers: Sequence[Layer], outputs: int) -> FloatArray:
    """What is below all values of the outputs: 0 for units with a slope of at most 0, as ReLUs are.  Without it all the
    cells on which a ReLU vanishes somewhere would be asked for the least value."""
    slopes = [slope for (slope,) in layers[-1].slope.rows()] if layers else [1] * outputs
    return np.array([0.0 if slope <= 0 else -np.inf for slope in slopes])


def mapped(cell: Cell) -> MappedCell | StarCell:
    """The outputs on a cell that has rows and no vertices."""
    if cell.chart.dimension > MOST_CONVERTED:
        return star_cell(cell)
    weight, constant = cell.affine_map
    dimension = cell.chart.dimension
    rows = normalised(Constraints(tuple((row[-1], *row[:-1]) for row in cell.constraints), ()))
    basis, origin = cell.chart.linear()
    graph = Polyhedron(dimension, rows).affine_image(Matrix.from_rationals([*basis, *weight], dimension),
                                                     Matrix.column([*origin, *constant])).any_generators
    inputs = len(basis)
    return MappedCell(cell.signs, tuple(Attained(primitive(v[:inputs + 1]), primitive((v[0], *v[inputs + 1:])))
                                        for v in graph.vertices), graph.rays, graph.lines)


def map_cells(batch: Batch) -> tuple[list[MappedCell | StarCell] | list[MappedBatch], int]:
    """The visit that maps every cell: one result a cell, or one a batch of cells by vertices."""
    if isinstance(batch.found, FloatCells):
        maps = batch.propagation.float_maps(batch.found)
        one = MappedBatch.of(batch.found, maps, least_outputs(batch.propagation.region.kept, maps.error.shape[1]))
        return [one], FLOAT_WORK * len(batch.found.radius)
    found = [mapped(cell) for cell in batch.cells()]
    return found, sum(LP_WORK * 2 * one.image.ambient_dimension if isinstance(one, StarCell) else
                      IMAGE_WORK * len(one.vertices) for one in found)
