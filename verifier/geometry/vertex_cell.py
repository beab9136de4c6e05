"""A polytope by vertices and vertex-facet incidence, in exact arithmetic: the plain form of the compiled traversal.

Theory.  Cutting a full-dimensional polytope P by a hyperplane ``h = 0`` asks for the sign of ``h`` at every vertex.  If
both signs occur, both closed sides are full-dimensional; their vertices are those of P on their side (a vertex with
``h = 0`` is on both) and one new vertex in the interior of each edge whose ends have opposite signs.  If only one sign
occurs, the hyperplane misses P or touches a face of lower dimension, and nothing is split.

*Edges.*  The smallest face with both vertices p and q is the intersection of the facets that contain both.  It is the
segment pq exactly when no third vertex lies in all of them.  This holds in degenerate position too, where counting
common facets (at least n - 1) is necessary and not sufficient.

*Incidence.*  Each hyperplane that splits gets a number; a vertex knows all recorded hyperplanes it lies on.  A new
vertex lies in the interior of an edge, so on those that contain the edge, and on the new one.  Recorded hyperplanes
that only touch a smaller cell do no harm: the face they cut out contains p and q with the whole smallest face of p and
q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifier.geometry.chart import Chart, Homogeneous, Row, primitive


@dataclass(frozen=True)
class VertexCell:
    """A full-dimensional polytope in ``dimension`` coordinates; ``incidence[v]`` has bit f set when vertex v lies on
    hyperplane f."""

    dimension: int
    vertices: tuple[Homogeneous, ...]
    incidence: tuple[int, ...]

    @classmethod
    def cube(cls, dimension: int) -> VertexCell:
        """``[-1, 1]^k``; hyperplane ``2 j`` is ``u_j = -1``, ``2 j + 1`` is ``u_j = 1``."""
        vertices, incidence = [], []
        for corner in range(1 << dimension):
            upper = [corner >> j & 1 for j in range(dimension)]
            vertices.append((*(2 * b - 1 for b in upper), 1))
            incidence.append(sum(1 << (2 * j + b) for j, b in enumerate(upper)))
        return cls(dimension, tuple(vertices), tuple(incidence))

    def values(self, row: Row) -> list[int]:
        """Positive multiples of the affine function at the vertices."""
        return [sum(a * p for a, p in zip(row, v, strict=True)) for v in self.vertices]

    def split(self, row: Row, hyperplane: int) -> tuple[VertexCell | None, VertexCell | None]:
        """The parts where the function is ``>= 0`` and ``<= 0``; None for a part that is not full-dimensional.

        A function that is zero everywhere counts as negative.
        """
        values = self.values(row)
        if max(values) <= 0:
            return None, self
        if min(values) >= 0:
            return self, None
        crossing: list[tuple[Homogeneous, int]] = []
        for p, a in enumerate(values):
            for q, b in enumerate(values):
                if a > 0 > b and self._adjacent(p, q):
                    point = primitive([a * y - b * x for x, y in zip(self.vertices[p], self.vertices[q], strict=True)])
                    crossing.append((point, self.incidence[p] & self.incidence[q] | 1 << hyperplane))
        parts = []
        for sign in (1, -1):
            kept = [(v, f if a else f | 1 << hyperplane)
                    for v, f, a in zip(self.vertices, self.incidence, values, strict=True) if sign * a >= 0]
            parts.append(VertexCell(self.dimension, *map(tuple, zip(*kept, *crossing, strict=True))))
        return parts[0], parts[1]

    def _adjacent(self, p: int, q: int) -> bool:
        common = self.incidence[p] & self.incidence[q]
        return common.bit_count() >= self.dimension - 1 and not any(
            f & common == common for r, f in enumerate(self.incidence) if r not in (p, q))


def domain_cell(chart: Chart) -> VertexCell:
    """The domain as a cell; hyperplane f is ``chart.rows[f]``.

    Raises ValueError when the domain is unbounded (a coordinate without two bounds).
    """
    if not all(chart.bounded):
        raise ValueError("an unbounded domain has no representation by vertices: give every input two bounds")
    cell = VertexCell.cube(chart.dimension)
    names = {_cube_row(chart.dimension, h): h for h in range(2 * chart.dimension)}
    number = {names[row]: f for f, row in enumerate(chart.rows) if row in names}
    cell = VertexCell(cell.dimension, cell.vertices, tuple(
        sum(1 << number[h] for h in range(2 * chart.dimension) if mask >> h & 1) for mask in cell.incidence))
    for f, row in enumerate(chart.rows):
        if row not in names:
            cell = _below(cell, row, f)
    return cell


def _cube_row(dimension: int, hyperplane: int) -> Row:
    sign = 1 if hyperplane % 2 else -1
    return (*(sign * (j == hyperplane // 2) for j in range(dimension)), -1)


def _below(cell: VertexCell, row: Sequence[int], hyperplane: int) -> VertexCell:
    below = cell.split(tuple(row), hyperplane)[1]
    assert below is not None, "a chart makes its domain full-dimensional"
    return below
