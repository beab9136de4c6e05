"""The image of a polyhedron under an affine map, without the vertices of either: a *star set*.

A cell in 20 inputs has a million vertices, its image in three outputs a dozen.  The image is kept as the rows of the
cell and the map, ``{W x + b : x in the source}``, and every question about it is one about the source:

* a linear function is least over the image where its pullback is least over the source: one linear program, which also
  tells boxes, directions and points beyond a half-space;
* a half-space of the image is one of the source, pulled back, so an intersection with half-spaces is an image again;
* the affine hull of the image is the image of the affine hull: f vanishes on it exactly when its pullback is a
  combination of the source's equations;
* a point is in the image when the source has a point above it; the intersection of two images is the image of the pairs
  of points that lie above the same one.

Vertices and facets are found by programs, too, when they are asked for
(:mod:`verifier.geometry.hull_by_programs`); that is for few coordinates.

Reference: Tran et al., *Star-based reachability analysis of deep neural networks* (2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from flint import fmpz_mat

from verifier.geometry import by_linear_programs, images
from verifier.geometry.by_linear_programs import RelativeInterior
from verifier.geometry.homogeneous import Constraints, Generators, Vector, echelon, primitive, side
from verifier.geometry.hull_by_programs import generators_by_programs
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.representation import constraints_of, normalised
from verifier.kernel.rational import Matrix, Point, common_denominator
from verifier.solvers.linear_program import Infeasible, Optimal, Unbounded

NO_CONSTRAINTS = Constraints(())
MOST_LISTED = 3
"""Coordinates up to which the vertices of an image are listed without being asked for."""


@dataclass(frozen=True, eq=False)
class AffineImage(Polyhedron):
    """``{M (1, x) : x in the source}``; ``rows`` is M, integers of shape (m + 1, n + 1) up to a positive factor, whose
    first row is ``(d, 0, ..., 0)``, ``d > 0``.

    ``inside`` is a point of the source's relative interior with the equations of its affine hull, if they are known.
    Make it by :meth:`under`.
    """

    source: Constraints = NO_CONSTRAINTS
    rows: tuple[Vector, ...] = ()
    inside: RelativeInterior | None = None

    def __post_init__(self) -> None:
        if len(self.rows) != self.ambient_dimension + 1 or self.rows[0][0] <= 0 or any(self.rows[0][1:]):
            raise ValueError(f"an affine map to R^{self.ambient_dimension} was required")

    @classmethod
    def under(cls, rows: Sequence[Vector], source: Constraints, inside: RelativeInterior | None = None) -> AffineImage:
        """The image under the map that :mod:`verifier.geometry.images` writes as these rows."""
        common = math.gcd(*(v for row in rows for v in row))
        return cls(len(rows) - 1, source=source, rows=tuple(tuple(v // common for v in row) for row in rows),
                   inside=inside)

    @property
    def source_dimension(self) -> int:
        """The dimension n of the space that the source lies in."""
        return len(self.rows[0]) - 1

    # --- descriptions, found when asked for --------------------------------------------------------------------------

    @property
    def is_implicit(self) -> bool:
        """Whether neither vertices nor facets are known."""
        return "generators" not in self.__dict__

    @property
    def _by_generators(self) -> bool:
        return not self.is_implicit

    @cached_property
    def generators(self) -> Generators:
        """Minimal, as of any polyhedron; by linear programs over the source."""
        return generators_by_programs(self.ambient_dimension, self._minimise)

    @cached_property
    def constraints(self) -> Constraints:
        """Minimal, as of any polyhedron; from the generators."""
        return constraints_of(self.ambient_dimension, self.generators)

    def matrix(self) -> tuple[tuple[Point, ...], Point]:
        """``(W, b)``: the rows of the weight, and the bias."""
        d = self.rows[0][0]
        return (tuple(tuple(Fraction(v, d) for v in row[1:]) for row in self.rows[1:]),
                tuple(Fraction(row[0], d) for row in self.rows[1:]))

    # --- linear programs over the source -----------------------------------------------------------------------------

    def _minimise(self, objective: Sequence[Fraction | int]) -> Optimal | Infeasible | Unbounded:
        exact = [Fraction(c) for c in objective]
        scale = common_denominator(exact)
        form = images.pulled_back(self.rows, (0, *(int(c * scale) for c in exact)))
        answer = by_linear_programs.minimise(self.source, form[1:])
        if isinstance(answer, Infeasible):
            return answer
        if isinstance(answer, Unbounded):
            return Unbounded(self._above(answer.x), self._above(answer.ray, 0))
        return Optimal((answer.value + form[0]) / (scale * self.rows[0][0]), self._above(answer.x),
                       answer.row_multipliers)

    def _above(self, x: Sequence[Fraction], t: int = 1) -> Point:
        """The image of a point, or of a direction for ``t = 0``."""
        scale = common_denominator(x)
        vector = (t * scale, *(int(v * scale) for v in x))
        return tuple(Fraction(side(row, vector), scale * self.rows[0][0]) for row in self.rows[1:])

    @cached_property
    def _interior(self) -> RelativeInterior | None:
        inside = self.inside or by_linear_programs.relative_interior(self.source, self.source_dimension)
        if inside is None:
            return None
        stacked = [*self.rows, *inside.equations]
        kernel, nullity = fmpz_mat(len(stacked), len(self.rows[0]), [v for row in stacked for v in row]
                                   ).transpose().nullspace()
        columns = [[int(kernel[i, k]) for i in range(len(self.rows))] for k in range(nullity)]
        return RelativeInterior(self._above(inside.point), tuple(echelon([c for c in columns if any(c)])[0]))

    # --- one point, two sets -----------------------------------------------------------------------------------------

    def source_point(self, vector: Sequence[int]) -> Point | None:
        """A point of the source whose image is ``y / t``, for integers ``(t, y)``, ``t > 0``; None when there is none.
        """
        above = tuple(primitive([vector[0] * a - y * b for a, b in zip(row, self.rows[0], strict=True)])
                      for row, y in zip(self.rows[1:], vector[1:], strict=True))
        answer = by_linear_programs.minimise(
            normalised(Constraints(self.source.inequalities, (*self.source.equations, *above))),
            (0,) * self.source_dimension)
        return None if isinstance(answer, Infeasible) else answer.x

    def contains_vector(self, vector: Sequence[int]) -> bool:
        """See :class:`Polyhedron`; by a linear program while no facets are known."""
        return self.source_point(vector) is not None if self.is_implicit else super().contains_vector(vector)

    def constrained(self, by: Constraints) -> Polyhedron:
        """See :class:`Polyhedron`; an image again."""
        more = images.backward(self.rows, by)
        return AffineImage.under(self.rows, normalised(Constraints(
            self.source.inequalities + more.inequalities, self.source.equations + more.equations)))

    def intersection(self, other: Polyhedron) -> Polyhedron:
        """See :class:`Polyhedron`; an image again."""
        self.require_same_space(other)
        if not isinstance(other, AffineImage) or not other.is_implicit:
            return self.constrained(other.any_constraints)
        rows = [(row[0], *(0,) * other.source_dimension, *row[1:]) for row in self.rows]
        return AffineImage.under(rows, self._pairs(other.source, other.rows))

    def _pairs(self, left: Constraints, rows: Sequence[Vector]) -> Constraints:
        """The pairs (z, x) with z of a set and x of the source that lie above the same point."""
        n, k = self.source_dimension, len(rows[0]) - 1
        ours, theirs = self.rows[0][0], rows[0][0]
        same = [(row[0] * ours - own[0] * theirs, *(v * ours for v in row[1:]), *(-v * theirs for v in own[1:]))
                for row, own in zip(rows[1:], self.rows[1:], strict=True)]
        return normalised(Constraints(
            (*((*form, *(0,) * n) for form in left.inequalities),
             *((form[0], *(0,) * k, *form[1:]) for form in self.source.inequalities)),
            (*((*form, *(0,) * n) for form in left.equations),
             *((form[0], *(0,) * k, *form[1:]) for form in self.source.equations), *map(primitive, same))))

    # --- maps --------------------------------------------------------------------------------------------------------

    def _image(self, rows: Sequence[Vector]) -> Polyhedron:
        if not self.is_implicit:
            return super()._image(rows)
        return AffineImage.under([images.pulled_back(self.rows, row) for row in rows], self.source, self.inside)

    def preimage(self, weight: Matrix, bias: Matrix) -> Polyhedron:
        """See :class:`Polyhedron`; an image again: of the pairs (z, x) with ``W z + b`` above x."""
        if not self.is_implicit:
            return super().preimage(weight, bias)
        k = weight.shape[1]
        pairs = self._pairs(NO_CONSTRAINTS, images.affine(weight, bias, k, self.ambient_dimension))
        return AffineImage.under(images.selection(range(k), k + self.source_dimension), pairs)
