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
from collections.abc import Callable
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
    return split_units(query, _decide, deadline, most)


Decide = Callable[[Query, SearchBatch, int, list[ExactLeaf]], Point | int]
"""Closes disjuncts of one branch of a batch by leaves (which it appends), and names the unit to split if any disjunct
is left open (else any number), or finds a point."""


def split_units(query: Query, decide: Decide, deadline: float | None, most: int | None) -> SearchResult:
    """The proof that a way to decide branches makes when units alone are split."""
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
        effort.linear_programs += int(batch.branches.open.sum())
        stated = _nothing_stated(batch.branches)
        leaves: list[ExactLeaf] = []
        units = np.zeros(count, dtype=np.int64)
        for b in range(count):
            answer = decide(query, batch, b, leaves)
            if not isinstance(answer, int):
                return SearchResult((), False, answer, effort)
            units[b] = answer
        effort.exact_leaves += len(leaves)
        left = np.flatnonzero(batch.branches.open.any(axis=1))
        index, on_input, at = units[left], np.zeros(len(left), dtype=bool), np.zeros(len(left))
        blocks.append(zlib.compress(Block(count, stated, NO_REFUTATIONS, tuple(leaves), on_input, index, at).encode(),
                                    6))
        remaining = batch.take(left)
        remaining.chosen[np.arange(len(left)), index] = True
        stack.push(SearchBatch(split(remaining.branches, on_input, index, at),
                               np.concatenate([remaining.chosen, remaining.chosen])))
    return SearchResult(tuple(blocks), True, None, effort)


def _decide(query: Query, batch: SearchBatch, b: int, leaves: list[ExactLeaf]) -> Point | int:
    """The first undecided unit, after the programs have closed what they can."""
    branches = batch.branches
    linear = LinearBranch(query, branches, b, batch.chosen[b])
    for d in np.flatnonzero(branches.open[b]).tolist():
        answer = linear.decide(d)
        if isinstance(answer, ExactLeaf):
            leaves.append(answer)
            branches.open[b, d] = False
        elif answer is not None:
            return answer
    undecided = [(low[b] < 0) & (high[b] > 0) for low, high in zip(branches.lower, branches.upper, strict=True)]
    return int(np.concatenate(undecided).argmax())


def _nothing_stated(branches: Branches) -> tuple[StatedBounds, ...]:
    """What a block says when it states no bounds."""
    empty = np.zeros(0, dtype=np.float32)
    found = []
    for layer in range(len(branches.lower)):
        none = np.zeros(len(branches.undecided(layer)[0]), dtype=bool)
        found.append(StatedBounds(none, none, empty, empty))
    return tuple(found)
