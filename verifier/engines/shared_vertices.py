r"""The exact vertices of cells and the outputs there, each computed once for all cells that have it.

Requirement
    Cells of one :class:`~verifier.engines.propagate.Propagation` by vertices.
Return
    For every vertex of a cell, in order, the input and the output, as vectors ``(t, x)`` and ``(t, y)``.
Method
    A vertex is the point in which the hyperplanes of its facets meet, whose rows are integers, and its output is the
    value of the affine map.  In n dimensions a vertex belongs to 2^n cells, as a rule.  So it is remembered by its
    *signs*: for every unit 0 when the vertex is known to lie on the unit's hyperplane, else the cell's sign.
Property
    Exact.  *Theorem.*  Let v be a vertex of a cell with signs p, the one point where the pre-activations of the units F
    (and some rows of the domain) vanish, and v' one of a cell with signs p', with the same F and the same rows of the
    domain.  If p and p' agree outside F, then v = v', and the network has the same value there by both affine maps.

    *Proof.*  Layer by layer the pre-activations at v under p and p' are the same: the outputs of a unit of F are 0
    under both, those of another unit come from the same number by the same sign.  So the units F vanish at v under p'
    too, and v' is the only point with that, so v = v'.  The outputs of the last layer agree likewise.  QED.

    Nothing is assumed of general position: a vertex that is known by different sets F in different cells is computed
    more than once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from flint import fmpz_mat

from verifier.engines.propagate import Propagation
from verifier.geometry.homogeneous import Vector, primitive
from verifier.geometry.traversal import FloatCells, intersection
from verifier.kernel.branches import Indices

BLOCK = 16  # cells that are described together: who asks for one asks for the next, most often

Bytes = npt.NDArray[np.uint8]


class Attained(NamedTuple):
    """An input ``(t, x)`` and its output ``(t, y)``."""

    input: Vector
    output: Vector


@dataclass(frozen=True, eq=False)
class VertexCells:
    """Cells by the hyperplanes of their vertices: what is exact of :class:`FloatCells`, which has the same names."""

    signs: Bytes
    table: npt.NDArray[np.int32]
    start: Indices
    incidence: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, found: FloatCells) -> VertexCells:
        """Without the floats."""
        return cls(found.signs, found.table.astype(np.int32), found.start, found.incidence)

    def some(self, block: range) -> VertexCells:
        """The cells with these numbers, in order and without gaps, alone."""
        start = self.start[block.start:block.stop + 1]
        return VertexCells(self.signs[block.start:block.stop], self.table[block.start:block.stop], start - start[0],
                           self.incidence[int(start[0]):int(start[-1])])

    def on(self) -> tuple[Indices, Indices]:
        """Pairs of a vertex and the number of a hyperplane it lies on, by vertices."""
        words = self.incidence.astype("<u8").view(np.uint8)
        vertex, bit = np.nonzero(np.unpackbits(words, axis=1, bitorder="little"))
        return vertex, self.table[self.owner[vertex], bit].astype(np.int64)

    @property
    def owner(self) -> Indices:
        """The cell of each vertex."""
        return np.repeat(np.arange(len(self.signs)), np.diff(self.start))


class SharedVertices:
    """The vertices of a propagation's cells; remembers all that were asked for."""

    def __init__(self, propagation: Propagation) -> None:
        self.propagation = propagation
        self._known: dict[bytes, Attained] = {}
        self._cells: VertexCells | None = None
        self._block = range(0)
        self._keys: list[bytes] = []
        self._facets: list[list[int]] = []

    def of(self, cells: VertexCells, c: int) -> tuple[Attained, ...]:
        """The vertices of cell number c."""
        if cells is not self._cells or c not in self._block:
            self._cells, self._block = cells, range(c - c % BLOCK, min(c - c % BLOCK + BLOCK, len(cells.signs)))
            self._keys, self._facets = self._described(cells.some(self._block))
        first = int(cells.start[self._block.start])
        span = slice(int(cells.start[c]) - first, int(cells.start[c + 1]) - first)
        keys = self._keys[span]
        missing = [(key, on) for key, on in zip(keys, self._facets[span], strict=True) if key not in self._known]
        if missing:
            self._compute(cells.signs[c].tobytes(), missing)
        return tuple(map(self._known.__getitem__, keys))

    def _described(self, cells: VertexCells) -> tuple[list[bytes], list[list[int]]]:
        """The keys and the hyperplanes of all vertices."""
        first = self.propagation.space.plan.first
        vertex, number = cells.on()
        owner = cells.owner
        positive = np.zeros((len(owner), int(first[-1])), dtype=np.uint8)
        positive[:, first[0]:] = cells.signs[owner]
        zero = np.zeros_like(positive)
        positive[vertex, number] = 0
        zero[vertex, number] = 1
        packed = np.packbits(np.concatenate([positive, zero], axis=1), axis=1)
        ends = np.searchsorted(vertex, np.arange(len(owner) + 1)).tolist()
        numbers = number.tolist()
        facets = [numbers[a:b] for a, b in itertools.pairwise(ends)]
        if not packed.size:  # the domain is one point, and no unit has a phase: there is one vertex
            return [b""] * len(owner), facets
        return cast(list[bytes], packed.view(np.dtype((np.void, packed.shape[1]))).ravel().tolist()), facets

    def _compute(self, signs: bytes, vertices: Sequence[tuple[bytes, list[int]]]) -> None:
        propagation = self.propagation
        space, chart = propagation.space, propagation.chart
        rows = {f: space.row(f, signs) for f in sorted({f for _, on in vertices for f in on})}
        outputs, _ = propagation.maps.output_table(signs + propagation.trailing)
        for key, on in vertices:
            u = intersection([rows[f] for f in on], chart.dimension)
            point = fmpz_mat(len(u), 1, list(u))
            self._known[key] = Attained(_vector(chart.table * point), _vector(outputs * point))


def _vector(column: fmpz_mat) -> Vector:
    """``(t, v)`` from the column ``(v, t)`` with t > 0."""
    *values, t = map(int, column.entries())
    return primitive((t, *values))
