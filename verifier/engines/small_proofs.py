"""Proofs for networks of few units, where the margin may be zero: what is shortest first.

A query that touches the reachable set ("is any output larger than the largest?") has no margin, and where it touches
along a face, bisection ends only at a depth, with many boxes along the face.  Four ways are tried, each with a limit
that is counted in work: a single leaf; branch and bound, which is short when the set is touched in a point; from the
outputs inward (:mod:`verifier.engines.outside_in`), which does not see the face when the last layers make it; along the
cells (:mod:`verifier.engines.cell_proof`), whose length no margin changes.
"""

from __future__ import annotations

from verifier.engines.branch_and_bound import BranchAndBound, Effort, SearchBatch
from verifier.engines.cell_proof import prove_along_cells, prove_at_once
from verifier.engines.outside_in import prove_outside_in
from verifier.engines.subtrees import SearchResult, Unit, run_unit
from verifier.kernel.query import Query

OUTSIDE_IN_BRANCHES = 32
OUTSIDE_IN_PHASES = 60  # units up to which its programs are small


def prove_small(query: Query, patience: int, branches: int | None, deadline: float | None,
                spent: Effort) -> SearchResult | None:
    """A proof or a point, None when the limits (``patience``: work of branch and bound, ``branches`` along the cells)
    or the deadline came first.  ``spent`` is added to by what led nowhere."""
    simple = prove_at_once(query)
    if simple is not None:
        return simple
    tried = run_unit(Unit(BranchAndBound(query), (SearchBatch.root(query),), patience, deadline))
    if not tried.open or tried.point is not None:
        return SearchResult(tried.blocks, tried.point is None, tried.point, tried.effort)
    spent.add(tried.effort)
    if query.network.phases <= OUTSIDE_IN_PHASES:
        inward = prove_outside_in(query, deadline, OUTSIDE_IN_BRANCHES)
        if inward.finished or inward.point is not None:
            return inward
        spent.add(inward.effort)
    along = prove_along_cells(query, deadline, branches)
    if along.finished or along.point is not None:
        return along
    spent.add(along.effort)
    return None
