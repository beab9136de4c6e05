"""All images of a reachable set, in order; what is exact is computed when it is asked for, once for each vertex.

What one asks first of a set is its dimension and how far it reaches.  Both need few exact numbers:

* the image of a full-dimensional cell has the rank of the affine map as its dimension.  Full rank is proved in floats
  (:mod:`verifier.geometry.float_maps`), or else the rank is computed in integers;
* the largest value of an output is attained at a vertex of a cell.  With bounds of the values on every cell, only the
  cells whose upper bound reaches the largest lower bound can have it, and their vertices are compared exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import overload

import numpy as np
from flint import fmpz_mat

from verifier.engines.cell_units import prepared
from verifier.engines.propagate import Region, Representation
from verifier.engines.reach import MappedBatch, MappedCell
from verifier.engines.shared_vertices import SharedVertices
from verifier.engines.star_cells import StarCell
from verifier.geometry.homogeneous import Generators
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.union import UnionOfPolyhedra
from verifier.kernel.polyhedron import Box

Mapped = MappedCell | StarCell

class LazyImage(Polyhedron):
    """The image of one of the cells, by their number."""

    source: tuple[Images, int]

    def __init__(self, images: Images, index: int) -> None:
        self.__dict__.update(ambient_dimension=images.dimension, source=(images, index))  # frozen, as all polyhedra

    @cached_property
    def given_generators(self) -> Generators | None:
        """The vertices of the cell, mapped."""
        images, index = self.source
        return images[index].image.given_generators


class Images(Sequence[Mapped]):
    """The mapped cells of regions, one after another; ``dimension`` is the number of outputs, ``representation`` that
    of the walk."""

    def __init__(self, dimension: int, representation: Representation = "auto") -> None:
        self.dimension = dimension
        self._representation = representation
        self._chunks: list[tuple[Mapped | MappedBatch, SharedVertices | None]] = []
        self._ends: list[int] = []
        self._last: tuple[Region, SharedVertices] | None = None

    def add(self, region: Region, found: Mapped | MappedBatch) -> None:
        """Append what the visit of this region's cells returned."""
        shared = None
        if isinstance(found, MappedBatch):
            if self._last is None or self._last[0] is not region:
                self._last = region, SharedVertices(prepared(region, self._representation))
            shared = self._last[1]
        self._chunks.append((found, shared))
        self._ends.append(len(self) + _count(found))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Mapped: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapped]: ...

    def __getitem__(self, index: int | slice) -> Mapped | Sequence[Mapped]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        number = range(len(self))[index]
        chunk = bisect_right(self._ends, number)
        found, shared = self._chunks[chunk]
        if not isinstance(found, MappedBatch):
            return found
        assert shared is not None
        c = number - (self._ends[chunk - 1] if chunk else 0)
        return self._made(found, shared, c)

    def _made(self, found: MappedBatch, shared: SharedVertices, c: int) -> MappedCell:
        propagation = shared.propagation
        injective = bool(found.full[c]) and propagation.chart.dimension <= self.dimension
        return MappedCell(found.cells.signs[c].tobytes() + propagation.trailing, shared.of(found.cells, c),
                          minimal=True, injective=injective)

    def union(self) -> UnionOfPolyhedra:
        """The set, part i the image of cell i, which is computed when something is asked of it."""
        parts: list[Polyhedron] = []
        for found, _ in self._chunks:
            parts += ([found.image] if isinstance(found, StarCell) else
                      [LazyImage(self, len(parts) + c) for c in range(_count(found))])
        return UnionOfPolyhedra(self.dimension, tuple(parts))

    def dimensions(self) -> Counter[int]:
        """How many images have which dimension."""
        counter: Counter[int] = Counter()
        for found, shared in self._chunks:
            if not isinstance(found, MappedBatch):
                counter[found.image.dimension] += 1
                continue
            assert shared is not None
            propagation = shared.propagation
            counter[min(self.dimension, propagation.chart.dimension)] += int(found.full.sum())
            for c in np.flatnonzero(~found.full).tolist():
                table, _ = propagation.maps.output_table(found.cells.signs[c].tobytes() + propagation.trailing)
                linear = [v for row in table.tolist()[:-1] for v in row[:-1]]
                counter[int(fmpz_mat(table.nrows() - 1, table.ncols() - 1, linear).rank())] += 1
        return +counter

    def bounding_box(self) -> Box | None:
        """The smallest box that contains the set, None for the empty set."""
        if not self:
            return None
        highest = [self._highest(j) for j in range(self.dimension)]
        lowest = [self._highest(j, -1) for j in range(self.dimension)]
        return Box(tuple(None if v is None else -v for v in lowest), tuple(highest))

    def _highest(self, j: int, sign: int = 1) -> Fraction | None:
        """The supremum of ``sign y_j``; None for infinity."""
        best: Fraction | None = None
        floor = -np.inf
        for found, _ in self._chunks:
            if not isinstance(found, MappedBatch):
                box = found.image.bounding_box()
                end = (box.upper if sign > 0 else box.lower)[j]
                if end is None:
                    return None
                best = sign * end if best is None else max(best, sign * end)
            else:
                floor = max(floor, float(found.greatest[j] if sign > 0 else -found.least[j]))
        candidates: list[tuple[float, MappedBatch, SharedVertices, int]] = []
        for found, shared in self._chunks:
            if isinstance(found, MappedBatch) and shared is not None:
                above = found.above[:, j] if sign > 0 else -found.below[:, j]
                candidates += [(float(above[c]), found, shared, int(c)) for c in np.flatnonzero(above >= floor)]
        candidates.sort(key=lambda candidate: -candidate[0])
        for bound, found, shared, c in candidates:
            if best is not None and bound <= best:
                break
            values = (Fraction(sign * v.output[j + 1], v.output[0]) for v in shared.of(found.cells, c))
            best = max(values) if best is None else max(best, *values)
        assert best is not None, "some cell attains the largest lower bound"
        return best


def _count(found: Mapped | MappedBatch) -> int:
    """How many cells there are in a chunk."""
    return len(found.full) if isinstance(found, MappedBatch) else 1
