"""One convex polyhedron, exactly, by constraints, by generators, or by both.

What was given is kept, the other description is computed when a question needs it, and remembered.  A set may be flat
(a segment in the plane), unbounded, all of space or empty; none of these is an exception.

Every yes/no question has a companion that returns the witness: ``is_empty`` and :meth:`Polyhedron.point`,
``is_bounded`` and :meth:`Polyhedron.direction`, ``includes`` and :meth:`Polyhedron.point_outside`, ``intersects`` and
:meth:`Polyhedron.common_point`.

*By generators or by linear programs.*  In up to five dimensions a set given by constraints is converted, once, and
all its questions are answered by signs of integers.  In more dimensions it may have too many vertices, so emptiness,
inclusion, bounds, dimension and interior are linear programs, and images and projections are kept as such
(:mod:`verifier.geometry.affine_image`); vertices, facets of a set given by vertices, and hulls convert when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from verifier.geometry import images, low_dimension, representation, support, volume
from verifier.geometry.by_linear_programs import RelativeInterior, minimise, relative_interior, without_redundancy
from verifier.geometry.homogeneous import (
    Constraints,
    Generators,
    Vector,
    distinct,
    from_point,
    primitive_of,
    rank,
    side,
    to_half_space,
    to_point,
    unsigned,
)
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.rational import Matrix, Point, to_fraction
from verifier.solvers.linear_program import Infeasible, Optimal, Unbounded

MOST_CONVERTED = 5
"""Dimensions in which constraints are converted to generators rather than asked by linear programs."""

Numbers = Sequence[Fraction | int | float]


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """A closed convex polyhedron of R^n, n = ``ambient_dimension`` >= 1.

    Use the constructors :meth:`from_points`, :meth:`from_half_spaces`, :meth:`from_matrix`, :meth:`from_box`.  When
    both ``given_constraints`` and ``given_generators`` are passed they must describe the same set; neither needs to be
    minimal.  Raises ValueError when neither is given or a length is wrong.  Compare sets with :meth:`equals`.
    """

    ambient_dimension: int
    given_constraints: Constraints | None = None
    given_generators: Generators | None = None

    def __post_init__(self) -> None:
        if self.ambient_dimension < 1:
            raise ValueError(f"a polyhedron needs at least 1 dimension, received {self.ambient_dimension}")
        if self.given_constraints is None and self.given_generators is None:
            raise ValueError("a polyhedron needs constraints or generators, received neither")
        given = [known for known in (self.given_constraints, self.given_generators) if known is not None]
        wrong = {len(v) - 1 for known in given for v in known.all} - {self.ambient_dimension}
        if wrong:
            raise ValueError(f"a polyhedron of R^{self.ambient_dimension} received vectors of length {sorted(wrong)}")

    # --- constructors ------------------------------------------------------------------------------------------------

    @classmethod
    def from_points(cls, points: Iterable[Numbers], rays: Iterable[Numbers] = (), lines: Iterable[Numbers] = (),
                    dimension: int | None = None) -> Polyhedron:
        """``conv(points) + cone(rays) + span(lines)``, floats taken exactly; no points: the empty set, which needs
        ``dimension``."""
        directions = [[d for d in (primitive_of((0, *r)) for r in rows) if any(d)] for rows in (rays, lines)]
        generators = Generators(distinct(map(from_point, points)), distinct(directions[0]),
                                distinct(map(unsigned, directions[1])))
        size = dimension if not generators.vertices else len(generators.vertices[0]) - 1
        if size is None:
            raise ValueError("the empty set needs its dimension, received no point")
        return cls(size, None, generators if generators.vertices else Generators(()))

    @classmethod
    def from_half_spaces(cls, dimension: int, half_spaces: Iterable[HalfSpace]) -> Polyhedron:
        """The intersection of closed half-spaces.  Raises ValueError for a strict one: its set is not closed."""
        rows = list(half_spaces)
        if any(h.strict for h in rows):
            raise ValueError("a polyhedron is closed: close the strict half-spaces first if that is what is meant")
        return cls._constrained(dimension, [(h.offset, *(-a for a in h.normal)) for h in rows], ())

    @classmethod
    def from_matrix(cls, rows: Matrix, equality: Sequence[bool] | None = None) -> Polyhedron:
        """``a_i . x <= b_i`` for the rows ``(a_i, b_i)`` of a matrix of shape (m, n + 1); ``=`` where ``equality``."""
        flags = (False,) * rows.shape[0] if equality is None else tuple(equality)
        signed = [(equal, (row[-1], *(-a for a in row[:-1]))) for row, equal in zip(rows.rows(), flags, strict=True)]
        return cls._constrained(rows.shape[1] - 1, [r for equal, r in signed if not equal],
                                [r for equal, r in signed if equal])

    @classmethod
    def from_box(cls, box: Box) -> Polyhedron:
        """A box, which may be flat or unbounded."""
        rows: list[Sequence[Fraction | int]] = []
        for j, (lower, upper) in enumerate(zip(box.lower, box.upper, strict=True)):
            for sign, bound in ((1, lower), (-1, upper)):
                if bound is not None:
                    rows.append((-sign * bound, *(sign * (i == j) for i in range(box.dimension))))
        return cls._constrained(box.dimension, rows, ())

    @classmethod
    def empty(cls, dimension: int) -> Polyhedron:
        """The empty set."""
        return cls(dimension, representation.empty_constraints(dimension), Generators((), minimal=True))

    @classmethod
    def _constrained(cls, dimension: int, inequalities: Iterable[Numbers], equations: Iterable[Numbers]) -> Polyhedron:
        return cls(dimension, representation.normalised(Constraints(tuple(map(primitive_of, inequalities)),
                                                                    tuple(map(primitive_of, equations)))))

    # --- descriptions ------------------------------------------------------------------------------------------------

    @cached_property
    def constraints(self) -> Constraints:
        """Minimal: one inequality a facet (unique up to the equations), independent equations of the affine hull."""
        n = self.ambient_dimension
        if self.given_generators is not None:
            return representation.constraints_of(n, self.given_generators)
        if self._by_generators:
            return representation.constraints_of(n, self.generators)
        if self._interior is None:
            return representation.empty_constraints(n)
        return without_redundancy(self.any_constraints, self._interior)

    @cached_property
    def generators(self) -> Generators:
        """Minimal: unique when there are no lines.  Polygons and intervals have their vertices in order."""
        n = self.ambient_dimension
        if self.given_generators is None:
            return representation.generators_of(n, self.any_constraints)
        if self.given_generators.minimal:
            return self.given_generators
        needed = n > 2 or self.given_generators.rays or self.given_generators.lines
        return representation.minimal_generators(n, self.given_generators, self.constraints if needed else None)

    @property
    def any_constraints(self) -> Constraints:
        """The given constraints, or else the minimal ones."""
        return self.given_constraints if self.given_constraints is not None else self.constraints

    @property
    def any_generators(self) -> Generators:
        """The given generators, or else the minimal ones."""
        return self.given_generators if self.given_generators is not None else self.generators

    @property
    def _by_generators(self) -> bool:
        return (self.given_generators is not None or self.ambient_dimension <= MOST_CONVERTED
                or "generators" in self.__dict__)

    def vertices(self) -> tuple[Point, ...]:
        """The vertices; with lines, one point of each minimal face."""
        return tuple(map(to_point, self.generators.vertices))

    def rays(self) -> tuple[Point, ...]:
        """The extreme rays, as primitive integer directions."""
        return tuple(map(to_point, self.generators.rays))

    def lines(self) -> tuple[Point, ...]:
        """A basis of the lines in the set."""
        return tuple(map(to_point, self.generators.lines))

    def facets(self) -> tuple[HalfSpace, ...]:
        """One half-space ``normal . x <= offset`` for each facet."""
        return tuple(map(to_half_space, self.constraints.inequalities))

    def equations(self) -> tuple[HalfSpace, ...]:
        """``normal . x = offset``: independent equations of the affine hull."""
        return tuple(map(to_half_space, self.constraints.equations))

    # --- one set -----------------------------------------------------------------------------------------------------

    def _minimise(self, objective: Sequence[Fraction | int]) -> Optimal | Infeasible | Unbounded:
        return minimise(self.any_constraints, objective)

    @cached_property
    def _interior(self) -> RelativeInterior | None:
        return relative_interior(self.any_constraints, self.ambient_dimension)

    def point(self) -> Point | None:
        """Some point of the set, None when it is empty."""
        if self._by_generators:
            vertices = self.any_generators.vertices
            return to_point(vertices[0]) if vertices else None
        return self.interior_point()

    def is_empty(self) -> bool:
        """Whether there is no point."""
        if self._by_generators:
            return not self.any_generators.vertices
        return self._interior is None

    @cached_property
    def dimension(self) -> int:
        """The dimension of the affine hull, -1 for the empty set."""
        if self._by_generators:
            return rank(self.any_generators.all) - 1 if self.any_generators.vertices else -1
        if self._interior is None:
            return -1
        return self.ambient_dimension - rank([row[1:] for row in self._interior.equations])

    def interior_point(self) -> Point | None:
        """A point of the relative interior (the set without its proper faces), None when the set is empty."""
        if not self._by_generators:
            return None if self._interior is None else self._interior.point
        generators = self.any_generators
        if not generators.vertices:
            return None
        columns = zip(*map(to_point, generators.vertices), strict=True)
        centre = [sum(column, Fraction(0)) / len(generators.vertices) for column in columns]
        return tuple(c + sum(ray[1 + j] for ray in generators.rays) for j, c in enumerate(centre))

    def direction(self) -> Point | None:
        """A nonzero direction in which the set goes on for ever, None when it is bounded."""
        if self._by_generators:
            unbounded = (*self.any_generators.rays, *self.any_generators.lines)
            return to_point(unbounded[0]) if unbounded else None
        for j in range(self.ambient_dimension):
            for sign in (1, -1):
                answer = self._minimise([sign * (i == j) for i in range(self.ambient_dimension)])
                if isinstance(answer, Unbounded):
                    return answer.ray
        return None

    def is_bounded(self) -> bool:
        """Whether the set lies in a box; the empty set does."""
        return self.direction() is None

    def maximum(self, objective: Numbers) -> Fraction | None:
        """``sup {objective . x}``; None for infinity.  Raises ValueError for the empty set."""
        exact = [to_fraction(c) for c in objective]
        if not self._by_generators:
            answer = self._minimise([-c for c in exact])
            if isinstance(answer, Infeasible):
                raise ValueError("the empty set has no maximum")
            return None if isinstance(answer, Unbounded) else -answer.value
        if not self.any_generators.vertices:
            raise ValueError("the empty set has no maximum")
        return support.maximum(self.any_generators, exact)

    def bounding_box(self) -> Box:
        """The smallest box that contains the set.  Raises ValueError for the empty set."""
        return self._bounding_box

    @cached_property
    def _bounding_box(self) -> Box:
        n = self.ambient_dimension
        if self.is_empty():
            raise ValueError("the empty set has no bounding box")
        if self._by_generators:
            return support.bounding_box(self.any_generators, n)
        units = [[int(i == j) for i in range(n)] for j in range(n)]
        lower = [self.maximum([-v for v in unit]) for unit in units]
        return Box(tuple(None if v is None else -v for v in lower), tuple(map(self.maximum, units)))

    def volume(self) -> Fraction:
        """The exact volume in R^n (area for n = 2), 0 for flat sets.

        Raises ValueError in more than five dimensions, and for an unbounded set with interior.
        """
        volume.require_few(self.ambient_dimension)
        if self.dimension < self.ambient_dimension:
            return Fraction(0)
        self._require_bounded()
        facets = () if self.ambient_dimension <= 2 else self.any_constraints.inequalities
        return volume.full_dimensional_volume(self.generators.vertices, facets)

    def relative_volume_squared(self) -> Fraction:
        """The square of the volume in the affine hull: of the length of a segment, of the area of a polygon in space;
        1 for a point, 0 for the empty set.  It is rational, its root need not be (:meth:`relative_volume`).

        Raises ValueError when that hull has more than five dimensions or the set is unbounded.
        """
        volume.require_few(self.dimension)
        self._require_bounded()
        return volume.relative_volume_squared(self.any_generators.vertices, self.dimension)

    def relative_volume(self) -> Fraction | None:
        """The volume in the affine hull, None when it is irrational."""
        return volume.rational_root(self.relative_volume_squared())

    def _require_bounded(self) -> None:
        if not self.is_bounded():
            raise ValueError("an unbounded set has no volume; it goes on along "
                             f"({', '.join(map(str, self.direction() or ()))})")

    # --- two sets ----------------------------------------------------------------------------------------------------

    def contains(self, point: Numbers) -> bool:
        """Exact membership of a point."""
        return self.contains_vector(from_point(point))

    def contains_vector(self, vector: Sequence[int]) -> bool:
        """Exact membership of the point ``v / t`` of integers ``(t, v)``, ``t > 0``."""
        forms = self.any_constraints
        return (all(side(form, vector) >= 0 for form in forms.inequalities)
                and all(side(form, vector) == 0 for form in forms.equations))

    def point_outside(self, other: Polyhedron) -> Point | None:
        """A point of ``other`` outside of this set, None when it contains all of ``other``."""
        self.require_same_space(other)
        for form in self.any_constraints.as_inequalities:
            found = other._point_beyond(form)
            if found is not None:
                return found
        return None

    def _point_beyond(self, form: Vector) -> Point | None:
        """A point of this set where the form is negative."""
        if not self._by_generators:
            answer = self._minimise(form[1:])
            if isinstance(answer, Unbounded):
                return support.move_beyond(form, answer.x, answer.ray)
            return answer.x if not isinstance(answer, Infeasible) and answer.value < -form[0] else None
        return support.point_beyond(self.any_generators, form)

    def includes(self, other: Polyhedron) -> bool:
        """Whether this set contains all of ``other``."""
        return self.point_outside(other) is None

    def equals(self, other: Polyhedron) -> bool:
        """Equality of the sets."""
        return self.includes(other) and other.includes(self)

    def common_point(self, other: Polyhedron) -> Point | None:
        """A point of both sets, None when they are disjoint."""
        return self.intersection(other).point()

    def intersects(self, other: Polyhedron) -> bool:
        """Whether the two closed sets have a point in common."""
        return self.common_point(other) is not None

    def intersection(self, other: Polyhedron) -> Polyhedron:
        """The points of both sets."""
        self.require_same_space(other)
        if not self.is_polygonal and (other.is_polygonal or other.is_implicit):
            return other.intersection(self)
        return self.constrained(other.any_constraints)

    @property
    def is_implicit(self) -> bool:
        """Whether the set is kept as an image, neither by constraints nor by generators."""
        return False

    @property
    def is_polygonal(self) -> bool:
        """Whether the set is known by the vertices of an interval or a polygon, so that it can be clipped."""
        return (self.ambient_dimension <= 2 and self.given_generators is not None
                and not self.given_generators.rays and not self.given_generators.lines)

    def constrained(self, by: Constraints) -> Polyhedron:
        """The points of this set that satisfy more constraints (primitive integer vectors)."""
        if self.is_polygonal:
            return Polyhedron(self.ambient_dimension, None, low_dimension.clip_all(self.generators, by))
        own = self.any_constraints
        return Polyhedron(self.ambient_dimension,
                          representation.normalised(Constraints(own.inequalities + by.inequalities,
                                                                own.equations + by.equations)))

    def require_same_space(self, other: Polyhedron) -> None:
        """Raises ValueError when ``other`` has another number of coordinates."""
        if self.ambient_dimension != other.ambient_dimension:
            raise ValueError(f"sets of R^{self.ambient_dimension} and R^{other.ambient_dimension} cannot be compared")

    # --- maps --------------------------------------------------------------------------------------------------------

    def affine_image(self, weight: Matrix, bias: Matrix) -> Polyhedron:
        """``{W x + b}``, with W of shape (m, n) and b of shape (m, 1)."""
        return self._image(images.affine(weight, bias, self.ambient_dimension, weight.shape[0]))

    def _image(self, rows: Sequence[Vector]) -> Polyhedron:
        if self._by_generators:
            return Polyhedron(len(rows) - 1, None, images.forward(rows, self.any_generators))
        from verifier.geometry.affine_image import AffineImage  # noqa: PLC0415  (which is a polyhedron)

        return AffineImage.under(rows, self.any_constraints)

    def preimage(self, weight: Matrix, bias: Matrix) -> Polyhedron:
        """``{x : W x + b in the set}``, with W of shape (n, m) and b of shape (n, 1); from the constraints."""
        rows = images.affine(weight, bias, weight.shape[1], self.ambient_dimension)
        pulled = images.backward(rows, self.any_constraints)
        return Polyhedron(weight.shape[1], representation.normalised(pulled))

    def projection(self, coordinates: Sequence[int]) -> Polyhedron:
        """The image under ``x -> (x_j for j in coordinates)``."""
        return self._image(images.selection(coordinates, self.ambient_dimension))
