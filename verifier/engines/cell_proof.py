"""Proofs without margins: that a query has no point, by splits on units alone, or by no split at all.

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
    Before that, :func:`prove_at_once` tries the one leaf that needs no bounds on units: what an expression can never
    be because of its last activations alone, such as negative when it is a sum of ReLUs.
Property
    Sound, because the checker decides.  The number of branches is proportional to that of the cells, or of their faces
    in degenerate position: nothing depends on margins.  Where margins are large, branch and bound is much shorter.
"""

from __future__ import annotations

import time
import zlib
from fractions import Fraction

import numpy as np

from verifier.engines.branch_and_bound import Effort, SearchBatch
from verifier.engines.exact_leaf import LinearBranch
from verifier.engines.row_bounds import NO_REFUTATIONS
from verifier.engines.subtrees import SearchResult
from verifier.kernel.branches import Branches, Stack, split
from verifier.kernel.certificate import Block, ExactLeaf, StatedBounds
from verifier.kernel.checker import refutes_exactly
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

BATCH = 64  # branches a block


def prove_at_once(query: Query) -> SearchResult | None:
    """A proof of one block whose leaves have one multiplier each, None when there is none."""
    branches = Branches.root(query)
    leaves: list[ExactLeaf] = []
    for d, disjunct in enumerate(query.disjuncts):
        units = (tuple(Fraction(i == r) for i in range(len(disjunct))) for r in range(len(disjunct)))
        tried = (ExactLeaf(0, d, rows, ()) for rows in units)
        leaf = next((leaf for leaf in tried if refutes_exactly(query, branches, leaf)), None)
        if leaf is None:
            return None
        leaves.append(leaf)
    nothing = np.zeros(0, dtype=np.int64)
    block = Block(1, _nothing_stated(branches), NO_REFUTATIONS, tuple(leaves), nothing.astype(bool), nothing,
                  nothing.astype(float))
    blocks = (zlib.compress(block.encode(), 6),) if leaves else ()
    return SearchResult(blocks, True, None, Effort(boxes=len(blocks), exact_leaves=len(leaves)))


def prove_along_cells(query: Query, deadline: float | None = None, most: int | None = None) -> SearchResult:
    """See the module.  ``deadline`` is compared with ``time.time()``; when it comes first, or after ``most`` branches,
    there is nothing."""
    effort = Effort()
    if not query.disjuncts:
        return SearchResult((), True, None, effort)
    stack = Stack([SearchBatch.root(query)])
    blocks: list[bytes] = []
    while len(stack):
        if (deadline is not None and time.time() >= deadline) or (most is not None and effort.boxes >= most):
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
