"""A finite union of polyhedra, as reachable sets are.

The parts may overlap, be flat, unbounded or empty; the set that is meant is their union, and every question is answered
about that set, exactly.  Inclusion of a polyhedron in a union, volumes that count overlaps once, and convexity of a
union all come down to one operation, the exact difference (:mod:`verifier.geometry.difference`).

Yes/no questions have companions with the witness: ``contains`` and :meth:`UnionOfPolyhedra.part_containing`,
``includes`` and :meth:`UnionOfPolyhedra.point_outside`, ``intersects`` and :meth:`UnionOfPolyhedra.common_point`,
``is_empty`` and :meth:`UnionOfPolyhedra.point`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from verifier.geometry.convex_hull import convex_hull
from verifier.geometry.difference import difference
from verifier.geometry.neighbours import Neighbours
from verifier.geometry.polytope import Numbers, Polyhedron
from verifier.geometry.simplify import merged, without_contained
from verifier.geometry.volume import exact_sum
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Matrix, Point, to_fraction


@dataclass(frozen=True, eq=False)
class UnionOfPolyhedra:
    """The union of ``parts`` in R^n, n = ``ambient_dimension``; empty without parts.

    Raises ValueError when a part lives in another space.  Compare sets with :meth:`equals`.
    """

    ambient_dimension: int
    parts: tuple[Polyhedron, ...]

    def __post_init__(self) -> None:
        spaces = {p.ambient_dimension for p in self.parts} - {self.ambient_dimension}
        if spaces:
            raise ValueError(f"a union in R^{self.ambient_dimension} received parts in dimensions {sorted(spaces)}")

    @classmethod
    def of(cls, *parts: Polyhedron) -> UnionOfPolyhedra:
        """The union of at least one polyhedron."""
        if not parts:
            raise ValueError("the union of no sets needs its dimension: UnionOfPolyhedra(n, ())")
        return cls(parts[0].ambient_dimension, parts)

    # --- one set -----------------------------------------------------------------------------------------------------

    @cached_property
    def _filled(self) -> tuple[int, ...]:
        return tuple(i for i, part in enumerate(self.parts) if not part.is_empty())

    @cached_property
    def _neighbours(self) -> Neighbours:
        return Neighbours([self.parts[i].bounding_box() for i in self._filled])

    def _near(self, box: Box) -> list[int]:
        """The numbers of the parts that may meet a box; the others certainly do not."""
        return [self._filled[k] for k in self._neighbours.meeting(box)]

    def is_empty(self) -> bool:
        """Whether there is no point."""
        return not self._filled

    def point(self) -> Point | None:
        """Some point of the set, None when it is empty."""
        return self.parts[self._filled[0]].point() if self._filled else None

    @property
    def dimension(self) -> int:
        """The largest dimension of a part, -1 for the empty set."""
        return max(self.dimensions, default=-1)

    @property
    def dimensions(self) -> Counter[int]:
        """How many parts have which dimension."""
        return Counter(part.dimension for part in self.parts)

    def is_bounded(self) -> bool:
        """Whether the set lies in a box."""
        return all(part.is_bounded() for part in self.parts)

    def bounding_box(self) -> Box:
        """The smallest box that contains the set.  Raises ValueError for the empty set."""
        if self.is_empty():
            raise ValueError("the empty set has no bounding box")
        boxes = [self.parts[i].bounding_box() for i in self._filled]
        lower = (tuple(column) for column in zip(*(box.lower for box in boxes), strict=True))
        upper = (tuple(column) for column in zip(*(box.upper for box in boxes), strict=True))
        return Box(tuple(min((v for v in c if v is not None), default=None) if None not in c else None for c in lower),
                   tuple(max((v for v in c if v is not None), default=None) if None not in c else None for c in upper))

    def convex_hull(self) -> Polyhedron:
        """The closure of the convex hull."""
        return convex_hull(self.parts) if self.parts else Polyhedron.empty(self.ambient_dimension)

    def volume(self) -> Fraction:
        """The exact volume in R^n, n <= 5, overlaps counted once.  Raises ValueError as :meth:`Polyhedron.volume`."""
        solid = [i for i in self._filled if self.parts[i].dimension == self.ambient_dimension]
        solid.sort(key=lambda i: -self.parts[i].volume())
        index = Neighbours([self.parts[i].bounding_box() for i in solid])
        volumes: list[Fraction] = []
        for k, i in enumerate(solid):
            earlier = [self.parts[solid[j]] for j in index.meeting(self.parts[i].bounding_box()) if j < k]
            volumes.extend(piece.volume() for piece in difference(self.parts[i], earlier))
        return exact_sum(volumes)

    # --- two sets ----------------------------------------------------------------------------------------------------

    def part_containing(self, point: Numbers) -> int | None:
        """The number of the first part that contains the point, None when none does."""
        exact = tuple(to_fraction(v) for v in point)
        return next((i for i in self._near(Box(exact, exact)) if self.parts[i].contains(exact)), None)

    def contains(self, point: Numbers) -> bool:
        """Exact membership of a point."""
        return self.part_containing(point) is not None

    def point_outside(self, other: Polyhedron | UnionOfPolyhedra) -> Point | None:
        """A point of ``other`` outside of this set, None when this set includes all of ``other``."""
        for polyhedron in _parts(other):
            self._require_same_space(polyhedron)
            if polyhedron.is_empty():
                continue
            near = [self.parts[i] for i in self._near(polyhedron.bounding_box())]
            if any(part.includes(polyhedron) for part in near):
                continue
            near.sort(key=lambda part: -part.dimension)
            piece = next(difference(polyhedron, near), None)
            if piece is not None:
                return piece.interior_point()
        return None

    def includes(self, other: Polyhedron | UnionOfPolyhedra) -> bool:
        """Whether this set contains all of ``other``."""
        return self.point_outside(other) is None

    def equals(self, other: Polyhedron | UnionOfPolyhedra) -> bool:
        """Equality of the sets."""
        return self.includes(other) and UnionOfPolyhedra(self.ambient_dimension, tuple(_parts(other))).includes(self)

    def intersection(self, other: Polyhedron | UnionOfPolyhedra) -> UnionOfPolyhedra:
        """The points of both sets: the nonempty intersections of their parts."""
        common: list[Polyhedron] = []
        for polyhedron in _parts(other):
            self._require_same_space(polyhedron)
            if not polyhedron.is_empty():
                pieces = (self.parts[i].intersection(polyhedron) for i in self._near(polyhedron.bounding_box()))
                common.extend(piece for piece in pieces if not piece.is_empty())
        return UnionOfPolyhedra(self.ambient_dimension, tuple(common))

    def common_point(self, other: Polyhedron | UnionOfPolyhedra) -> Point | None:
        """A point of both sets, None when they are disjoint."""
        for polyhedron in _parts(other):
            self._require_same_space(polyhedron)
            if not polyhedron.is_empty():
                for i in self._near(polyhedron.bounding_box()):
                    found = self.parts[i].common_point(polyhedron)
                    if found is not None:
                        return found
        return None

    def intersects(self, other: Polyhedron | UnionOfPolyhedra) -> bool:
        """Whether the two closed sets have a point in common."""
        return self.common_point(other) is not None

    def _require_same_space(self, other: Polyhedron) -> None:
        if self.ambient_dimension != other.ambient_dimension:
            raise ValueError(f"sets of R^{self.ambient_dimension} and R^{other.ambient_dimension} cannot be compared")

    # --- maps, fewer parts -------------------------------------------------------------------------------------------

    def affine_image(self, weight: Matrix, bias: Matrix) -> UnionOfPolyhedra:
        """``{W x + b}``, with W of shape (m, n) and b of shape (m, 1)."""
        return UnionOfPolyhedra(weight.shape[0], tuple(part.affine_image(weight, bias) for part in self.parts))

    def projection(self, coordinates: Sequence[int]) -> UnionOfPolyhedra:
        """The image under ``x -> (x_j for j in coordinates)``."""
        return UnionOfPolyhedra(len(coordinates), tuple(part.projection(coordinates) for part in self.parts))

    def without_contained_parts(self) -> UnionOfPolyhedra:
        """The same set without empty parts and parts that lie in another one; the others keep their order."""
        return UnionOfPolyhedra(self.ambient_dimension, tuple(self.parts[i] for i in without_contained(self.parts)))

    def merged(self, stop: Callable[[], bool] = lambda: False) -> UnionOfPolyhedra:
        """The same set, parts whose union is convex made one, until no two have a convex union or ``stop()``."""
        return UnionOfPolyhedra(self.ambient_dimension, tuple(merged(self.parts, stop)))


def _parts(other: Polyhedron | UnionOfPolyhedra) -> Iterable[Polyhedron]:
    return other.parts if isinstance(other, UnionOfPolyhedra) else (other,)
