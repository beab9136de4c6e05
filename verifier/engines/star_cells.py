"""Cells in many inputs and their images, without vertices.

A cell is the rows that bound it, its image the affine map on them (:mod:`verifier.geometry.affine_image`).  Both are in
coordinates of the inputs: the domain's affine hull is among the equations.
"""

from __future__ import annotations

from dataclasses import dataclass

from flint import fmpz_mat

from verifier.engines.propagate import Cell
from verifier.engines.shared_vertices import Attained
from verifier.geometry.affine_image import AffineImage
from verifier.geometry.by_linear_programs import RelativeInterior
from verifier.geometry.homogeneous import Constraints, Vector, from_point, primitive, to_point
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import normalised

LP_WORK = 300_000  # of a linear program for the bounding box


@dataclass(frozen=True, eq=False)
class StarCell:
    """A cell and its image; ``pattern`` has one byte for each unit: 1 active (or without a phase), 0 inactive."""

    pattern: bytes
    inputs: int
    image: AffineImage

    @property
    def region(self) -> Polyhedron:
        """The cell, in input space."""
        return Polyhedron(self.inputs, self.image.source)

    @property
    def vertices(self) -> tuple[Attained, ...]:
        """None is known."""
        return ()

    def attaining(self, output: Vector) -> Vector | None:
        """An input ``(t, x)`` of the cell with this output, a vector ``(t, y)``; None when the image does not contain
        it."""
        if not self.image.bounding_box().contains(to_point(output)):
            return None
        x = self.image.source_point(output)
        return None if x is None else from_point(x)


def star_cell(cell: Cell) -> StarCell:
    """The cell and its image, with the image's bounding box, which is found here: where cells are dealt to processes.
    """
    chart = cell.chart
    constraints = cell.constraints
    forms = fmpz_mat(len(constraints), chart.dimension + 1, [v for row in constraints for v in row]) * chart.over_ones
    table, _ = cell.maps.output_table(cell.signs)
    *outputs, ones = (tuple(map(int, row)) for row in (table * chart.over_ones).tolist())
    inside = RelativeInterior(cell.interior, chart.hull)
    source = normalised(Constraints(tuple(primitive(list(map(int, row))) for row in forms.tolist()), chart.hull))
    image = AffineImage.under((ones, *outputs), source, inside)
    image.bounding_box()  # remembered
    return StarCell(cell.signs, len(inside.point), image)
