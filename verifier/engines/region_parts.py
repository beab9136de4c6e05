r"""Every region of a network over a domain: inequalities, an interior point, the affine map, volume and neighbours.

A cell is written by the inequalities of its facets alone, that is without redundancy: a row of the cell belongs to a
facet exactly if some point of the cell lies on its hyperplane and strictly inside all others
(:func:`verifier.engines.adjacency.facet_point`).  In a Euclidean ball only facets that meet the open ball are needed: a
segment from an interior point to a point of the ball outside of the cell leaves the cell through one of them.

A linear region or an affine piece is a union of cells.  Its neighbours are the regions across the facets of its cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifier.engines.adjacency import facet_point, unsigned
from verifier.engines.linear_regions import inner_pairs, joined, same_maps
from verifier.engines.propagate import Cell, UnitFacet
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.chart import Row
from verifier.geometry.polytope import Polyhedron
from verifier.geometry.volume import MOST_DIMENSIONS, exact_sum
from verifier.kernel.polyhedron import HalfSpace
from verifier.kernel.rational import Point, dot

Pattern = tuple[tuple[bool, ...], ...]


@dataclass(frozen=True)
class RegionCell:
    """A cell: the part of the domain's affine hull (in a Euclidean ball, of the ball) where the ``inequalities`` hold,
    none of which can be left out.  ``interior`` is a point strictly inside all of them and inside the domain."""

    pattern: Pattern
    inequalities: tuple[HalfSpace, ...]
    interior: Point


@dataclass(frozen=True)
class RegionPart:
    """One region: its cells (one, if it is an activation region), the map ``weight x + constant`` on it, its volume
    (None when the domain is flat, unbounded, a Euclidean ball or of more than five dimensions), and the numbers of the
    regions across its facets."""

    number: int
    cells: tuple[RegionCell, ...]
    weight: tuple[Point, ...]
    constant: Point
    volume: Fraction | None
    neighbours: tuple[int, ...]


def region_parts(walk: RegionWalk, joining: str) -> Iterator[RegionPart]:
    """The regions one after another; ``joining`` is "activation", "linear" or "affine"."""
    cells = list(walk.cells())
    pairs = [(pair.first, pair.second) for pair in inner_pairs(walk, cells)]
    groups = _groups(walk, cells, joining)
    owner = {member: number for number, group in enumerate(groups) for member in group}
    beside: list[set[int]] = [set() for _ in groups]
    for a, b in pairs:
        if owner[a] != owner[b]:
            beside[owner[a]].add(owner[b])
            beside[owner[b]].add(owner[a])
    measurable = (all(walk.chart.bounded) and walk.dimension == walk.network.inputs <= MOST_DIMENSIONS
                  and not walk.euclidean)
    for number, group in enumerate(groups):
        members = [described(walk, cells[member]) for member in group]
        weight, constant = affine_map(walk, cells[group[0]])
        volume = exact_sum([_volume(cell) for cell in members]) if measurable else None
        yield RegionPart(number, tuple(members), weight, constant, volume, tuple(sorted(beside[number])))


def _groups(walk: RegionWalk, cells: Sequence[Cell], joining: str) -> list[list[int]]:
    """The cells of each region, by their numbers, in the order of first cells."""
    if joining == "activation":
        return [[number] for number in range(len(cells))]
    classes = same_maps(walk, [cell.signs for cell in cells])
    if joining == "affine":
        return classes
    groups: dict[int, list[int]] = {}
    for members in classes:
        leaders = joined(walk, [cells[member] for member in members]) if len(members) > 1 else [0]
        for member, leader in zip(members, leaders, strict=True):
            groups.setdefault(members[leader], []).append(member)
    return [groups[leader] for leader in sorted(groups)]


def described(walk: RegionWalk, cell: Cell) -> RegionCell:
    """A cell in terms of the inputs, without redundant inequalities."""
    inequalities = []
    for row in irredundant(walk, cell):
        normal, constant = walk.chart.over_inputs(row)
        inequalities.append(HalfSpace(tuple(-a for a in normal), constant))
    return RegionCell(cell.pattern, tuple(inequalities), walk.chart.point(walk.interior(cell)))


def irredundant(walk: RegionWalk, cell: Cell) -> list[Row]:
    """The rows (``>= 0`` on the cell) of the facets, each hyperplane once; in a Euclidean ball those that meet it."""
    constraints = cell.constraints
    found: dict[Row, Row] = {}
    for place, (facet, row) in enumerate(zip(cell.facets, constraints, strict=True)):
        if unsigned(row) in found or not any(row[:-1]) or (walk.euclidean and not isinstance(facet, UnitFacet)):
            continue
        point = facet_point(cell, place, constraints)
        if point is not None and walk.meets((*constraints, tuple(-v for v in row)), point):
            found[unsigned(row)] = row
    return list(found.values())


def affine_map(walk: RegionWalk, cell: Cell) -> tuple[tuple[Point, ...], Point]:
    """``(weight, constant)`` of the network on the cell, over the inputs."""
    weight, constant = walk.maps.outputs(cell.signs)
    rows = [walk.chart.over_inputs((*row, c)) for row, c in zip(weight, constant, strict=True)]
    return tuple(normal for normal, _ in rows), tuple(c for _, c in rows)


def _volume(cell: RegionCell) -> Fraction:
    return Polyhedron.from_half_spaces(len(cell.interior), cell.inequalities).volume()


def edges(parts: Iterable[RegionPart]) -> Iterator[tuple[int, int]]:
    """The adjacency graph: pairs of neighbours, each once."""
    for part in parts:
        yield from ((part.number, other) for other in part.neighbours if other > part.number)


def contains(cell: RegionCell, x: Sequence[Fraction]) -> bool:
    """Whether the inequalities hold at ``x``."""
    return all(dot(row.normal, x) <= row.offset for row in cell.inequalities)
