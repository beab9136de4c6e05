"""A proof along the cells: that a query has no point, by splits on units alone.

Requirement
    A query, on any domain.
Return
    Blocks of a proof, or a point.
Method
    The walk of :mod:`verifier.engines.propagate` once more, in the form that the checker follows: units are split at 0,
    first layer first, and exact linear programs close what they can.  While units are undecided that is a branch whose
    signs contradict each other; when all are decided the disjuncts are linear there, and the programs always decide.
    Both sides of a split are closed.  So beside the cells there are branches of lower dimension, where a unit that
    does not split a cell touches it; their disjuncts are refuted like all others.
Property
    Sound, because the checker decides.  The number of branches is proportional to that of the cells, or of their faces
    in degenerate position: nothing depends on margins.  Where margins are large, branch and bound is much shorter.
"""

from __future__ import annotations

import time
import zlib

import numpy as np

from verifier.engines.branch_and_bound import Effort, SearchBatch
from verifier.engines.exact_leaf import LinearBranch
from verifier.engines.row_bounds import NO_REFUTATIONS
from verifier.engines.subtrees import SearchResult
from verifier.kernel.branches import Branches, Stack, split
from verifier.kernel.certificate import Block, ExactLeaf, StatedBounds
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

BATCH = 64  # branches a block


def prove_along_cells(query: Query, deadline: float | None = None) -> SearchResult:
    """See the module.  ``deadline`` is compared with ``time.time()``; when it comes first there is nothing."""
    effort = Effort()
    stack = Stack([SearchBatch.root(query)] if query.disjuncts else [])
    blocks: list[bytes] = []
    while len(stack):
        if deadline is not None and time.time() >= deadline:
            return SearchResult((), False, None, effort)
        batch = stack.pop(BATCH)
        count = len(batch)
        effort.boxes += count
        stated = _nothing_stated(batch.branches)
        leaves, point = _decide(query, batch, effort)
        if point is not None:
            return SearchResult((), False, point, effort)
        left = np.flatnonzero(batch.branches.open.any(axis=1))
        remaining = batch.take(left)
        undecided = [(low < 0) & (high > 0) for low, high in zip(remaining.branches.lower, remaining.branches.upper,
                                                                 strict=True)]
        index = np.concatenate(undecided, axis=1).argmax(axis=1)
        on_input, at = np.zeros(len(left), dtype=bool), np.zeros(len(left))
        blocks.append(zlib.compress(Block(count, stated, NO_REFUTATIONS, tuple(leaves), on_input, index, at).encode(),
                                    6))
        remaining.chosen[np.arange(len(left)), index] = True
        stack.push(SearchBatch(split(remaining.branches, on_input, index, at),
                               np.concatenate([remaining.chosen, remaining.chosen])))
    return SearchResult(tuple(blocks), True, None, effort)


def _decide(query: Query, batch: SearchBatch, effort: Effort) -> tuple[list[ExactLeaf], Point | None]:
    """Leaves for what the programs refute (their disjuncts are closed), or a point."""
    leaves: list[ExactLeaf] = []
    for b in range(len(batch)):
        linear = LinearBranch(query, batch.branches, b, batch.chosen[b])
        for d in np.flatnonzero(batch.branches.open[b]).tolist():
            effort.linear_programs += 1
            answer = linear.decide(d)
            if isinstance(answer, ExactLeaf):
                effort.exact_leaves += 1
                leaves.append(answer)
                batch.branches.open[b, d] = False
            elif answer is not None:
                return leaves, answer
    return leaves, None


def _nothing_stated(branches: Branches) -> tuple[StatedBounds, ...]:
    """What a block says when it states no bounds."""
    empty = np.zeros(0, dtype=np.float32)
    found = []
    for layer in range(len(branches.lower)):
        none = np.zeros(len(branches.undecided(layer)[0]), dtype=bool)
        found.append(StatedBounds(none, none, empty, empty))
    return tuple(found)
