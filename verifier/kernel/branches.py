"""The branch: a part of a query's domain, with proved bounds on every unit, in batches.

A branch is the set of inputs ``x`` with

* ``x`` in the query's domain and in the branch's box ``lo <= x <= hi``, and
* ``lower <= z(x) <= upper`` for the pre-activation ``z`` of every unit that has a phase.

The first kind of condition comes from splitting an input, the second from splitting a unit at 0 or from a proof.
All numbers are binary64 and taken exactly, so a branch means the same in both arithmetics of the checker.  Units
without a phase (slope 1) are never bounded; their entries are 0 and unused.

``open[b, d]`` says that disjunct ``d`` of the query is not yet refuted on branch ``b``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from verifier.kernel.query import Query
from verifier.kernel.rational import FloatArray

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Branches:
    """``B`` branches: ``lo``, ``hi`` of shape (B, inputs); ``lower[k]``, ``upper[k]`` of shape (B, units of layer k);
    ``open`` of shape (B, disjuncts).  The arrays belong to the batch and may be changed in place by its owner."""

    lo: FloatArray
    hi: FloatArray
    lower: list[FloatArray]
    upper: list[FloatArray]
    open: Mask

    @classmethod
    def root(cls, query: Query) -> Branches:
        """The one branch that is the whole domain (its box rounded outward), with nothing known of the units."""
        lo, hi = query.domain.outward_floats()
        bounds = [np.where(layer.has_phase, np.inf, 0.0)[None] for layer in query.network.layers]
        return cls(lo[None], hi[None], [-b for b in bounds], bounds,
                   np.ones((1, len(query.disjuncts)), dtype=bool))

    def __len__(self) -> int:
        return len(self.lo)

    def take(self, index: Indices | slice) -> Branches:
        """A copy of the branches with these indices."""
        return Branches(self.lo[index].copy(), self.hi[index].copy(), [a[index].copy() for a in self.lower],
                        [a[index].copy() for a in self.upper], self.open[index].copy())

    @staticmethod
    def concatenate(parts: Sequence[Branches]) -> Branches:
        """All branches of the parts, in order."""
        if len(parts) == 1:
            return parts[0]
        layers = range(len(parts[0].lower))
        return Branches(np.concatenate([p.lo for p in parts]), np.concatenate([p.hi for p in parts]),
                        [np.concatenate([p.lower[k] for p in parts]) for k in layers],
                        [np.concatenate([p.upper[k] for p in parts]) for k in layers],
                        np.concatenate([p.open for p in parts]))

    def undecided(self, layer: int) -> tuple[Indices, Indices]:
        """``(branch, unit)`` index pairs of the layer's units whose sign is not fixed, in row-major order."""
        branch, unit = np.nonzero((self.lower[layer] < 0) & (self.upper[layer] > 0))
        return branch, unit


class Batch(Protocol):
    """What a stack holds: branches, or branches with the search's own notes on them."""

    def __len__(self) -> int: ...

    def take(self, index: slice) -> Self:
        """A copy of these members."""

    @staticmethod
    def concatenate(parts: Sequence[Any]) -> Any:
        """All members of the parts, in order."""


BatchT = TypeVar("BatchT", bound=Batch)


class Stack(Generic[BatchT]):
    """The open branches, last in first out: what still has to be proved.

    Both the search and the checker drive one; a proof is complete when the checker's is empty.
    """

    def __init__(self, parts: Sequence[BatchT] = ()) -> None:
        self.parts = [part for part in parts if len(part)]

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def push(self, batch: BatchT) -> None:
        """Add branches on top."""
        if len(batch):
            self.parts.append(batch)

    def pop(self, count: int) -> BatchT:
        """Remove and return the top ``count`` branches (fewer when there are fewer), the topmost last.

        What is returned does not depend on how the branches were pushed.  Raises IndexError when there are none.
        """
        taken: list[BatchT] = []
        while count and self.parts:
            part = self.parts.pop()
            if len(part) > count:
                self.parts.append(part.take(slice(0, len(part) - count)))
                part = part.take(slice(len(part) - count, len(part)))
            taken.append(part)
            count -= len(part)
        taken.reverse()
        result: BatchT = taken[0] if len(taken) == 1 else taken[0].concatenate(taken)
        return result


def split(branches: Branches, on_input: Mask, index: Indices, point: FloatArray) -> Branches:
    """The ``2 B`` children of ``B`` branches: first all lower ones, then all upper ones.

    Branch ``b`` is cut at ``x_i = point[b]`` with ``i = index[b]`` where ``on_input[b]``, else at ``z_i = 0`` of the
    unit with the flat number ``i`` (units are numbered through all layers); the cut itself belongs to both children,
    so they cover their parent.  Raises ValueError when an index or a point does not fit (``point`` must lie in the
    branch's box; where ``on_input`` is False it is ignored).
    """
    rows = np.nonzero(on_input)[0]
    columns = index[rows]
    if (columns < 0).any() or (columns >= branches.lo.shape[1]).any():
        raise ValueError("a split names an input that does not exist")
    points = point[rows]
    if not ((branches.lo[rows, columns] <= points) & (points <= branches.hi[rows, columns])).all():
        raise ValueError("a split point lies outside its branch")
    below, above = branches.take(slice(None)), branches.take(slice(None))
    below.hi[rows, columns] = points
    above.lo[rows, columns] = points
    offsets = np.cumsum([0] + [a.shape[1] for a in branches.lower])
    others = np.nonzero(~on_input)[0]
    if (index[others] < 0).any() or (index[others] >= offsets[-1]).any():
        raise ValueError("a split names a unit that does not exist")
    layers = np.searchsorted(offsets, index[others], side="right") - 1
    for layer in np.unique(layers):
        at = others[layers == layer]
        units = index[at] - offsets[layer]
        below.upper[layer][at, units] = np.minimum(below.upper[layer][at, units], 0.0)
        above.lower[layer][at, units] = np.maximum(above.lower[layer][at, units], 0.0)
    return Branches.concatenate([below, above])
