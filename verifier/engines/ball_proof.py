r"""Proofs that a list of cells is a partition of a Euclidean ball: facet pairing (CERTIFICATE.md, sections 9 to 12).

A row g of a cell C either belongs to a facet that meets the open ball, and then there is a neighbour, or there are
multipliers ``w >= 0`` for which ``f = sum w_i row_i - g`` is nowhere positive in the ball, or a constant that is not:

* if the face ``C & {g = 0}`` is empty, those of a contradiction (Farkas);
* if it stays outside of the open ball, those that prove its nearest point p (:mod:`verifier.geometry.nearest`): they
  combine to ``p . u - |p|^2`` in coordinates in which the ball is the unit ball, which is at most 0 on it;
* else the face has fewer dimensions than a facet, g is redundant, and a linear program says how.

Scaled so that g has the coefficient -1 (or 0, which is ``w_g = 1``) they have the form of the theorem.  Nothing here is
trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from verifier.engines.adjacency import CellRows, facet_point
from verifier.engines.linear_regions import Joining
from verifier.engines.partition_frames import CellProof, encode_batches, encode_head
from verifier.engines.propagate import Cell, UnitFacet
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.ball import point_in_unit_ball
from verifier.geometry.chart import Homogeneous, Row
from verifier.geometry.exact_maps import ExactMaps
from verifier.geometry.nearest import Nearest, nearest
from verifier.kernel.partition import FACET, MULTIPLIERS, NEIGHBOUR
from verifier.kernel.polyhedron import Box
from verifier.kernel.rational import Point
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import LinearProgram, Optimal
from verifier.solvers.rows import Rows


def ball_frames(walk: RegionWalk, cells: Sequence[Cell], between: Callable[[], None] = lambda: None
                ) -> Iterator[bytes]:
    """The frames of a proof that these are all cells of the walk's Euclidean ball, with what linear regions need.

    ``between()`` is called before each cell; what it raises ends the work.
    """
    yield encode_head(walk.network.layers, [cell.signs for cell in cells], complete=True)
    prover = _Prover(walk, cells)

    def proofs() -> Iterator[CellProof]:
        for number in range(len(cells)):
            between()
            yield prover.proof(number)

    yield from encode_batches(proofs())


class _Prover:
    """In chart coordinates the ball is the unit ball; its box is full-dimensional, so a row has the same numbers there
    as in the checker's coordinates, up to the affine change and a positive factor."""

    def __init__(self, walk: RegionWalk, cells: Sequence[Cell]) -> None:
        self.walk, self.cells = walk, cells
        self.index = {cell.signs: number for number, cell in enumerate(cells)}
        self.far = ExactMaps(walk.network.layers, walk.chart)
        self.first = np.cumsum([0, *(layer.units for layer in walk.network.layers)]).tolist()
        self.keys = [walk.maps.key(cell.signs) for cell in cells]
        self.joining = Joining(len(cells))

    def proof(self, number: int) -> CellProof:
        """What the checker is told of a cell."""
        cell, walk = self.cells[number], self.walk
        done = CellProof(walk.chart.point(walk.interior(cell)))
        known = CellRows(walk.maps, cell.signs)
        groups = [units for row, units in known.multiples.items() if any(row[:-1])]
        own = [_oriented(known, cell, units[0]) for units in groups]
        place_of = {unit: g for g, units in enumerate(groups) for unit in units}
        places = {place_of[self.first[facet.layer] + facet.unit]: place
                  for place, facet in enumerate(cell.facets) if isinstance(facet, UnitFacet)}
        for g, row in enumerate(own):
            point = self._on_facet(cell, places[g]) if g in places else None
            if point is None:
                done.how.append(MULTIPLIERS)
                done.multipliers.append(self._in_inputs(own, g, _reason(own, g)))
                continue
            other = self.index[known.across(row, self.far)]
            done.neighbours.append(other)
            if self.keys[number] == self.keys[other] and self.joining.join(number, other):
                done.how.append(FACET)
                done.joins.append(walk.chart.point(point))
            else:
                done.how.append(NEIGHBOUR)
        return done

    def _on_facet(self, cell: Cell, place: int) -> Homogeneous | None:
        """A point of the facet's relative interior in the open ball, or None."""
        constraints = cell.constraints
        point = facet_point(cell, place, constraints)
        if point is None:
            return None
        return point_in_unit_ball((*constraints, tuple(-v for v in constraints[place])), point)

    def _in_inputs(self, own: Sequence[Row], g: int, weights: dict[int, Fraction]) -> list[tuple[int, Fraction]]:
        """Multipliers of chart rows as multipliers of the primitive rows over the inputs, where g counts -1."""
        factors = {i: self._factor(own[i]) for i in {*weights, g}}
        return sorted((i, w * factors[i] / factors[g] if i != g else w) for i, w in weights.items())

    def _factor(self, row: Row) -> Fraction:
        """How many times the primitive row over the inputs the chart row is."""
        normal, constant = self.walk.chart.over_inputs(row)
        values = [*normal, constant]
        scale = np.lcm.reduce(np.array([v.denominator for v in values], dtype=object))
        shared = np.gcd.reduce(np.array([int(v * scale) for v in values], dtype=object))
        return Fraction(int(shared), int(scale))


def _oriented(known: CellRows, cell: Cell, unit: int) -> Row:
    row = known.rows[unit]
    assert row is not None
    return row if cell.signs[unit] else tuple(-v for v in row)


def _reason(own: Sequence[Row], g: int) -> dict[int, Fraction]:
    """Multipliers w of the rows by which ``sum w_i row_i - row_g`` is as the theory says."""
    opposite = len(own)
    found = nearest([*own, tuple(-v for v in own[g])], len(own[g]) - 1)
    if isinstance(found, Nearest) and sum((v * v for v in found.point), Fraction(0)) < 1:
        return _redundant(own, g)
    weights = dict(found.multipliers) if found is not None else {}
    against = weights.pop(opposite, Fraction(0))
    if not against:
        return {**weights, g: weights.get(g, Fraction(0)) + 1}
    return {i: w / against for i, w in weights.items()}


def _redundant(own: Sequence[Row], g: int) -> dict[int, Fraction]:
    """Multipliers with ``row_g = sum w_i row_i + a nonnegative constant``, over the other rows."""
    others = [i for i in range(len(own)) if i != g]
    n = len(own[g]) - 1
    rows = Rows.from_integers([(*(-v for v in own[i][:-1]), own[i][-1]) for i in others], n)
    objective: Point = tuple(map(Fraction, own[g][:-1]))
    best = solve(LinearProgram(objective, rows, Box.whole_space(n), (False,) * len(others)))
    assert isinstance(best, Optimal), "a row that is redundant is bounded below by the others"
    return {i: m for i, m in zip(others, best.row_multipliers, strict=True) if m}
