"""The search of one query as work units that anybody may run, in an order that decides every byte of the proof.

A proof is a list of blocks for a stack machine.  Blocks that work on a part of the stack's top, and on the children of
that part only, may be made by another process and spliced in: the machine cannot tell.  So a search runs alone for a
while, then deals what is still open into *units*, each with a budget counted in arithmetic work, never in seconds.  A
unit returns its blocks and what it left open; the proof is the concatenation in the order of the stack.  How units
are dealt depends on counts alone, hence the same proof comes out whether one process ran them all or many did.

Bisection decides what has a margin, and fast; but around a touching set it comes to an end only at a depth, with many
boxes, whereas splits on units and relaxations that touch end as soon as the units that matter are split.  So bisection
gets a trial, and what it leaves undecided is begun anew by units.  Where that is the walk of few cells it goes on to
its end, and the trial's blocks are dropped.  Elsewhere it is an attempt with a budget, large where the relaxations are
small, and after it bisection goes on where it stopped: half a proof of the one kind is no use to the other.

The first point found *in this order* is the answer, for the same reason.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from verifier.engines.at_once import prove_at_once
from verifier.engines.attack import descend
from verifier.engines.branch_and_bound import FEW_UNITS, BranchAndBound, Effort, OutOfTime, SearchBatch
from verifier.engines.executor import MapExecutor
from verifier.kernel.branches import Stack
from verifier.kernel.query import Query
from verifier.kernel.rational import Point

FIRST_BUDGET = 30_000_000  # work before the first units are dealt: about a tenth of a second
TRIAL_BUDGET = 60_000_000  # work on inputs before a small network is begun anew by units
LONG_TRIAL = 150_000_000   # the same for other networks, whose relaxations are large: a second or more
WALK_BUDGET = 1_500_000_000  # work of an attempt by units on a small network: about a second
SHORT_WALK = 30_000_000    # the same for other networks: some fifteen relaxations
UNIT_BUDGET = 60_000_000   # work of a unit: at most half a second
COMPILE_AFTER = 6_000_000  # work after which loading the compiled loop pays
UNITS = 8                  # dealt at a time
ATTACK_AT = (2, 200, 2000, 10_000)  # branches after which the whole domain is attacked; many proofs need but three
Open = tuple[SearchBatch, ...]


@dataclass(frozen=True)
class Unit:
    """A part of a search: its open branches (the last is the top of the stack), a budget, a wall-clock deadline."""

    search: BranchAndBound
    open: Open
    budget: int
    deadline: float | None


@dataclass(frozen=True)
class UnitResult:
    """The compressed blocks made, what is still open, a point if one was found, and the effort."""

    blocks: tuple[bytes, ...]
    open: Open
    point: Point | None
    effort: Effort


@dataclass(frozen=True)
class SearchResult:
    """``blocks`` is a complete proof when ``finished``; else ``point`` is a point, or time ran out."""

    blocks: tuple[bytes, ...]
    finished: bool
    point: Point | None
    effort: Effort


@dataclass
class _Run:
    """The state of one sequential stretch."""

    search: BranchAndBound
    stack: Stack[SearchBatch]
    blocks: list[bytes] = field(default_factory=list)
    point: Point | None = None

    @property
    def open(self) -> bool:
        """Whether something is left to do."""
        return self.point is None and len(self.stack) > 0

    def go(self, budget: int, deadline: float | None, each: Callable[[_Run], None] | None = None) -> None:
        """Expand batches until nothing is open, a point is found, or the budget or the time is used up."""
        limit = self.search.effort.work + budget
        while self.open and self.search.effort.work < limit:
            if deadline is not None and time.time() > deadline:
                return
            batch = self.stack.pop(self.search.batch)
            try:
                expansion = self.search.expand(batch, deadline)
            except OutOfTime:
                self.stack.push(batch)  # so that nobody takes the search for finished
                return
            if expansion.point is not None or expansion.block is None or expansion.children is None:
                self.point = expansion.point
                return
            self.blocks.append(zlib.compress(expansion.block.encode(), 6))
            self.stack.push(expansion.children)
            if each is not None:
                each(self)


def run_unit(unit: Unit) -> UnitResult:
    """Carry out a unit.  Pure: the same unit gives the same result (unless the deadline cuts it short)."""
    search = unit.search
    search.effort = Effort()
    search.bounds.compiled = True
    run = _Run(search, Stack(unit.open))
    run.go(unit.budget, unit.deadline)
    return UnitResult(tuple(run.blocks), tuple(run.stack.parts), run.point, search.effort)


def search(query: Query, *, seed: int = 0, deadline: float | None = None, compiled: bool = False,
           executor: MapExecutor | None = None, few_units: int = FEW_UNITS, to_the_end: bool = True,
           progress: Callable[[int, int, float], None] | None = None) -> SearchResult:
    """Search for a point of the query or a proof that there is none.

    ``deadline`` is compared with ``time.time()``.  ``compiled`` loads the compiled loop at once (long-lived processes).
    ``few_units`` is for :class:`BranchAndBound`.  ``to_the_end``: a walk of few cells, once begun, is never given up.
    ``progress(boxes, open, fraction)`` is told the branches done, the branches open, and the share of the domain's
    volume that is decided.
    """
    if not query.disjuncts:
        return SearchResult((), True, None, Effort())
    engine = BranchAndBound(query, few_units)
    engine.bounds.compiled = compiled
    attacks = list(ATTACK_AT)
    lo, hi = query.domain.outward_floats()
    volume = _Volume(lo, hi)
    effort = Effort()

    def watch(run: _Run) -> None:
        boxes = effort.boxes + run.search.effort.boxes
        if run.search.effort.work > COMPILE_AFTER:
            run.search.bounds.compiled = True
        if attacks and engine.bounded and boxes >= attacks[0] and len(run.stack):
            run.point = descend(engine.bounds, lo, hi, seed + attacks.pop(0))
        if progress is not None:
            progress(boxes, len(run.stack), volume.decided(run.stack.parts))

    first = _Run(engine, Stack([SearchBatch.root(query)]))
    first.go(COMPILE_AFTER, deadline, watch)
    if first.open and not engine.bounded:  # elsewhere relaxations find the same leaf
        block = prove_at_once(query)
        if block is not None:
            effort.add(engine.effort)
            return SearchResult((zlib.compress(block.encode(), 6),), True, None, effort)
    if engine.by_inputs:
        first.go(TRIAL_BUDGET if engine.small else LONG_TRIAL, deadline, watch)
        if first.open:
            effort.add(engine.effort)
            walk = _Run(BranchAndBound(query, walk=True), Stack([SearchBatch.root(query)]))  # batches change in place
            walk.search.bounds.compiled = True
            walk.go(WALK_BUDGET if engine.small else SHORT_WALK, deadline, watch)
            effort.add(walk.search.effort)
            engine.effort, walk.search.effort = Effort(), Effort()
            if (engine.few_cells and to_the_end) or not walk.open:
                first, engine = walk, walk.search
    first.go(FIRST_BUDGET, deadline, watch)
    effort.add(engine.effort)
    engine.effort = Effort()
    root = first.stack
    if not first.open:
        return SearchResult(tuple(first.blocks), first.point is None, first.point, effort)
    # a segment is a list of finished blocks or the open branches that come next
    segments: list[list[bytes] | Open] = [first.blocks, tuple(root.parts)]
    point: Point | None = None
    apply = executor.map if executor is not None else map
    while any(isinstance(s, tuple) for s in segments):
        if deadline is not None and time.time() > deadline:
            break
        if attacks and engine.bounded and effort.boxes >= attacks[0]:
            point = descend(engine.bounds, lo, hi, seed + attacks.pop(0))
            if point is not None:
                break
        dealt: list[list[bytes] | Open] = []
        pieces = max(1, UNITS // sum(isinstance(s, tuple) for s in segments))
        for segment in segments:
            dealt.extend([segment] if isinstance(segment, list) else _deal(segment, pieces))
        units = [Unit(_with_own_effort(engine), s, UNIT_BUDGET, deadline) for s in dealt if isinstance(s, tuple)]
        results = iter(apply(run_unit, units))
        segments = []
        for segment in dealt:
            if isinstance(segment, list):
                _append(segments, segment)
                continue
            result: UnitResult = next(results)
            effort.add(result.effort)
            if result.point is not None:
                point = result.point
                break
            _append(segments, list(result.blocks))
            if result.open:
                segments.append(result.open)
            if progress is not None:
                still = [part for s in segments if isinstance(s, tuple) for part in s]
                progress(effort.boxes, sum(len(p) for p in still), volume.decided(still))
        close = getattr(results, "close", None)
        if close is not None:  # a generator may hold units that others still run
            close()
        if point is not None:
            break
    blocks = tuple(block for s in segments if isinstance(s, list) for block in s)
    finished = point is None and not any(isinstance(s, tuple) for s in segments)
    return SearchResult(blocks, finished, point, effort)


def _with_own_effort(engine: BranchAndBound) -> BranchAndBound:
    """The engine as a unit takes it: with counters of its own, so that units in one process do not share them."""
    copy = object.__new__(BranchAndBound)
    copy.__dict__.update(engine.__dict__)
    copy.effort = replace(engine.effort)
    return copy


def _deal(parts: Open, pieces: int) -> list[list[bytes] | Open]:
    """The open branches in at most ``pieces`` portions, the top of the stack first."""
    stack = Stack(parts)
    size = -(-len(stack) // pieces)
    portions: list[list[bytes] | Open] = []
    while len(stack):
        portions.append((stack.pop(size),))
    return portions


def _append(segments: list[list[bytes] | Open], blocks: list[bytes]) -> None:
    if segments and isinstance(segments[-1], list):
        segments[-1].extend(blocks)
    else:
        segments.append(blocks)


class _Volume:
    """The share of a bounded domain that is decided (splits on units do not show); for people only."""

    def __init__(self, lo: np.ndarray[Any, Any], hi: np.ndarray[Any, Any]) -> None:
        self.wide = hi > lo
        self.width = (hi - lo)[self.wide]

    def decided(self, parts: Iterable[SearchBatch]) -> float:
        if not np.isfinite(self.width).all():
            return 0.0
        still = sum(float(np.prod((p.branches.hi - p.branches.lo)[:, self.wide] / self.width, axis=1).sum())
                    for p in parts)
        return min(1.0, max(0.0, 1.0 - still))
