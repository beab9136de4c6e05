r"""Proofs that a list of cells is a partition: facet pairing (CERTIFICATE.md, sections 9 to 12).

Requirement
    Cells of one :class:`~verifier.engines.propagate.Propagation`, all of them for a complete proof.
Return
    The frames of a proof that :func:`verifier.kernel.partition.check_cells` accepts.
Method
    For each cell and each distinct row of a unit on it: if the row is a facet, the neighbour
    (:mod:`verifier.engines.adjacency`).  If not, a reason why it does not bound the cell: the row has its minimum over
    the cell at some vertex, and is a nonnegative combination of the facets that meet there, plus a constant; these
    facets, the *basis*, are all that is written.  Vertices are those of the cell, or a walk over them finds those that
    are needed (:mod:`verifier.engines.vertex_bases`).
    Which vertex is the minimum is decided in floats; whatever is not clear in floats is tested exactly, by the
    checker's own function.  At a vertex where more facets meet than there are dimensions, and on cells without
    vertices, an exact linear program gives multipliers.
    For linear regions, facets between cells with the same map get an exact point, as far as they join what is not
    joined yet.  What :class:`Prover` leaves to the kind of domain is here for polytopes, and for Euclidean balls in
    :mod:`verifier.engines.ball_proof`.
Property
    Nothing here is trusted.  With ``careful`` everything is tested exactly before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property

import numpy as np

from verifier.engines.adjacency import CellRows, facet_point
from verifier.engines.linear_regions import Joining
from verifier.engines.partition_frames import CellProof, encode_batches, encode_head
from verifier.engines.propagate import Cell, Region, UnitFacet
from verifier.engines.vertex_bases import vertex_bases
from verifier.geometry.chart import Chart, DomainFacet, Homogeneous, Row
from verifier.kernel.cell_maps import CellMaps, primitive
from verifier.kernel.domain import Domain, Polytope, hull_of, value
from verifier.kernel.partition import BASES, FACET, MULTIPLIERS, NEIGHBOUR, basis_refutes
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import FloatArray, Point, common_denominator, dot, nearest_float
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import LinearProgram, Optimal
from verifier.solvers.rows import Rows, to_float

BITS = (6, 12, 24, 60)  # of interior points
CLEAR = 1e-6            # relative: floats below it are not clear


class IncompleteError(ValueError):
    """The cells are not all: a facet of one has nothing on its other side."""


def _nothing() -> None:
    """Between two cells."""


def prove_cells(region: Region, cells: Sequence[Cell], *, complete: bool = True, joins: bool = False,
                careful: bool = False, between: Callable[[], None] = _nothing) -> Iterator[bytes]:
    """The frames of a proof about these cells, not compressed.

    ``complete``: that they are all cells of the region; else that there are at least these.  ``joins``: with the facet
    points that a number of linear regions needs.  ``between()`` is called before each cell is dealt with; what it
    raises ends the work.  Raises IncompleteError when they are not all.
    """
    yield from Prover(region, cells, joins, careful, between).frames(complete)


def equations_of(domain: Polytope, chart: Chart) -> dict[int, int]:
    """Positive multipliers of the functions of a nonempty domain that are 0 on all of it, by the numbers of these;
    their combination is 0."""
    basis, origin = chart.linear()
    hull = [*zip(*basis, strict=True), tuple(origin)]
    functions = [tuple(map(Fraction, f)) for f in domain.functions()]
    implied = [number for number, f in enumerate(functions)
               if not any(dot(f[:-1], c) for c in hull[:-1]) and dot(f[:-1], hull[-1]) + f[-1] == 0]
    if not implied:
        return {}
    columns = zip(*([int(v) for v in functions[number]] for number in implied), strict=True)
    equalities = Rows.from_integers([(*column, 0) for column in columns if any(column)], len(implied))
    one = Fraction(1)
    found = solve(LinearProgram((one,) * len(implied), equalities, Box((one,) * len(implied), (None,) * len(implied)),
                                (True,) * equalities.count))
    assert isinstance(found, Optimal), "implicit equations have such multipliers"
    scale = common_denominator(found.x)
    return {number: int(m * scale) for number, m in zip(implied, found.x, strict=True)}


class Prover:
    """What the proofs of all cells share; the domain is the polytope of the region."""

    def __init__(self, region: Region, cells: Sequence[Cell], joins: bool, careful: bool,
                 between: Callable[[], None] = _nothing) -> None:
        self.region, self.cells, self.joins, self.careful, self.between = region, cells, joins, careful, between
        chart = cells[0].chart
        domain, self.equations = self.domain(chart)
        self.hull = hull_of(domain, self.equations)
        self.maps, self.far = (CellMaps(self.region.kept, self.hull.table, self.hull.denominator) for _ in range(2))
        self.index = {cell.signs: number for number, cell in enumerate(self.cells)}
        labels = _labels(domain) if isinstance(domain, Polytope) else []
        kept = [label for number, label in enumerate(labels) if number not in self.equations]
        self.domain_row = {label: place for place, label in enumerate(kept)}
        basis, origin = chart.linear()
        free = self.hull.free
        self.linear = np.array([[nearest_float(v) for v in basis[j]] for j in free]).reshape(len(free), len(free))
        self.origin = np.array([nearest_float(origin[j]) for j in free])
        self.first = np.cumsum([0, *(layer.units for layer in self.region.kept)]).tolist()
        self.joining = Joining(len(self.cells))
        self.map_of: list[int] = []
        if self.joins:
            known: dict[Row, int] = {}
            for cell in self.cells:
                self.between()
                table, d = self.maps.output_table(cell.signs)
                self.map_of.append(known.setdefault(primitive([d, *map(int, table.entries())]), len(known)))

    def frames(self, complete: bool) -> Iterator[bytes]:
        """The frames of the proof."""
        yield encode_head(self.region.kept, [cell.signs for cell in self.cells], complete, self.equations)
        yield from encode_batches((self.proof(number, complete) for number in range(len(self.cells))), complete)

    def proof(self, number: int, complete: bool) -> CellProof:
        """What the checker is told of a cell."""
        self.between()
        work = CellWork(self, number)
        done = CellProof(self.point(work.interior))
        if complete:
            work.pair(done)
        return done

    def point(self, x: Homogeneous) -> Point:
        """Free coordinates as rationals."""
        return tuple(Fraction(p, x[-1]) for p in x[:-1])

    def from_chart(self, u: Homogeneous) -> Point:
        """Free coordinates of a point of the chart."""
        x = self.cells[0].chart.point(u)
        return tuple(x[j] for j in self.hull.free)

    # --- what depends on the kind of domain --------------------------------------------------------------------------

    def domain(self, chart: Chart) -> tuple[Domain, dict[int, int]]:
        """The domain with the multipliers that prove its equations."""
        domain = Polytope(self.region.box, self.region.rows)
        return domain, equations_of(domain, chart)

    def interior(self, cell: Cell) -> Homogeneous:
        """A point inside the cell and the domain, in chart coordinates."""
        return cell.chart_interior

    def facet_point(self, cell: Cell, facet: int) -> Homogeneous | None:
        """A relative interior point of a facet that lies inside the domain, or None when that is no such facet."""
        return facet_point(cell, facet, cell.constraints)

    def refuter(self, work: CellWork, bounds: Sequence[int], rest: Sequence[int]) -> Refuter:
        """What proves that the rows ``rest`` do not bound a cell that the rows ``bounds`` do."""
        return Refuter(work, bounds, rest)


def _labels(domain: Polytope) -> list[DomainFacet]:
    """Where the functions of the domain come from, in their order."""
    bounds = [DomainFacet(kind, i) for i, ends in enumerate(zip(domain.box.lower, domain.box.upper, strict=True))
              for kind, end in zip(("lower", "upper"), ends, strict=True) if end is not None]
    return [*bounds, *(DomainFacet("row", number) for number in range(len(domain.rows)))]


class CellWork:
    """One cell: its rows as the checker numbers them, in free coordinates."""

    def __init__(self, prover: Prover, number: int) -> None:
        self.prover, self.number, self.cell = prover, number, prover.cells[number]
        self.known = CellRows(prover.maps, self.cell.signs)
        groups = [units for row, units in self.known.multiples.items() if any(row[:-1])]
        self.own = [self._oriented(units[0]) for units in groups]
        self.rows = [*self.own, *prover.hull.rows]
        of_unit = {unit: g for g, units in enumerate(groups) for unit in units}
        self.across = {of_unit[prover.first[facet.layer] + facet.unit]: number
                       for number, facet in enumerate(self.cell.facets) if isinstance(facet, UnitFacet)}
        self.facets = [of_unit[prover.first[facet.layer] + facet.unit] if isinstance(facet, UnitFacet)
                       else len(groups) + prover.domain_row[facet] for facet in self.cell.facets
                       if isinstance(facet, UnitFacet) or facet in prover.domain_row]
        rows = Rows.from_integers(self.rows, len(prover.hull.free))
        self.magnitudes = rows.magnitudes
        self.gradients, self.offsets = rows.floats()

    def _oriented(self, unit: int) -> Row:
        row = self.known.rows[unit]
        assert row is not None
        return row if self.cell.signs[unit] else tuple(-v for v in row)

    @cached_property
    def interior(self) -> Homogeneous:
        """A point at which all facets are positive, in short numbers if possible."""
        bounds = [self.rows[place] for place in self.facets]
        if self.cell.has_vertices:
            middle = self.vertices().mean(axis=0)
            if np.isfinite(middle).all():
                for bits in BITS:
                    point = primitive([*(round(v * 2**bits) for v in middle.tolist()), 2**bits])
                    if all(value(row, point) > 0 for row in bounds):
                        return point
        x = self.prover.from_chart(self.prover.interior(self.cell))
        scale = common_denominator(x)
        return (*(int(v * scale) for v in x), scale)

    def vertices(self) -> FloatArray:
        """Approximate vertices, shape (vertices, k)."""
        with np.errstate(all="ignore"):
            found: FloatArray = self.cell.float_vertices[0] @ self.prover.linear.T + self.prover.origin
        return found

    def pair(self, done: CellProof) -> None:
        """Deal with every row."""
        neighbours: dict[int, tuple[int, Point | None]] = {}
        for place, facet in self.across.items():
            other = self.prover.index.get(self.known.across(self.own[place], self.prover.far))
            if other is not None:
                joined, point = self._join(other, facet)
                if joined:
                    neighbours[place] = other, point
        rest = [g for g in range(len(self.own)) if g not in neighbours]
        bounds = [*neighbours, *(place for place in self.facets if place >= len(self.own))]
        refuted = self.prover.refuter(self, bounds, rest).refuted() if rest else {}
        numbers: dict[tuple[int, ...], int] = {}
        for g in range(len(self.own)):
            if g in neighbours:
                other, point = neighbours[g]
                done.how.append(NEIGHBOUR if point is None else FACET)
                done.neighbours.append(other)
                done.joins += [] if point is None else [point]
                continue
            reason = refuted[g]
            if isinstance(reason, tuple):
                done.how.append(BASES + numbers.setdefault(reason, len(numbers)))
            else:
                done.how.append(MULTIPLIERS)
                done.multipliers.append(reason)
        done.bases = list(numbers)

    def _join(self, other: int, facet: int) -> tuple[bool, Point | None]:
        """Whether the cell may be named as a neighbour, and a facet point where one is needed.

        For linear regions those with the same map have to be neighbours, unless they are joined already.
        """
        prover = self.prover
        if not prover.joins or prover.map_of[self.number] != prover.map_of[other]:
            return True, None
        if prover.joining.root(self.number) == prover.joining.root(other):
            return True, None
        point = prover.facet_point(self.cell, facet)
        if point is None:
            return False, None
        prover.joining.join(self.number, other)
        return True, prover.from_chart(point)


Reason = tuple[int, ...] | list[tuple[int, Fraction]]
"""A basis, or multipliers."""


class Refuter:
    """Why the rows ``rest`` do not bound a cell; ``bounds`` are rows that do, all of them."""

    def __init__(self, work: CellWork, bounds: Sequence[int], rest: Sequence[int]) -> None:
        self.work, self.bounds, self.rest = work, list(dict.fromkeys(bounds)), rest
        self.size = work.gradients.shape[1]

    def refuted(self) -> dict[int, Reason]:
        """A basis or multipliers for each of the rows."""
        proposals = self._by_vertices() if self.work.cell.has_vertices else self._by_walking()
        return {g: self._settled(g, *proposals[g]) for g in self.rest}

    def _settled(self, g: int, basis: tuple[int, ...] | None, clear: bool) -> Reason:
        believed = clear and not self.work.prover.careful
        if basis is not None and (believed or basis_refutes(self.work.rows, basis, [g])):
            return basis
        return self.multipliers(g)

    def _by_vertices(self) -> dict[int, tuple[tuple[int, ...] | None, bool]]:
        """The facets at the vertex where the row is least, if they are as many as dimensions."""
        work = self.work
        with np.errstate(all="ignore"):
            values = work.gradients[self.rest] @ work.vertices().T
        best = values.argmin(axis=1).tolist()
        meeting = {v: tuple(sorted({work.facets[i] for i in work.cell.incidence[v]})) for v in set(best)}
        bases = [meeting[v] if len(meeting[v]) == self.size else None for v in best]
        clear = self.clear(self.rest, bases)
        return {g: (basis, known) for g, basis, known in zip(self.rest, bases, clear, strict=True)}

    def clear(self, rows: Sequence[int], bases: Sequence[tuple[int, ...] | None]) -> list[bool]:
        """Whether floats leave no doubt that the basis refutes the row."""
        used = list(dict.fromkeys(basis for basis in bases if basis is not None))
        if not used:
            return [False] * len(rows)
        gradients, offsets = self.work.gradients, self.work.offsets
        number = {basis: i for i, basis in enumerate(used)}
        places = [i for i, basis in enumerate(bases) if basis is not None]
        which = [number[basis] for basis in bases if basis is not None]
        array = np.array(used).reshape(len(used), self.size)
        targets = np.array(rows)[places]
        try:
            inverses = np.linalg.inv(gradients[array])
        except np.linalg.LinAlgError:
            return [False] * len(rows)
        with np.errstate(all="ignore"):
            weights = np.einsum("gi,gij->gj", gradients[targets], inverses[which])
            terms = weights * offsets[array[which]]
            constant = terms.sum(axis=1) - offsets[targets]
            size = np.abs(terms).sum(axis=1) + np.abs(offsets[targets])
            good = (weights.min(axis=1) > CLEAR * np.abs(weights).max(axis=1)) & (constant < -CLEAR * size)
        result = np.zeros(len(rows), dtype=np.bool_)
        result[places] = good
        return result.tolist()

    def _by_walking(self) -> dict[int, tuple[tuple[int, ...] | None, bool]]:
        """The same by walks over the vertices of cells that come without."""
        found = self.bases()
        bases = [found.get(g) for g in self.rest]
        clear = self.clear(self.rest, bases)
        return {g: (basis, known) for g, basis, known in zip(self.rest, bases, clear, strict=True)}

    def bases(self) -> dict[int, tuple[int, ...]]:
        """Proposals of bases, for those rows that have one."""
        work = self.work
        *x, scale = work.interior
        inside = np.array([to_float(v, scale) for v in x])
        return vertex_bases(work.gradients, work.offsets, self.bounds, self.rest, inside)

    def multipliers(self, g: int) -> list[tuple[int, Fraction]]:
        """The same by an exact linear program over the bounds."""
        work = self.work
        places = self.bounds
        rows = Rows.from_integers([(*(-v for v in work.rows[place][:-1]), work.rows[place][-1]) for place in places],
                                  self.size)
        found = solve(LinearProgram(tuple(map(Fraction, work.rows[g][:-1])), rows, Box.whole_space(self.size),
                                    (False,) * len(places)))
        if not isinstance(found, Optimal) or found.value < -work.rows[g][-1]:
            raise IncompleteError(f"the cells are not all: cell {work.number} has a facet with nothing beyond")
        return [(place, m) for place, m in zip(places, found.row_multipliers, strict=True) if m]
