r"""Proofs that a list of cells is a partition of a Euclidean ball: facet pairing (CERTIFICATE.md, sections 9 to 12).

A row g that belongs to no facet in the open ball has multipliers ``w >= 0`` of the rows of such facets for which ``f =
sum w_i row_i - g`` is nowhere positive in the ball:

* the vertex of the cell at which g is least gives them, if g is not negative there: then f is constant
  (:mod:`verifier.engines.vertex_bases`);
* else the point p of ``C & {g <= 0}`` that is nearest to the centre does (:mod:`verifier.geometry.nearest`): in
  coordinates in which the ball is the unit ball, f is a multiple of ``p . u - |p|^2``.  In floats it is the compiled
  walk that finds p.  If p is clearly outside, rounded multipliers do as well, as the ball absorbs the rest;
* what touches, or is not clear in floats, is computed exactly.  If there is no such point at all, multipliers of a
  contradiction (Farkas) do; if it lies in the open ball, ``C & {g = 0}`` has fewer dimensions than a facet, and a
  linear program says how.

Nothing here is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np

from verifier.engines.lp_walk import LpWalk
from verifier.engines.partition_proof import CLEAR, CellWork, Prover, Reason, Refuter
from verifier.engines.propagate import Cell, Region
from verifier.engines.region_walk import RegionWalk
from verifier.geometry.ball import point_in_unit_ball
from verifier.geometry.chart import Chart, Homogeneous, Row
from verifier.geometry.nearest import Nearest, nearest
from verifier.kernel.domain import Ball, Polytope
from verifier.kernel.partition import basis_refutes, multipliers_refute
from verifier.kernel.rational import FloatArray, common_denominator, dot, nearest_float

ROUNDED = 20  # binary digits of multipliers after the point, for rows of size 1


def ball_frames(walk: RegionWalk, cells: Sequence[Cell], *, joins: bool = True, careful: bool = False,
                between: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The frames of a proof that these are all cells of the walk's Euclidean ball.

    ``joins``: with the facet points that a number of linear regions needs; ``careful``: everything is tested exactly
    before it is written.  ``between()`` is called before each cell is dealt with; what it raises ends the work.  Raises
    IncompleteError when they are not all.
    """
    yield from _BallProver(walk, cells, joins, careful, between).frames(complete=True)


def ball_of(walk: RegionWalk) -> Ball:
    """The Euclidean ball of a walk as the checker takes it."""
    assert walk.euclidean
    assert not isinstance(walk.domain, Polytope)
    return Ball(walk.domain.centre, walk.domain.radius, 2)


class _BallProver(Prover):
    """In chart coordinates the ball is the unit ball."""

    def __init__(self, walk: RegionWalk, cells: Sequence[Cell], joins: bool, careful: bool,
                 between: Callable[[], None]) -> None:
        self.walk, self.ball = walk, ball_of(walk)
        super().__init__(Region(walk.network, walk.box), cells, joins, careful, between)
        self.programs = LpWalk(walk.propagation.space, collect=False, start=(), ball=True)
        self.radius = nearest_float(self.ball.radius)
        self.scale = common_denominator([*self.ball.centre, self.ball.radius])

    def domain(self, chart: Chart) -> tuple[Ball, dict[int, int]]:
        return self.ball, {}

    def interior(self, cell: Cell) -> Homogeneous:
        return self.walk.interior(cell)

    def facet_point(self, cell: Cell, facet: int) -> Homogeneous | None:
        point = super().facet_point(cell, facet)
        if point is None:
            return None
        constraints = cell.constraints
        return point_in_unit_ball((*constraints, tuple(-v for v in constraints[facet])), point)

    def refuter(self, work: CellWork, bounds: Sequence[int], rest: Sequence[int]) -> Refuter:
        return _BallRefuter(self, work, bounds, rest)

    def centred(self, row: Row) -> Row:
        """The row in chart coordinates, times a number that is the same for all rows."""
        at_centre = dot(tuple(map(Fraction, row[:-1])), self.ball.centre) + row[-1]
        return (*(int(self.scale * self.ball.radius * a) for a in row[:-1]), int(self.scale * at_centre))

    def floats(self, work: CellWork) -> FloatArray:
        """All rows in chart coordinates, times a number that is the same for all."""
        constants = work.gradients @ self.origin + work.offsets
        return np.column_stack([work.gradients, constants / self.radius])


class _BallRefuter(Refuter):

    def __init__(self, prover: _BallProver, work: CellWork, bounds: Sequence[int], rest: Sequence[int]) -> None:
        super().__init__(work, bounds, rest)
        self.prover = prover

    def refuted(self) -> dict[int, Reason]:
        """A basis where there is one, else multipliers."""
        work, careful = self.work, self.prover.careful
        found: dict[int, Reason] = {}
        bases = self.bases()
        clear = self.clear([*bases], [*bases.values()])
        for (g, basis), known in zip(bases.items(), clear, strict=True):
            if (known and not careful) or basis_refutes(work.rows, basis, [g]):
                found[g] = basis
        left = [g for g in self.rest if g not in found]
        for g, short, known in self._rounded(left) if left else ():
            found[g] = short if (known and not careful) or self._refute(g, short) else self._exact(g)
        return found

    def _refute(self, g: int, multipliers: Sequence[tuple[int, Fraction]]) -> bool:
        scale = common_denominator(w for _, w in multipliers)
        return multipliers_refute(self.prover.hull, self.work.rows, g, {i: int(w * scale) for i, w in multipliers},
                                  scale)

    def _rounded(self, left: Sequence[int]) -> Iterator[tuple[int, list[tuple[int, Fraction]], bool]]:
        """Rows with short multipliers, and whether floats leave no doubt that these refute them."""
        prover, work = self.prover, self.work
        with np.errstate(all="ignore"):
            rows = prover.floats(work)
            bounds, goals = rows[self.bounds], rows[left]
            raw = prover.programs.push_out(bounds, goals)
            weights = np.round(raw[:, :-1] / raw[:, -1:] * 2.0**ROUNDED)
            weights[~((weights > 0) & np.isfinite(weights))] = 0.0
            parts = weights @ bounds / 2.0**ROUNDED - goals
            sizes = weights @ np.abs(bounds) / 2.0**ROUNDED + np.abs(goals)
            most = parts[:, -1] + np.sqrt((parts[:, :-1]**2).sum(axis=1))
            clear = most < -CLEAR * sizes.sum(axis=1)
        for g, own, known in zip(left, weights.tolist(), clear.tolist(), strict=True):
            size = Fraction(work.magnitudes[g], 2**ROUNDED)
            used = [(i, int(w)) for i, w in zip(self.bounds, own, strict=True) if w]
            yield g, [(i, w * size / work.magnitudes[i]) for i, w in used], known

    def _exact(self, g: int) -> list[tuple[int, Fraction]]:
        """Multipliers of the nearest point, or of a linear program, by which the row is as the theory says."""
        centred = [self.prover.centred(self.work.rows[i]) for i in (*self.bounds, g)]
        opposite = tuple(-v for v in centred[-1])
        found = nearest([*centred[:-1], opposite], self.size)
        if isinstance(found, Nearest) and sum((v * v for v in found.point), Fraction(0)) < 1:
            return self.multipliers(g)
        assert found is not None
        assert len(self.bounds) in found.multipliers, "the cell itself has points in the open ball"
        against = found.multipliers[len(self.bounds)]
        return [(place, w / against) for i, place in enumerate(self.bounds) if (w := found.multipliers.get(i))]
