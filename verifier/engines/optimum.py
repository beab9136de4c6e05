"""The exact maximum of a linear function of inputs and outputs over a domain.

Requirement
    A network, a box (unbounded ones too), further half-spaces on the inputs, an objective over ``(x, N(x))``.
Return
    The maximum as a rational, an input that attains it, and a proof that no input exceeds it; or a ray along which the
    objective grows for ever; or a proof that the domain is empty.
Method
    A point lies in a cell on which the objective is linear; an exact linear program moves it to the best point of that
    cell.  Then it is asked whether any point is *strictly* better.  If so (local search says it soonest) the better
    point takes over, if not the proof of that is the proof of optimality.  On a closed domain the supremum is attained,
    because there are finitely many cells and each program attains its own.

    The question touches the set at every optimum, so its margin is zero there, and optima may fill a face: so branches
    are split on units early (:mod:`verifier.engines.subtrees`).
Property
    Exact; ends after finitely many rounds, because every round improves on the best point of another cell.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from verifier.engines.at_once import prove_at_once
from verifier.engines.attack import climb, descend
from verifier.engines.branch_and_bound import TOUCHING_UNITS, Effort
from verifier.engines.exact_leaf import pattern_at, piece
from verifier.engines.executor import MapExecutor
from verifier.engines.subtrees import search
from verifier.kernel.bounds import FloatBounds
from verifier.kernel.branches import Mask
from verifier.kernel.network import Network
from verifier.kernel.polyhedron import Box, HalfSpace
from verifier.kernel.query import Query
from verifier.kernel.rational import Matrix, Point, dot
from verifier.solvers.exact_lp import solve
from verifier.solvers.linear_program import Infeasible, LinearProgram, Unbounded

CLIMBS = 8    # for a start
DESCENTS = 4  # from many points each, without gain, before a proof is searched


@dataclass(frozen=True)
class Maximum:
    """``objective . (x, N(x)) = value``, and ``blocks`` prove that no point of the domain exceeds ``value``."""

    value: Fraction
    x: Point
    blocks: tuple[bytes, ...]


@dataclass(frozen=True)
class NoMaximum:
    """The network is affine from ``x`` along ``ray``, which stays in the domain, and the objective grows along it."""

    x: Point
    ray: Point


@dataclass(frozen=True)
class EmptyDomain:
    """``blocks`` prove that the domain has no point."""

    blocks: tuple[bytes, ...]


@dataclass(frozen=True)
class OutOfTime:
    """The best value found so far and where, if any."""

    value: Fraction | None
    x: Point | None


def better_than(network: Network, domain: Box, constraints: tuple[HalfSpace, ...], objective: Point,
                value: Fraction) -> Query:
    """The query whose points are those of the domain with ``objective . (x, N(x)) > value``."""
    return Query(network, domain, ((*constraints, HalfSpace(tuple(-c for c in objective), -value, strict=True)),))


def maximise(network: Network, domain: Box, constraints: tuple[HalfSpace, ...], objective: Point, *,
             start: Point | None = None, seed: int = 0, deadline: float | None = None, compiled: bool = False,
             executor: MapExecutor | None = None, effort: Effort | None = None,
             progress: Callable[[int, int, float], None] | None = None,
             better: Callable[[Fraction, Point], None] | None = None
             ) -> Maximum | NoMaximum | EmptyDomain | OutOfTime:
    """See the module.  ``constraints`` are over inputs and outputs as in a query, with zeros for the outputs, and not
    strict.  ``start`` is a point of the domain.  ``effort`` is added to; ``better`` is told every
    point that is better than those before, with its value."""
    spent = Effort() if effort is None else effort
    if start is None and not constraints and domain.is_bounded:
        # where nothing constrains the inputs but the box, a point is at hand
        start = climbed(network, domain, objective, seed)
    if start is None:
        found = search(Query(network, domain, (constraints,)), seed=seed, deadline=deadline, compiled=compiled)
        spent.add(found.effort)
        if found.finished:
            return EmptyDomain(found.blocks)
        if found.point is None:
            return OutOfTime(None, None)
        start = found.point
    x = start
    while True:
        best = best_of_piece(network, domain, constraints, objective, pattern_at(network, x))
        if best is None:
            raise AssertionError("a cell contains the point that it was made from")
        if isinstance(best, NoMaximum):
            return best
        x = best
        value = dot(objective, x + network.evaluate(x))
        if better is not None:
            better(value, x)
        query = better_than(network, domain, constraints, objective, value)
        block = prove_at_once(query)  # such as that a sum of ReLUs is never below 0
        if block is not None:
            return Maximum(value, x, (zlib.compress(block.encode(), 6),))
        climbed_to = _better(query, seed)
        if climbed_to is not None and (deadline is None or time.time() < deadline):
            x = climbed_to
            continue
        found = search(query, seed=seed, deadline=deadline, compiled=compiled, executor=executor,
                       few_units=TOUCHING_UNITS, progress=progress)
        spent.add(found.effort)
        if found.finished:
            return Maximum(value, x, found.blocks)
        if found.point is None:
            return OutOfTime(value, x)
        x = found.point


def _better(query: Query, seed: int) -> Point | None:
    """A point of the query that local search finds from new starts: cheap beside a proof that turns out to be none."""
    lo, hi = query.domain.outward_floats()
    if not np.isfinite(hi - lo).all():
        return None
    bounds = FloatBounds(query)
    return next((x for n in range(DESCENTS) if (x := descend(bounds, lo, hi, seed + n)) is not None), None)


def climbed(network: Network, domain: Box, objective: Point, seed: int) -> Point:
    """A good point of a bounded box, by local search in floating point; a corner of a box that is beyond it."""
    lo, hi = domain.outward_floats()
    if not np.isfinite(hi - lo).all():
        return tuple(v for v in domain.lower if v is not None)
    bounds = FloatBounds(better_than(network, domain, (), objective, Fraction(0)))
    generator = np.random.default_rng(seed)
    best, where = np.inf, (lo + hi) / 2
    for start in lo + (hi - lo) * generator.random((CLIMBS, len(lo))):
        x, value = climb(bounds, start, lo, hi, enough=-np.inf)
        if value < best:
            best, where = value, x
    return tuple(max(low, min(high, Fraction(float(v)))) if low is not None and high is not None else Fraction(float(v))
                 for low, v, high in zip(domain.lower, where, domain.upper, strict=True))


def best_of_piece(network: Network, domain: Box, constraints: tuple[HalfSpace, ...], objective: Point,
                  pattern: Sequence[Mask]) -> Point | NoMaximum | None:
    """The best point of the closed piece with this activation pattern; None when the piece is empty."""
    linear = piece(Query(network, domain, (constraints,)), pattern)
    function = linear.on_inputs(objective)
    if function is None:
        raise AssertionError("every unit of the cell is decided")
    gradient, _ = function
    rows = [(*normal, offset) for normal, offset in linear.signs]
    rows += [(*h.normal[:network.inputs], h.offset) for h in constraints]
    matrix = Matrix.from_rationals(rows, network.inputs + 1)
    answer = solve(LinearProgram.from_matrix([-g for g in gradient], matrix, domain))
    if isinstance(answer, Infeasible):
        return None
    return NoMaximum(answer.x, answer.ray) if isinstance(answer, Unbounded) else answer.x
