"""Safety by cells: the reachable set against the unsafe set, part by part.

Requirement
    A query on a box, bounded or not.
Return
    A point, or blocks of a proof that there is none.
Method
    Every cell is visited, and exact linear programs say whether a disjunct has a point on it
    (:mod:`verifier.engines.cell_points`).  The first point, in an order that does not depend on the number of
    processes, is the answer.  When no cell has one, the query has none, and what is left to do is to convince the
    checker, which knows no cells: that is the other search (:mod:`verifier.engines.subtrees`).
Property
    Complete, because the cells cover the domain; the verdict still rests on the checker.  Two methods that share no
    step decide every query that holds: a point found by the second one would contradict the first, and stops the
    program.
Reference
    Xiang, Tran and Johnson, *Reachable set computation and safety verification for neural networks with ReLU
    activations* (2017).
"""

from __future__ import annotations

from collections.abc import Callable

from verifier.engines.branch_and_bound import Effort
from verifier.engines.cell_points import Found, PointsOf
from verifier.engines.cell_units import Harvest
from verifier.engines.executor import MapExecutor
from verifier.engines.propagate import Region
from verifier.engines.subtrees import SearchResult, search
from verifier.geometry.chart import EmptyDomainError
from verifier.kernel.query import Query


def search_by_cells(query: Query, *, seed: int = 0, deadline: float | None = None, compiled: bool = False,
                    executor: MapExecutor | None = None,
                    progress: Callable[[int, int, float], None] | None = None) -> SearchResult:
    """See the module; arguments as of :func:`verifier.engines.subtrees.search`.  ``effort.boxes`` of the result counts
    the branches of the proof, or the cells when there is a point."""
    told = None if progress is None else lambda cells: progress(cells, 0, 0.0)
    harvest = Harvest(Region(query.network, query.domain), PointsOf(query), "auto", deadline, executor, told)
    try:
        found: Found | None = next(iter(harvest), None)
    except EmptyDomainError as error:
        raise AssertionError("a box has a point") from error
    if found is not None:
        return SearchResult((), False, found.x, Effort(boxes=harvest.cells))
    if not harvest.finished:
        return SearchResult((), False, None, Effort(boxes=harvest.cells))
    proof = search(query, seed=seed, deadline=deadline, compiled=compiled, executor=executor, progress=progress)
    if proof.point is not None:
        raise AssertionError("a point was found in a domain whose cells have none")
    return proof
