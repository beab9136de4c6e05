r"""Which cells share a facet: exactly, by flipping signs.

Requirement
    Cells of one :class:`~verifier.engines.propagate.Propagation`, in either representation.
Return
    Each pair of cells with a common facet once, with a point in that facet's relative interior.
Method
    Let C be a cell, and g a row that is nonnegative on C, not constant, and not a positive multiple of a row of the
    domain.  If ``F = C & {g = 0}`` is a facet, its other side is found in a dictionary of sign patterns: only units
    whose row on C is a multiple of g, or zero, can have another sign there, and the rows of the far side tell which.
Property
    Exact and complete.  *Theorem.* Exactly one cell D != C lies along F on the side ``g < 0``, and F is a facet of D,
    all of it.  Let p be the signs of C.  The signs q of D are, layer by layer: ``q_i = p_i`` where the row of unit i on
    C is neither zero nor a multiple of g; otherwise the row of unit i under q (of the layers before) is ``m g`` for a
    number m, and unit i is active exactly if ``m < 0``.

    *Proof.*  Write ``z_i^p, z_i^q`` for the pre-activations under both patterns, as affine functions, and H for
    ``{g = 0}``.  They agree on H, by induction over the layers.  If ``z_i^p`` is not identically 0 on H, then, having
    one weak sign on F, which spans H, it has that sign strictly in the relative interior of F, and so has ``z_i^q =
    z_i^p`` there and nearby: the sign on the far side is still ``p_i``, and the outputs agree on H.  If ``z_i^p`` is 0
    on H, so is ``z_i^q``; both are multiples of g, and both outputs are 0 on H.  So next to every relative interior
    point of F (it is an interior point of the domain: a domain row that vanishes there would vanish on F and be a
    multiple of g), the side ``g < 0`` has the strict signs q: this is one cell D, and ``D & H`` contains F.  In the
    first layer in which a row on C is a nonzero multiple of g, all signs before agree, so the row on D is the same and
    its sign the other: D lies in ``g <= 0`` and is not C.  Exchanging C and D, ``D & H`` is contained in F.  QED.

    *Units that share the hyperplane* in the same layer, duplicated, scaled or negated, are multiples of g on C and flip
    together.  In a deeper layer such a unit need not flip: ``relu(g) + relu(-g)`` is g on C and -g on D, active on
    both.  A unit that is identically zero on C (inactive there) may be active on D, as ``relu(-g)`` read by the next
    layer is.  Parallel units have other hyperplanes and do not take part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from verifier.engines.propagate import Cell, UnitFacet
from verifier.geometry.chart import Homogeneous, Row, integral, primitive
from verifier.kernel.cell_maps import CellMaps, Signs
from verifier.kernel.domain import value
from verifier.kernel.polyhedron import Box
from verifier.solvers.rows import Rows
from verifier.solvers.two_lps import Witness, strict_feasibility

BITS = (10, 30, 60)  # of the points that are tried before exact vertices


class FacetPair(NamedTuple):
    """Cells number ``first < second`` share a facet: on the hyperplane of ``facet``, a unit of the first cell, whose
    ``row`` is nonnegative there.  ``point`` (chart coordinates) lies on it, and every other row of the first cell that
    is no multiple of ``row`` is positive at it, those of the domain included."""

    first: int
    second: int
    facet: UnitFacet
    row: Row
    point: Homogeneous


@dataclass
class CellRows:
    """The rows of all units on a cell, and the cells across them.

    ``rows[i]`` is a positive multiple of the pre-activation of unit i (through all layers) as primitive integers, None
    for a unit without a phase.  ``multiples`` has, for each row up to a nonzero factor (:func:`unsigned`), its units;
    ``zeros`` are the units whose row is zero.
    """

    maps: CellMaps
    signs: Signs
    rows: list[Row | None] = field(init=False)
    multiples: dict[Row, list[int]] = field(init=False)
    zeros: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.rows, self.multiples, self.zeros = [], {}, []
        for number, layer in enumerate(self.maps.layers):
            if not layer.has_phase.any():
                self.rows += [None] * layer.units
                continue
            table = self.maps.pre_activations(number, self.signs)[0].tolist()
            for entries, phase in zip(table, layer.has_phase, strict=True):
                row = primitive([int(v) for v in entries]) if phase else None
                if row is not None and any(row):
                    self.multiples.setdefault(unsigned(row), []).append(len(self.rows))
                elif row is not None:
                    self.zeros.append(len(self.rows))
                self.rows.append(row)

    def across(self, row: Row, far: CellMaps) -> Signs:
        """The signs beyond ``{row = 0}`` by the theorem, for a row that is nonnegative on the cell and not constant.

        ``far`` is for the maps of the far side: not those of this cell, whose memory it would spoil.
        """
        result = bytearray(self.signs)
        flipped = False
        for number, units in self._by_layer(sorted((*self.multiples[unsigned(row)], *self.zeros))):
            if not flipped:
                for unit in units:
                    if any(self.rows[unit] or ()):
                        result[unit] ^= 1
                        flipped = True
                continue
            first = sum(layer.units for layer in self.maps.layers[:number])
            for unit in units:
                there = far.row(number, unit - first, bytes(result))
                result[unit] = sum(a * b for a, b in zip(there[:-1], row, strict=False)) < 0
        return bytes(result)

    def _by_layer(self, units: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        first = 0
        for number, layer in enumerate(self.maps.layers):
            found = [unit for unit in units if first <= unit < first + layer.units]
            if found:
                yield number, found
            first += layer.units


def unsigned(row: Row) -> Row:
    """The row or its negative: the one whose first nonzero entry is positive."""
    first = next((v for v in row if v), 0)
    return tuple(-v for v in row) if first < 0 else row


def facet_pairs(cells: Sequence[Cell]) -> Iterator[FacetPair]:
    """All pairs of the given cells with a common facet.  The list may be a part of all cells; then the pairs are those
    among the part."""
    if not cells:
        return
    maps = cells[0].maps
    far = CellMaps(maps.layers, maps.chart.table, maps.chart.denominator)
    index = {cell.signs: number for number, cell in enumerate(cells)}
    first = np.cumsum([0, *(layer.units for layer in maps.layers)]).tolist()
    boundary = {tuple(-v for v in row) for row in maps.chart.rows}
    for number, cell in enumerate(cells):
        rows = CellRows(maps, cell.signs)
        constraints = cell.constraints
        for place, (facet, row) in enumerate(zip(cell.facets, constraints, strict=True)):
            if not isinstance(facet, UnitFacet) or row in boundary or not any(row[:-1]):
                continue
            assert rows.rows[first[facet.layer] + facet.unit] in (row, tuple(-v for v in row))
            neighbour = index.get(rows.across(row, far), -1)
            if neighbour > number:
                point = facet_point(cell, place, constraints)
                if point is not None:
                    yield FacetPair(number, neighbour, facet, row, point)


def facet_point(cell: Cell, place: int, constraints: Sequence[Row]) -> Homogeneous | None:
    """A relative interior point of the face ``constraints[place] = 0``, or None when it is no facet.

    ``constraints`` are all of ``cell.constraints``.  A face of lower dimension lies in a second hyperplane of them, so
    a point of it at which all rows but the multiples of one are positive is one of a facet, and proves it.
    """
    row = constraints[place]
    others = [other for other in constraints if unsigned(other) != unsigned(row)]

    def inside(point: Homogeneous) -> bool:
        return all(value(other, point) > 0 for other in others)

    if not cell.has_vertices:
        near = _foot(row, cell.chart_interior)
        return near if inside(near) else _by_program(row, others)
    on = [number for number, facets in enumerate(cell.incidence) if place in facets]
    if not on:
        return None
    middle = cell.float_vertices[0][on].mean(axis=0).tolist()
    if np.isfinite(middle).all():
        for bits in BITS:
            point = _moved_onto(row, [round(v * 2**bits) for v in middle], 2**bits)
            if inside(point):
                return point
    exact = cell.chart_vertices
    columns = zip(*([Fraction(p, exact[number][-1]) for p in exact[number][:-1]] for number in on), strict=True)
    point = integral([*(sum(column, Fraction(0)) / len(on) for column in columns), Fraction(1)])
    return point if inside(point) else None


def _moved_onto(row: Row, numerators: Sequence[int], denominator: int) -> Homogeneous:
    """The point moved along the coordinate of the row's largest coefficient until the row vanishes."""
    pivot = max(range(len(numerators)), key=lambda j: abs(row[j]))
    scale = row[pivot]
    rest = sum(a * p for j, (a, p) in enumerate(zip(row, (*numerators, denominator), strict=True)) if j != pivot)
    point = [p * scale for p in (*numerators, denominator)]
    point[pivot] = -rest
    return primitive(point if scale > 0 else [-p for p in point])


def _foot(row: Row, point: Homogeneous) -> Homogeneous:
    """The foot of the perpendicular from the point to ``row = 0``."""
    square, height = sum(a * a for a in row[:-1]), value(row, point)
    return primitive([*(p * square - a * height for p, a in zip(point[:-1], row, strict=False)), point[-1] * square])


def _by_program(row: Row, others: Sequence[Row]) -> Homogeneous | None:
    """A point with ``row = 0`` at which all others are positive."""
    opposite = tuple(-v for v in row)
    weak = [(*opposite[:-1], row[-1]), (*row[:-1], opposite[-1])]
    strict = [(*(-v for v in other[:-1]), other[-1]) for other in others]
    dimension = len(row) - 1
    found = strict_feasibility(Rows.from_integers([*weak, *strict], dimension),
                               (False, False, *(True for _ in strict)), Box.whole_space(dimension))
    return integral([*found.x, Fraction(1)]) if isinstance(found, Witness) else None
